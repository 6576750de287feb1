"""Every write leaves an audit row: whatever function of the site changes rows records it, or stands here with why."""

import ast
from collections.abc import Iterator
from pathlib import Path

WEB = Path(__file__).parents[3] / "playbook/web"
WRITES = {
    "save",
    "create",
    "update",
    "delete",
    "bulk_create",
    "bulk_update",
    "get_or_create",
    "update_or_create",
}
#: What else has methods of these names: hashes, dictionaries and sets.
NO_ROWS = {"digest", "documents", "columns", "hasher", "here"}

_CALLER = "its caller records"
_MACHINE = "what a worker reports while it runs; the job's own steps are recorded"
#: module:function → why it records nothing.
UNRECORDED = {
    "common/guards:set_up": "makes the head of the log itself",
    "common/guards:triggers": "says what a trigger should be; it changes nothing",
    "common/models:record": "is what records",
    "common/reminders:send_reminders": "notes which letters were sent; what they tell of is recorded",
    "common/reminders:_remind": "notes which letters were sent; what they tell of is recorded",
    "datasets/actions:store_import": "create_dataset and add_version record what it stores",
    "datasets/actions:_end": _CALLER,
    "decisions/actions:_move": _CALLER,
    "jobs/actions:_end_attempt": _CALLER,
    "jobs/actions:_move": _CALLER,
    "jobs/actions:see_worker": _MACHINE,
    "jobs/actions:heartbeat": _MACHINE,
    "jobs/curves:keep": _MACHINE,
    "jobs/curves:_extended": _MACHINE,
    "jobs/curves:_keep_levels": _MACHINE,
    "jobs/ingest:append_events": _MACHINE,
    "jobs/ingest:_advance": _MACHINE,
    "jobs/ingest:_note_not_finite": _MACHINE,
    "jobs/ingest:_keep_log": _MACHINE,
    "jobs/ingest:_keep_announcements": _MACHINE,
    "jobs/ingest:_note_first_step": _MACHINE,
    "jobs/playground:_stop_answers": _CALLER,
    "jobs/playground:keep_answers": _MACHINE,
    "jobs/predictions:keep": _MACHINE,
    "jobs/predictions:settle": _CALLER,
    "jobs/uploads:drop_unsound_report": _CALLER,
    "jobs/uploads:remove": _CALLER,
    "search/actions:record_missed": "counts words that were looked for, and by design not who did",
}


def test_every_function_that_changes_rows_records_it() -> None:
    found = set(_silent_writers())
    assert found - UNRECORDED.keys() == set(), "record() the write, or say here why not"
    assert UNRECORDED.keys() - found == set(), "these write nothing any more, or record it"


def _silent_writers() -> Iterator[str]:
    for path in sorted(WEB.rglob("*.py")):
        if "migrations" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and _writes(node) and not _records(node):
                    yield f"{path.relative_to(WEB).with_suffix('')}:{node.name}"


def _calls(function: ast.FunctionDef) -> Iterator[ast.expr]:
    return (node.func for node in ast.walk(function) if isinstance(node, ast.Call))


def _writes(function: ast.FunctionDef) -> bool:
    called = [call for call in _calls(function) if isinstance(call, ast.Attribute) and call.attr in WRITES]
    return any(not (isinstance(call.value, ast.Name) and call.value.id in NO_ROWS) for call in called)


def _records(function: ast.FunctionDef) -> bool:
    return any(isinstance(call, ast.Name) and call.id == "record" for call in _calls(function))
