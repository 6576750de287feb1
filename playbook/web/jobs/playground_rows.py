"""Saving a turn of the playground as a row: the dataset gets a version whose train split has one row more."""

from contextlib import suppress

from playbook.contracts.asking import question_of
from playbook.contracts.dataset import Example, Message, Split
from playbook.contracts.playground import Side
from playbook.datasets.rows import rows_from
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.actions import NewerVersion, add_version
from playbook.web.datasets.models import Dataset, DatasetVersion
from playbook.web.datasets.reading import BadDataset, Splits, read_three_files
from playbook.web.jobs.models import PlaygroundTurn
from playbook.web.jobs.playground import said_before

#: Larger datasets are read in a process of their own, by an import.
MAX_BYTES = 20_000_000
#: So often a save starts again because somebody else added a version meanwhile.
_TRIES = 5


def save_turn(turn: PlaygroundTurn, dataset: Dataset, *, side: Side, answer: str, actor: User) -> DatasetVersion:
    """Append the conversation with `side` up to this turn, and this answer, to the train split of a new version.

    Two saves at once are both kept: who comes second starts again from the version of the first.

    Raises Conflict when a question of it stands in a held-out split, the train split has the very row already, the
    dataset is too large for this, or the checks of an import refuse it.
    """
    for _ in range(_TRIES):
        version = DatasetVersion.objects.filter(dataset=dataset).order_by("-number").first()
        if version is None:
            raise Conflict(f"“{dataset}” has no version yet; upload one first.")
        splits = _with_row(version, turn, _example(turn, side, answer))
        with suppress(NewerVersion):
            return add_version(dataset, splits=splits, created_by=actor, follows=version)
    raise Conflict(f"“{dataset}” gets new versions faster than this row could be added; save it again.")


def _with_row(version: DatasetVersion, turn: PlaygroundTurn, example: Example) -> Splits:
    """Return the splits of `version` with one train row more. Raises Conflict as `save_turn` does."""
    files = {Split(file.split): file for file in version.files.all()}
    if sum(file.size_bytes for file in files.values()) > MAX_BYTES:
        raise Conflict(
            f"“{version.dataset}” is over {MAX_BYTES / 1e6:.0f} MB; bring the row with an upload of a new version."
        )
    _refuse_held_out(example, {split: files[split].sha256 for split in (Split.VALIDATION, Split.TEST)})
    contents = {split: blobs.path_of(file.sha256).read_bytes() for split, file in files.items()}
    line = example.model_dump_json(exclude_defaults=True).encode() + b"\n"
    if line in contents[Split.TRAIN].splitlines(keepends=True):
        raise Conflict("The train split has this very row already.")
    contents[Split.TRAIN] = contents[Split.TRAIN].rstrip(b"\n") + b"\n" + line
    try:
        read = read_three_files(contents)
    except BadDataset as bad:
        raise Conflict(f"The row was refused: {bad}") from None
    job = turn.session.job_id
    note = f"Version {version.number} and one train row from the playground (job {job}, turn {turn.number})."
    return Splits(read.content, read.report, note)


def _example(turn: PlaygroundTurn, side: Side, answer: str) -> Example:
    """What was answered before stays context (weight 0): nobody corrected it, so it must not be learned."""
    system = turn.session.job.playground_spec.prompt.system
    first = (Message(role="system", content=system),) if system and system.strip() else ()
    last = Message(role="user", content=turn.question), Message(role="assistant", content=answer)
    before = (
        message.model_copy(update={"weight": 0}) if message.role == "assistant" else message
        for message in said_before(turn, side)
    )
    return Example(messages=(*first, *before, *last))


def _refuse_held_out(example: Example, held_out: dict[Split, str]) -> None:
    """A model must not be trained on what it is measured by: neither on the locked test rows nor on those that prompts
    and steps are chosen by. The questions before the last one count too: they come with answers."""
    asked = {_folded(message.content) for message in example.messages if message.role == "user"}
    for split, sha256 in held_out.items():
        for row in rows_from(blobs.path_of(sha256), 1, 10**9):
            measured = question_of(row.example)
            if measured is not None and _folded(measured) in asked:
                raise Conflict(
                    f"The question “{measured.strip()[:80]}” stands in the {split} split; a row that measures must "
                    "not teach."
                )


def _folded(text: str) -> str:
    return " ".join(text.lower().split())
