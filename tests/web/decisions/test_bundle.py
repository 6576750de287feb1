"""The bundle of a decision, checked by its own verifier in a bare Python: as exported, and forged in many ways."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from django.test import Client

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.decisions.models import Decision
from playbook.web.decisions.verify_bundle import canonical
from tests.web.decisions.conftest import edit, sign

Files = dict[str, bytes]


@pytest.fixture
def files(client: Client, proposal: Decision, alice: User, bob: User, charlie: User) -> Files:
    """Bob signed, Alice changed the decision, both signed again: three signatures, one of them void."""
    sign(proposal, bob, Role.ML_LEAD)
    edit(proposal, alice, criterion_threshold=Decimal("0.75"), title="Tickets <b>“é”</b> 😀")
    sign(proposal, bob, Role.ML_LEAD)
    sign(proposal, charlie, Role.PRODUCT_OWNER)
    client.force_login(alice)
    answer = client.get("/decisions/1.zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="D-1.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def verified(files: Files, folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Write the bundle, and run the verifier that it holds: isolated, without any installed package."""
    path, script = folder / "D-1.zip", folder / "verify_bundle.py"
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    script.write_bytes(files["verify_bundle.py"])
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(path), *arguments], capture_output=True, text=True, cwd=folder
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def with_sums(files: Files) -> Files:
    """Write SHA256SUMS anew, as a careful forger would."""
    named = {name: content for name, content in files.items() if name != "SHA256SUMS"}
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in named.items())
    return {**named, "SHA256SUMS": sums.encode()}


def changed(files: Files, name: str, change: Callable[[Any], object]) -> Files:
    value = json.loads(files[name])
    change(value)
    return with_sums({**files, name: json.dumps(value).encode()})


def test_a_bundle_as_exported_is_verified(files: Files, tmp_path: Path) -> None:
    code, said = verified(files, tmp_path)
    assert (code, len(said)) == (0, 1)
    assert said[0].endswith("D-1.zip: verified")
    states = [(row["state"], row["statement"]["printed_name"]) for row in json.loads(files["signatures.json"])]
    assert states == [("current", "Bob Okafor"), ("current", "Charlie Lindqvist"), ("void", "Bob Okafor")]
    assert json.loads(files["decision.json"])["status"] == "accepted"
    assert files["decision.md"].decode().startswith("---\nstatus: accepted\n")


def test_a_head_that_was_kept_elsewhere_is_compared(files: Files, tmp_path: Path) -> None:
    entry = AuditEntry.objects.get(action="accepted")
    assert verified(files, tmp_path, "--anchor", f"{entry.number}:{entry.hash}")[0] == 0
    code, said = verified(files, tmp_path, "--anchor", f"{entry.number}:{'0' * 64}")
    assert (code, said) == (1, [f"Entry {entry.number} has another hash than the anchor: the log was rewritten."])


def test_a_file_changed_added_or_removed_is_named(files: Files, tmp_path: Path) -> None:
    edited = {**files, "decision.md": files["decision.md"] + b"x", "extra.txt": b""}
    del edited["README.txt"]
    assert verified(edited, tmp_path) == (
        1,
        [
            "extra.txt is not listed in SHA256SUMS.",
            "README.txt is listed in SHA256SUMS and missing.",
            "decision.md was changed: its SHA-256 is not the listed one.",
        ],
    )


def _rename(rows: list[dict[str, Any]]) -> None:
    rows[0]["statement"]["printed_name"] = "Mallory Stone"


def _revive(rows: list[dict[str, Any]]) -> None:
    rows[2]["state"] = "current"


def _drop(rows: list[Any]) -> None:
    del rows[1]


def _cover_other(rows: list[dict[str, Any]]) -> None:
    rows[0]["covered"]["criterion"]["threshold"] = "0.1000"


