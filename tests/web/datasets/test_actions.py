"""Datasets in the database: samples come in once, versions are added, the run spec names their files."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import InputFile
from playbook.library.problems import ContentError
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.datasets.actions import Card, add_version, create_dataset, import_sample_dataset
from playbook.web.datasets.models import Dataset, DatasetVersion, SplitFile
from playbook.web.datasets.reading import read_three_files
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, jsonl

SAMPLE = Path(__file__).parents[3] / "content/datasets/support-tickets"


def test_inputs_name_the_stored_files(dataset: Dataset) -> None:
    version = dataset.versions.get()
    contents = {Split.TRAIN: jsonl("a", "b"), Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("d")}
    assert version.inputs() == tuple(
        InputFile(split=split, sha256=sha256(content).hexdigest(), size_bytes=len(content), rows=content.count(b"\n"))
        for split, content in contents.items()
    )
    assert version.test_set_sha256 == sha256(contents[Split.TEST]).hexdigest()
    with blobs.open_blob(version.test_set_sha256) as file:
        assert file.read() == contents[Split.TEST]


def test_a_version_is_added_and_recorded(dataset: Dataset, bob: User) -> None:
    contents = {Split.TRAIN: jsonl("x"), Split.VALIDATION: jsonl("y"), Split.TEST: jsonl("z")}
    version = add_version(dataset, splits=read_three_files(contents), created_by=bob)
    assert [row.number for row in dataset.versions.all()] == [2, 1]
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.actor, entry.detail["number"]) == ("added version", bob, 2)
    with pytest.raises(IntegrityError), transaction.atomic():
        DatasetVersion.objects.create(dataset=dataset, number=version.number, made_from="")


@pytest.mark.parametrize("kind", [DatasetVersion, SplitFile])
def test_the_database_refuses_to_change_a_version_or_its_splits(
    dataset: Dataset, kind: type[DatasetVersion | SplitFile]
) -> None:
    found = kind.objects.first()
    assert found is not None
    held = SplitFile.objects.get(split="test")
    with pytest.raises(IntegrityError, match="appended, never changed"), transaction.atomic():
        kind.objects.update(id=found.pk + 100)
    with pytest.raises(IntegrityError, match="appended, never changed"), transaction.atomic():
        SplitFile.objects.filter(split="test").update(sha256="0" * 64)
    with pytest.raises(IntegrityError), transaction.atomic():
        found.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        SplitFile.objects.create(version=held.version, split="test", sha256="0" * 64, size_bytes=1, rows=1)
    assert SplitFile.objects.get(split="test").sha256 == held.sha256


def test_slugs_of_equal_names_differ(dataset: Dataset, use_case: UseCase, alice: User) -> None:
    contents = {Split.TRAIN: jsonl("x"), Split.VALIDATION: jsonl("y"), Split.TEST: jsonl("z")}
    other = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(contents), created_by=alice)
    assert (dataset.slug, other.slug) == ("tickets-of-may", "tickets-of-may-2")


def test_the_shipped_sample_comes_in_once(db: None) -> None:
    first = import_sample_dataset(SAMPLE)
    again = import_sample_dataset(SAMPLE)
    assert (again.pk, again.is_sample, again.use_case, again.created_by) == (first.pk, True, None, None)
    version = again.versions.get()
    expected = sha256((SAMPLE / "test.jsonl").read_bytes()).hexdigest()
    assert version.test_set_sha256 == expected
    assert version.shared_templates is not None
    assert version.shared_templates < (version.test_templates or 0)


def test_a_changed_sample_becomes_a_new_version(db: None, tmp_path: Path) -> None:
    folder = _sample(tmp_path / "tiny", train=jsonl("a"))
    import_sample_dataset(folder)
    _sample(folder, train=jsonl("a", "b"))
    dataset = import_sample_dataset(folder)
    assert [(row.number, row.inputs()[0].rows) for row in dataset.versions.all()] == [(2, 2), (1, 1)]


def test_a_sample_that_is_not_the_file_of_its_card_is_refused(db: None, tmp_path: Path) -> None:
    folder = _sample(tmp_path / "tiny", train=jsonl("a"))
    (folder / "test.jsonl").write_bytes(jsonl("other"))
    with pytest.raises(ContentError, match=r"line \d+: test.jsonl has sha256 .* the card says"):
        import_sample_dataset(folder)
    assert Dataset.objects.count() == 0


def _sample(folder: Path, *, train: bytes) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    contents = {"train": train, "validation": jsonl("y"), "test": jsonl("z")}
    splits = {}
    for split, content in contents.items():
        (folder / f"{split}.jsonl").write_bytes(content)
        digest = sha256(content).hexdigest()
        splits[split] = {"rows": content.count(b"\n"), "size_bytes": len(content), "sha256": digest}
    words = {"title": "Tiny", "summary": "Small.", "licence": "CC0", "owner": "us", "source": "here", "consent": "none"}
    card = json.dumps({"slug": "tiny", **words, "splits": splits})
    (folder / "card.md").write_text(f"---\n{card}\n---\n\nRows.\n")
    return folder
