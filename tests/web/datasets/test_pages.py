"""Pages of datasets: who sees what, the upload with its refusals, rows as conversations."""

from pathlib import Path

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Split
from playbook.contracts.roles import Role
from playbook.datasets.changes import RowDiff
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, add_version, create_dataset, import_sample_dataset
from playbook.web.datasets.models import Dataset, DatasetVersion, SplitFile
from playbook.web.datasets.reading import read_three_files
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, jsonl

SAMPLE = Path(__file__).parents[3] / "content/datasets/support-tickets"


def test_strangers_get_404_and_viewers_read(
    client: Client, dataset: Dataset, use_case: UseCase, alice: User, mallory: User
) -> None:
    urls = [f"/datasets/{dataset.pk}/{page}" for page in ("", "checks/duplicate/", "changes/")]
    client.force_login(mallory)
    assert [client.get(url).status_code for url in urls] == [404, 404, 404]
    assert "Tickets of May" not in client.get("/datasets/").content.decode()
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    assert [client.get(url).status_code for url in urls] == [200, 200, 200]


def test_wrong_methods_are_refused(client: Client, dataset: Dataset, alice: User) -> None:
    client.force_login(alice)
    urls = ["/datasets/", *(f"/datasets/{dataset.pk}/{page}" for page in ("", "checks/duplicate/", "changes/"))]
    assert [client.post(url).status_code for url in urls] == [405, 405, 405, 405]


def test_samples_are_seen_by_everybody_and_changed_by_nobody(client: Client, mallory: User) -> None:
    sample = import_sample_dataset(SAMPLE)
    client.force_login(mallory)
    page = client.get(f"/datasets/{sample.pk}/").content.decode()
    assert "Train and test share" in page
    assert "Bring a new version" not in page
    assert "Support tickets to JSON" in client.get("/datasets/").content.decode()
    assert client.post(f"/datasets/{sample.pk}/versions/new/").status_code == 403


def test_rows_are_shown_by_split_and_page(client: Client, use_case: UseCase, alice: User) -> None:
    contents = {
        Split.TRAIN: jsonl(*(f"row {n}" for n in range(1, 26))),
        Split.VALIDATION: jsonl("<b>bold</b>"),
        Split.TEST: jsonl("held out"),
    }
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(contents), created_by=alice)
    client.force_login(alice)
    page = client.get(f"/datasets/{dataset.pk}/?page=3").content.decode()
    assert "row 21" in page
    assert "row 20<" not in page
    assert "Rows 21 to 25 of 25 in train" in page
    fragment = client.get(f"/datasets/{dataset.pk}/?split=validation", headers={"HX-Request": "true"}).content.decode()
    assert "&lt;b&gt;bold&lt;/b&gt;" in fragment
    assert "<html" not in fragment
    assert client.get(f"/datasets/{dataset.pk}/?version=9").status_code == 404
    assert client.get(f"/datasets/{dataset.pk}/?page=-5&split=nothing").status_code == 200
    assert "Rows 21 to 25" in client.get(f"/datasets/{dataset.pk}/?page=999999999").content.decode()
    assert "Rows 1 to 10" in client.get(f"/datasets/{dataset.pk}/?page={'9' * 5000}").content.decode()


def test_list_costs_the_same_for_one_and_three(
    client: Client, use_case: UseCase, dataset: Dataset, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    with django_assert_num_queries(7):
        client.get("/datasets/")
    for name in ("x", "y"):
        contents = {Split.TRAIN: jsonl(name), Split.VALIDATION: jsonl(name + "v"), Split.TEST: jsonl(name + "t")}
        splits = read_three_files(contents)
        create_dataset(use_case=use_case, card=Card(**CARD), splits=splits, created_by=alice)
    with django_assert_num_queries(7):
        client.get("/datasets/")


def test_the_use_case_page_shows_its_datasets(client: Client, dataset: Dataset, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/use-cases/support-ticket-triage/").content.decode()
    assert f'href="/datasets/{dataset.pk}/"' in page


def test_the_page_shows_the_checks_and_each_opens_its_rows(client: Client, use_case: UseCase, alice: User) -> None:
    row = b'{"prompt": "%s", "completion": "I cannot help with <b>"}\n'
    contents = {Split.TRAIN: row % b"a" + row % b"b", Split.VALIDATION: row % b"c", Split.TEST: row % b"d"}
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(contents), created_by=alice)
    client.force_login(alice)
    page = client.get(f"/datasets/{dataset.pk}/").content.decode()
    assert f'href="/datasets/{dataset.pk}/checks/refusal/?version=1"' in page
    found, clean = page.split("more checks found nothing</summary>")
    assert "<li>Secrets</li>" in clean
    assert "Secrets" not in found
    assert "100 %" in page
    assert "Length of the prompt: median 1 characters" in page
    rows = client.get(f"/datasets/{dataset.pk}/checks/refusal/").content.decode()
    assert "4 rows in all, the first 4 cases can be opened here." in rows
    assert "Row 2 of train, line 2 of train.jsonl" in rows
    assert "Row 1 of test, line 1 of test.jsonl" in rows
    assert "I cannot help with &lt;b&gt;" in rows
    assert client.get(f"/datasets/{dataset.pk}/checks/refusal/?page=99").status_code == 200
    assert client.get(f"/datasets/{dataset.pk}/checks/nothing/").status_code == 404


def test_lengths_and_classes_open_their_rows_and_a_class_that_test_lacks_is_warned_of(
    client: Client, use_case: UseCase, alice: User
) -> None:
    row = b'{"prompt": "%s", "completion": "%s"}\n'
    train = b"".join(row % (b"p%d" % n, b"late" if n % 2 else b"lost <b>") for n in range(9))
    contents = {Split.TRAIN: train, Split.VALIDATION: row % (b"v", b"late"), Split.TEST: row % (b"t", b"late")}
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(contents), created_by=alice)
    client.force_login(alice)
    checks = f"/datasets/{dataset.pk}/checks"

    page = client.get(f"/datasets/{dataset.pk}/").content.decode()
    assert [f'href="{checks}/{code}/?version=1"' in page for code in ("length", "class", "class_gap")] == [True] * 3
    assert page.count("Longest and shortest rows") == 0  # measures are no lines of the table of checks

    gaps = client.get(f"{checks}/class_gap/").content.decode()
    assert "5 rows in all, the first 1 case can be opened here." in gaps
    assert "the answer “lost &lt;b&gt;”: 5 train, 0 validation, 0 test" in gaps
    lengths = client.get(f"{checks}/length/").content.decode()
    assert "rows in all" not in lengths
    assert "The longest answers: 8 to 8 characters" in lengths
    assert "the answer “late”: 4 train, 1 validation, 1 test" in client.get(f"{checks}/class/").content.decode()


