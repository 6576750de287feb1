"""Pages of datasets: who sees what, the upload with its refusals, rows as conversations."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from playbook.contracts.dataset import Split
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, create_dataset, import_sample_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, jsonl

NEW = "/datasets/new/support-ticket-triage/"
SAMPLE = Path(__file__).parents[3] / "content/datasets/support-tickets"


def one_file(content: bytes, **more: str) -> dict[str, object]:
    return {**CARD, "how": "one", "seed": "0", "file": SimpleUploadedFile("rows.jsonl", content), **more}


def three_files(**contents: bytes) -> dict[str, object]:
    files = {name: SimpleUploadedFile(f"{name}.jsonl", content) for name, content in contents.items()}
    return {**CARD, "how": "three", **files}


GOOD = {"train": jsonl("a", "b"), "validation": jsonl("c"), "test": jsonl("d")}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_upload_of_three_files_creates_the_dataset(
    client: Client, use_case: UseCase, alice: User, headers: dict[str, str]
) -> None:
    client.force_login(alice)
    response = client.post(NEW, three_files(**GOOD), headers=headers)
    dataset = Dataset.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/datasets/{dataset.pk}/")
    assert (dataset.use_case, dataset.created_by, dataset.name) == (use_case, alice, "Tickets of May")
    assert [(file.split, file.rows) for file in dataset.versions.get().files.all()] == [
        ("train", 2),
        ("validation", 1),
        ("test", 1),
    ]


def test_upload_of_one_file_splits_it(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    response = client.post(NEW, one_file(jsonl(*(f"t{n}" for n in range(20)))))
    assert response.status_code == 302
    version = Dataset.objects.get().versions.get()
    assert [file.rows for file in version.files.all()] == [16, 2, 2]
    assert version.made_from == "One file of 20 rows, split by seed 0."


def test_a_bad_upload_lists_its_problems_and_stores_nothing(
    client: Client, use_case: UseCase, alice: User, settings: Settings
) -> None:
    client.force_login(alice)
    response = client.post(NEW, three_files(**{**GOOD, "train": b"<script>alert(1)</script>\n"}))
    page = response.content.decode()
    assert response.status_code == 422
    assert "1 problem: nothing was stored" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert Dataset.objects.count() == 0
    assert not (settings.PLAYBOOK_DATA_DIR / "blobs").exists()


def test_a_row_in_train_and_test_is_refused(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    response = client.post(NEW, three_files(**{**GOOD, "test": jsonl("b")}))
    assert response.status_code == 422
    assert "Line 2 of train.jsonl has the same prompt" in response.content.decode()


def test_a_missing_file_and_an_empty_card_are_named(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    response = client.post(NEW, {"how": "three", "name": "x", "train": SimpleUploadedFile("t.jsonl", jsonl("a"))})
    assert response.status_code == 422
    assert "This field is required." in response.content.decode()
    response = client.post(NEW, {**CARD, "how": "three", "train": SimpleUploadedFile("t.jsonl", jsonl("a"))})
    assert response.content.decode().count("Choose a file.") == 2


def test_a_file_over_the_limit_names_limit_and_setting(
    client: Client, use_case: UseCase, alice: User, settings: Settings
) -> None:
    settings.PLAYBOOK_MAX_UPLOAD_MB = 1
    client.force_login(alice)
    response = client.post(NEW, one_file(b"x" * 1_100_000))
    assert response.status_code == 422
    assert "rows.jsonl has 1.1 MB; the limit is 1 MB." in response.content.decode()


def test_a_new_version_is_added(client: Client, dataset: Dataset, bob: User) -> None:
    client.force_login(bob)
    url = f"/datasets/{dataset.pk}/versions/new/"
    assert client.get(url).status_code == 200
    assert client.post(url, three_files(**{**GOOD, "test": b""})).status_code == 422
    response = client.post(url, three_files(**{**GOOD, "train": jsonl("n")}))
    assert response["Location"] == f"/datasets/{dataset.pk}/?version=2"
    page = client.get(response["Location"]).content.decode()
    assert "Version 2 of 2" in page


def test_strangers_get_404_and_viewers_403(
    client: Client, dataset: Dataset, use_case: UseCase, alice: User, mallory: User
) -> None:
    urls = [NEW, f"/datasets/{dataset.pk}/versions/new/"]
    client.force_login(mallory)
    assert [client.post(url).status_code for url in urls] == [404, 404]
    assert client.get(f"/datasets/{dataset.pk}/").status_code == 404
    assert "Tickets of May" not in client.get("/datasets/").content.decode()
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    assert client.get(f"/datasets/{dataset.pk}/").status_code == 200
    assert [client.post(url).status_code for url in urls] == [403, 403]


def test_wrong_methods_are_refused(client: Client, dataset: Dataset, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/datasets/").status_code == 405
    assert client.post(f"/datasets/{dataset.pk}/").status_code == 405
    assert client.put(NEW).status_code == 405


def test_samples_are_seen_by_everybody_and_changed_by_nobody(client: Client, mallory: User) -> None:
    sample = import_sample_dataset(SAMPLE)
    client.force_login(mallory)
    page = client.get(f"/datasets/{sample.pk}/").content.decode()
    assert "Train and test share" in page
    assert "Upload a new version" not in page
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
    with django_assert_num_queries(6):
        client.get("/datasets/")
    for name in ("x", "y"):
        contents = {Split.TRAIN: jsonl(name), Split.VALIDATION: jsonl(name + "v"), Split.TEST: jsonl(name + "t")}
        splits = read_three_files(contents)
        create_dataset(use_case=use_case, card=Card(**CARD), splits=splits, created_by=alice)
    with django_assert_num_queries(6):
        client.get("/datasets/")


def test_the_use_case_page_shows_its_datasets(client: Client, dataset: Dataset, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/use-cases/support-ticket-triage/").content.decode()
    assert f'href="/datasets/{dataset.pk}/"' in page