def _cover_anew(value: dict[str, Any]) -> None:
    value["covered"]["decision"]["consequences"] = "None at all."
    value["digest"] = sha256(rfc8785.dumps(value["covered"])).hexdigest()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("signatures.json", _rename, "was altered: it is not what the audit entry recorded."),
        ("signatures.json", _revive, "is said to be current, which its digest denies."),
        ("signatures.json", _drop, "was given, as the audit log says, and is missing."),
        ("signatures.json", _cover_other, "was altered: the document that it covers does not give its digest."),
        (
            "decision.json",
            lambda value: value["covered"]["decision"].update(title="Other"),
            "decision.json was altered: the decision does not give its digest.",
        ),
        (
            "audit.json",
            lambda value: value["entries"][3].update(at="2020-01-01T00:00:00.000000Z"),
            "was altered: its content does not give its hash.",
        ),
        (
            "audit.json",
            lambda value: value["entries"].__setitem__(slice(3, 5), value["entries"][4:2:-1]),
            "stands out of order, after entry",
        ),
        ("audit.json", lambda value: value.pop("entries"), "'entries' is missing."),
        ("decision.json", lambda value: value.update(covered=[1.5]), "decision.json was altered"),
        ("audit.json", lambda value: value.update(entries=5), "A file of the bundle cannot be read:"),
        ("decision.json", lambda value: value.update(status="rejected"), "its audit entries that it is accepted."),
        ("decision.json", lambda value: value.update(decided_at="2020-01-01T00:00:00.000000Z"), "decided_at is not"),
        ("decision.json", lambda value: value.update(decided_at=None), "decided_at is not what the audit log"),
        (
            "decision.json",
            lambda value: value.update(criterion_locked_at=value["decided_at"]),
            "criterion_locked_at is not",
        ),
        ("decision.json", lambda value: value.update(superseded_by=7), "superseded by 7, its audit entries by None."),
        ("decision.json", lambda value: value.update(test_set="a" * 64), "test_set is not what was fixed."),
        ("decision.json", lambda value: value.update(number=2), "it holds the document of another decision."),
        ("decision.json", _cover_anew, "The decision is not what its newest audit entry recorded."),
        (
            "signatures.json",
            lambda value: value[0].update(on_behalf_of="Eve"),
            "is said to be given for Eve, and its audit entry says None.",
        ),
        ("signatures.json", lambda value: value[0].update(state="lapsed"), "does not state the signature of Bob"),
        (
            "audit.json",
            lambda value: value.update(entries=value["entries"][:-2]),
            "its audit entries that it is proposed.",
        ),
        ("audit.json", lambda value: value.update(head=f"1:{'0' * 64}"), "The head of the audit log is not at or"),
    ],
)
def test_a_forgery_with_fitting_sums_is_named(
    files: Files, tmp_path: Path, name: str, change: Callable[[Any], object], said: str
) -> None:
    code, problems = verified(changed(files, name, change), tmp_path)
    assert code == 1
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("status: accepted", "status: rejected", "it states another status or digest"),
        ("“é”", "“e”", "it does not say “Tickets <b>“é”</b> 😀”."),
        ("test set ≥ 0.75.", "test set ≥ 0.7.", "it does not say “≥ 0.75.”."),
        ("* Charlie Lindqvist, Product owner", "* Mallory Stone, Product owner", "signature of Charlie Lindqvist"),
        ("* Charlie Lindqvist, Product owner", "* Charlie Lindqvist, ML lead", "signature of Charlie Lindqvist"),
        ("I approve this decision as ML lead", "I read this as ML lead", "the signature of Bob Okafor"),
        (" VOID: the decision changed afterwards.", "", "the signature of Bob Okafor"),
        ("### Signatures\n\n", "### Signatures\n\n* Eve, ML lead\n", "it lists 4 signatures, and there are 3."),
    ],
)
def test_a_forged_markdown_with_fitting_sums_is_named(
    files: Files, tmp_path: Path, before: str, after: str, said: str
) -> None:
    text = files["decision.md"].decode()
    assert before in text
    forged = with_sums({**files, "decision.md": text.replace(before, after).encode()})
    code, problems = verified(forged, tmp_path)
    assert code == 1
    assert any(said in problem for problem in problems), problems


def test_a_name_that_stands_twice_and_nesting_without_end_are_named(files: Files, tmp_path: Path) -> None:
    twice = files["decision.json"].replace(b"{", b'{"status": "draft", ', 1)
    for content, said in ((twice, "a name stands twice"), (b"[" * 200_000, "cannot be read")):
        code, problems = verified(with_sums({**files, "decision.json": content}), tmp_path)
        assert code == 1
        assert said in problems[-1]


def test_what_is_no_bundle_is_refused_in_one_sentence(files: Files, tmp_path: Path) -> None:
    script = tmp_path / "verify_bundle.py"
    script.write_bytes(files["verify_bundle.py"])
    (tmp_path / "x.zip").write_bytes(b"no zip")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(tmp_path / "x.zip")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "x.zip is no bundle: File is not a zip file" in done.stdout


def test_the_verifier_writes_the_same_canonical_json() -> None:
    odd: dict[str, Any] = {"é": 1, "😀": [True, None, 'a\x00\n"\\'], "z": {"b": -5, "a": ""}, "\ufb33": 2, "": []}
    assert canonical(odd).encode() == rfc8785.dumps(odd)
    numbers = [0.95, 1.0, -0.0, 0.1 + 0.2, 1e-5, 1.5e-6, 1e-7, 2.5e-9, 1e20, 123456789.125, 1e21, 3.14e22, -0.5]
    assert canonical(numbers).encode() == rfc8785.dumps(numbers)


def test_a_stranger_gets_no_bundle(client: Client, proposal: Decision, mallory: User) -> None:
    client.force_login(mallory)
    assert client.get("/decisions/1.zip").status_code == 404
