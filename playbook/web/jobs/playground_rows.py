"""Saving a turn of the playground as a row: the dataset gets a version whose train split has one row more."""

from playbook.contracts.asking import question_of
from playbook.contracts.dataset import Example, Message, Split
from playbook.datasets.rows import rows_from
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.actions import add_version
from playbook.web.datasets.models import Dataset, DatasetVersion
from playbook.web.datasets.reading import BadDataset, Splits, read_three_files
from playbook.web.jobs.models import PlaygroundTurn

#: Larger datasets are read in a process of their own, by an import.
MAX_BYTES = 20_000_000


def save_turn(turn: PlaygroundTurn, dataset: Dataset, *, answer: str, actor: User) -> DatasetVersion:
    """Append the question with this answer to the train split of a new version.

    Raises Conflict when the question stands in the test split, the train split has the very row already, the dataset
    is too large for this, or the checks of an import refuse it.
    """
    version = dataset.latest
    if version is None:
        raise Conflict(f"“{dataset}” has no version yet; upload one first.")
    files = {Split(file.split): file for file in version.files.all()}
    if sum(file.size_bytes for file in files.values()) > MAX_BYTES:
        raise Conflict(f"“{dataset}” is over {MAX_BYTES / 1e6:.0f} MB; bring the row with an upload of a new version.")
    example = _example(turn, answer)
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
    return add_version(dataset, splits=Splits(read.content, read.report, note), created_by=actor)


def _example(turn: PlaygroundTurn, answer: str) -> Example:
    system = turn.session.job.playground_spec.prompt.system
    before = (Message(role="system", content=system),) if system and system.strip() else ()
    said = Message(role="user", content=turn.question), Message(role="assistant", content=answer)
    return Example(messages=(*before, *said))


def _refuse_held_out(example: Example, held_out: dict[Split, str]) -> None:
    """A model must not be trained on what it is measured by: neither on the locked test rows nor on those that prompts
    and steps are chosen by."""
    wanted = _folded(example)
    for split, sha256 in held_out.items():
        for row in rows_from(blobs.path_of(sha256), 1, 10**9):
            if _folded(row.example) == wanted:
                raise Conflict(f"This question stands in the {split} split; a row that measures must not teach.")


def _folded(example: Example) -> str:
    return " ".join((question_of(example) or "").lower().split())