def test_a_version_of_before_reports_were_kept_still_opens(client: Client, dataset: Dataset, alice: User) -> None:
    DatasetVersion.objects.create(dataset=dataset, number=2, made_from="")
    SplitFile.objects.bulk_create(
        SplitFile(version=dataset.versions.get(number=2), split=file.split, sha256=file.sha256, size_bytes=1, rows=1)
        for file in dataset.versions.get(number=1).files.all()
    )
    client.force_login(alice)
    page = client.get(f"/datasets/{dataset.pk}/")
    assert (page.status_code, "What the checks found" in page.content.decode()) == (200, False)
    assert client.get(f"/datasets/{dataset.pk}/checks/duplicate/").status_code == 404


def test_rows_are_searched_by_text_and_by_class(client: Client, use_case: UseCase, alice: User) -> None:
    contents = {
        Split.TRAIN: jsonl(*(f"row {n}" for n in range(1, 26)), 'a "quoted" <b>'),
        Split.VALIDATION: jsonl("c"),
        Split.TEST: jsonl("held out"),
    }
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(contents), created_by=alice)
    client.force_login(alice)
    url = f"/datasets/{dataset.pk}/"
    page = client.get(url, {"q": "ROW 2"}).content.decode()
    assert "7 rows, looked through to row 26 of 26 in train" in page
    many = client.get(url, {"q": "row"}, headers={"HX-Request": "true"}).content.decode()
    assert "10 rows, looked through to row 10 of 26 in train" in many
    assert "q=row&amp;field=&amp;value=&amp;after=10" in many
    assert "15 rows" not in many
    assert "Row 26" in client.get(url, {"q": '"quoted" <b>'}).content.decode()
    assert "1 row, looked" in client.get(url, {"field": "answer", "value": "ROW 7"}).content.decode()
    assert "No row found" in client.get(url, {"q": "nothing", "after": "x"}).content.decode()


def test_changes_between_versions_are_listed_by_split(client: Client, dataset: Dataset, alice: User) -> None:
    contents = {
        Split.TRAIN: jsonl("a", "new"),
        Split.VALIDATION: jsonl("c"),
        Split.TEST: jsonl("d").replace(b"D", b"X"),
    }
    add_version(dataset, splits=read_three_files(contents), created_by=alice)
    client.force_login(alice)
    page = client.get(f"/datasets/{dataset.pk}/changes/")
    assert page.context["splits"] == {
        Split.TRAIN: page.context["splits"][Split.TRAIN],
        Split.VALIDATION: RowDiff(total_kept=1),
        Split.TEST: page.context["splits"][Split.TEST],
    }
    counts = {
        split: (diff.total_added, diff.total_removed, diff.total_changed, diff.total_kept)
        for split, diff in page.context["splits"].items()
    }
    assert counts == {"train": (1, 1, 0, 1), "validation": (0, 0, 0, 1), "test": (0, 0, 1, 0)}
    text = page.content.decode()
    assert "Version 1 to 2" in text
    assert "Before: row 1" in text
    back = client.get(f"/datasets/{dataset.pk}/changes/?before=2&after=1").content.decode()
    assert "Version 2 to 1" in back
    assert client.get(f"/datasets/{dataset.pk}/changes/?before=7").status_code == 404
    assert f"/datasets/{dataset.pk}/changes/?after=2" in client.get(f"/datasets/{dataset.pk}/").content.decode()


def test_rows_that_only_moved_are_listed_with_the_split_that_had_them(
    client: Client, dataset: Dataset, alice: User
) -> None:
    contents = {Split.TRAIN: jsonl("d", "a"), Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("b")}
    add_version(dataset, splits=read_three_files(contents), created_by=alice)
    client.force_login(alice)
    text = client.get(f"/datasets/{dataset.pk}/changes/").content.decode()
    assert "Row 1, before row 1 of test" in text
    assert "Row 1, before row 2 of train" in text
    assert "Added to" not in text
    assert "Removed from" not in text
