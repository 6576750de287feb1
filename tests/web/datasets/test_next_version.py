"""The next version of a dataset: its files are read and split as those before it were."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.datasets.spec import Format, Mapping
from playbook.web.accounts.models import User
from playbook.web.datasets import imports
from playbook.web.datasets.actions import add_version, change_import
from playbook.web.datasets.reading import read_three_files
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, GOOD, bring, ended, one_file
from tests.web.datasets.test_imports import change, page_of, store


def table(header: str, rows: int = 20) -> bytes:
    cells = len(header.split(","))
    return "\n".join([header, *(",".join(f"c{at} {n}" for at in range(cells)) for n in range(rows))]).encode()


def test_a_new_version_is_read_as_somebody_chose_for_the_one_before(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    made = bring(client, one_file(table("question,answer,frage,antwort"), name="rows.csv"))
    assert "question → answer" in page_of(client, made)
    assert "as chosen for a version before" not in change(
        client, made, what="mapping", prompt="frage", answer="antwort"
    )
    new_version = f"/datasets/{store(client, made).pk}/versions/new/"

    for _ in range(2):  # also the version after the one that only took it over
        again = bring(client, one_file(table("antwort,question,answer,frage"), name="more.csv"), new_version)
        page = page_of(client, again)
        assert "frage → antwort" in page
        assert "fields as chosen for a version before" in page
        assert '<option value="frage" selected>' in page
        store(client, again)

    again = bring(client, one_file(table("antwort,question,answer,frage"), name="more.csv"), new_version)
    page = change(client, again, what="mapping", prompt="question", answer="answer")
    assert "question → answer" in page
    assert "as chosen for a version before" not in page


def test_a_new_version_without_the_fields_that_were_chosen_is_read_as_what_it_is(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    made = bring(client, one_file(table("frage,antwort"), name="rows.csv"))
    change(client, made, what="mapping", prompt="frage", answer="antwort")
    dataset = store(client, made)
    again = bring(
        client, one_file(table("frage,question,answer"), name="rows.csv"), f"/datasets/{dataset.pk}/versions/new/"
    )
    page = page_of(client, again)
    assert "question → answer" in page
    assert "as chosen for a version before" not in page


def test_each_file_of_a_new_version_is_read_as_the_one_of_its_split_was(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    files = {
        split.value: SimpleUploadedFile(
            f"{split}.csv", table(f"frage,antwort,andere,{split}").replace(b"c0", split.encode())
        )
        for split in Split
    }
    made = bring(client, {**CARD, "how": "three", **files})
    chosen = {
        split: Mapping(format=Format.COLUMNS, prompt="frage", answer=answer)
        for split, answer in zip(Split, ("antwort", "andere", "antwort"), strict=True)
    }
    change_import(made, actor=alice, mappings={f"{split}.csv": mapping for split, mapping in chosen.items()})
    ended(made)
    dataset = store(client, made)
    for file in files.values():
        file.seek(0)
    again = bring(client, {"how": "three", **files}, f"/datasets/{dataset.pk}/versions/new/")
    report = imports.state_of(again.pk).report
    assert report is not None
    assert {source.split: source.mapping for source in report.sources} == chosen


def test_a_version_made_without_files_does_not_change_how_the_next_are_read_and_split(
    client: Client, use_case: UseCase, alice: User
) -> None:
    """The playground adds rows so; with another seed what was a test row would be trained on."""
    client.force_login(alice)
    made = bring(client, one_file(table("frage,antwort"), name="rows.csv"))
    change(client, made, what="mapping", prompt="frage", answer="antwort")
    change(client, made, what="plan", validation_percent="20", test_percent="30", group_field="", seed="5")
    dataset = store(client, made)
    add_version(dataset, splits=read_three_files({Split(name): rows for name, rows in GOOD.items()}), created_by=alice)
    again = bring(client, one_file(table("frage,antwort"), name="rows.csv"), f"/datasets/{dataset.pk}/versions/new/")
    store(client, again)
    new, _, old = (version.inputs() for version in dataset.versions.all())
    assert [file.sha256 for file in new] == [file.sha256 for file in old]
