"""An import as people meet it: bring rows, see what was found, change how they are read, store or discard them."""

import gzip
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.datasets import forms, imports
from playbook.web.datasets.models import Dataset, DatasetImport
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, GOOD, NEW, bring, ended, jsonl, one_file, three_files

TWENTY = jsonl(*(f"t{n}" for n in range(20)))
CSV = b"frage,antwort,kunde\n" + b"".join(b"f%d,a%d,k%d\n" % (n, n, n // 5) for n in range(40))
HTMX = {"HX-Request": "true"}


def store(client: Client, made: DatasetImport) -> Dataset:
    response = client.post(f"/datasets/imports/{made.pk}/store/")
    dataset = Dataset.objects.get()
    assert response.status_code == 302
    assert response["Location"].startswith(f"/datasets/{dataset.pk}/")
    return dataset


def page_of(client: Client, made: DatasetImport) -> str:
    return client.get(made.get_absolute_url()).content.decode()


def change(client: Client, made: DatasetImport, **fields: str) -> str:
    """Change the import, wait, and return its page."""
    response = client.post(f"/datasets/imports/{made.pk}/change/", fields)
    assert (response.status_code, response["Location"]) == (302, made.get_absolute_url())
    ended(made)
    return page_of(client, made)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_three_files_are_read_shown_and_stored(
    client: Client, use_case: UseCase, alice: User, headers: dict[str, str]
) -> None:
    client.force_login(alice)
    response = client.post(NEW, three_files(**GOOD), headers=headers)
    assert response.status_code == 302
    made = DatasetImport.objects.get()
    ended(made)
    page = page_of(client, made)
    assert "Chat messages (OpenAI)" in page
    assert "Store the dataset" in page
    assert Dataset.objects.count() == 0
    dataset = store(client, made)
    assert (dataset.use_case, dataset.created_by, dataset.name) == (use_case, alice, "Tickets of May")
    assert [(file.split, file.rows) for file in dataset.versions.get().files.all()] == [
        ("train", 2),
        ("validation", 1),
        ("test", 1),
    ]
    assert not imports.folder_of(made.pk).exists()
    assert client.get(made.get_absolute_url())["Location"] == f"/datasets/{dataset.pk}/?version=1"


def test_one_file_is_split_and_the_split_can_be_changed(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    plan = {"what": "plan", "validation_percent": "20", "test_percent": "30", "group_field": "", "seed": "5"}
    assert "locked by" in change(client, made, **plan)
    version = store(client, made).versions.get()
    assert [file.rows for file in version.files.all()] == [10, 4, 6]
    assert version.made_from == "One file of 20 rows, 20 % for validation and 30 % for test, split by seed 5."


def test_rows_without_the_field_that_others_are_kept_together_by_are_counted_with_its_name(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    rows = [{"prompt": f"p{n}", "completion": f"c{n}", **({"shop": n % 9} if n % 10 else {})} for n in range(40)]
    made = bring(client, one_file("".join(f"{json.dumps(row)}\n" for row in rows).encode()))
    said = "The field is <code>shop</code>."
    assert said not in page_of(client, made)
    page = change(client, made, what="plan", validation_percent="10", test_percent="10", group_field="shop", seed="0")
    assert said in page
    assert '<td class="num"><span class="badge plain warn">4</span></td>' in page
    assert said in client.get(store(client, made).get_absolute_url()).content.decode()


def test_a_group_field_that_allows_no_split_can_be_changed_back(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    rows = [{"prompt": f"question {n}", "completion": "yes", "team": "ab"[n % 2]} for n in range(20)]
    made = bring(client, one_file(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    plan = {"what": "plan", "validation_percent": "20", "test_percent": "30", "group_field": "team", "seed": "5"}
    refused = change(client, made, **plan)
    assert "2 different groups" in refused
    assert "Store the dataset" not in refused
    assert '<option value="team"' in refused
    assert "locked by" in change(client, made, **plan | {"group_field": ""})


def test_pasted_rows_are_the_same_as_a_file(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, {**CARD, "how": "paste", "pasted": "question,answer\r\n" + "a,b\r\nc,d\r\ne,f\r\n"})
    page = page_of(client, made)
    assert "pasted rows" in page
    assert "question → answer" in page
    assert [file.rows for file in store(client, made).versions.get().files.all()] == [1, 1, 1]


def test_unknown_fields_are_mapped_by_hand(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(CSV, name="rows.csv"))
    page = page_of(client, made)
    assert "Unknown format" in page
    assert "Choose under “Fields” what they mean" in page
    assert "Mend the lines" not in page
    assert "Store the dataset" not in page
    wrong = {"what": "mapping", "messages": "frage", "answer": "antwort"}
    answer = client.post(f"/datasets/imports/{made.pk}/change/", wrong)
    assert answer.status_code == 422
    assert "Choose either a list of messages or an answer." in answer.content.decode()
    wrong = {"what": "mapping", "prompt": "frage", "answer": "frage"}
    answer = client.post(f"/datasets/imports/{made.pk}/change/", wrong)
    assert answer.status_code == 422
    assert "“frage” is chosen twice" in answer.content.decode()
    page = change(client, made, what="mapping", prompt="frage", answer="antwort")
    assert "kept as metadata: kunde" in page
    page = change(client, made, what="plan", validation_percent="10", test_percent="10", group_field="kunde", seed="0")
    assert "Store the dataset" in page
    version = store(client, made).versions.get()
    assert version.made_from == (
        "One file of 40 rows, 10 % for validation and 10 % for test, split by seed 0, "
        "rows with the same “kunde” kept together."
    )


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("test_percent", "0", "greater than or equal to 1"),
        ("test_percent", "50", "Leave at least 20 percent for train"),
        ("seed", "-1", "greater than or equal to 0"),
        ("group_field", "x" * 300, f"No row has a field “{'x' * 79}…”"),
    ],
)
def test_a_split_that_cannot_be_is_refused(
    client: Client, use_case: UseCase, alice: User, field: str, value: str, complaint: str
) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    plan = {"what": "plan", "validation_percent": "40", "test_percent": "10", "group_field": "", "seed": "0"}
    answer = client.post(f"/datasets/imports/{made.pk}/change/", plan | {field: value})
    assert answer.status_code == 422
    assert complaint in answer.content.decode()


def test_bad_rows_are_listed_escaped_and_can_be_left_out(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY + b"<script>alert(1)</script>\n"))
    page = page_of(client, made)
    assert "1 problem: nothing can be stored yet" in page
    assert "rows.jsonl, line 21" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert client.post(f"/datasets/imports/{made.pk}/store/").status_code == 409
    assert Dataset.objects.count() == 0
    page = change(client, made, what="leave_out")
    assert "1 problem: 1 row left out" in page
    version = store(client, made).versions.get()
    assert version.made_from == (
        "One file of 20 rows, 10 % for validation and 10 % for test, split by seed 0. 1 row with problems left out."
    )


def test_a_file_that_could_not_be_read_to_its_end_is_not_stored_without_its_bad_rows(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    rows = b"question,answer\n" + b"a,b\n" * 20 + b'a,\n"open,1\n'
    page = page_of(client, bring(client, one_file(rows, name="rows.csv")))
    assert "2 problems: nothing can be stored yet" in page
    assert "Leave them out" not in page


def test_a_row_in_train_and_test_is_refused(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, three_files(**{**GOOD, "test": jsonl("b")}))
    assert "Line 2 of train.jsonl has the same prompt" in page_of(client, made)


def test_a_gzip_bomb_is_refused_in_one_sentence(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(gzip.compress(b" " * 60_000_000), name="rows.jsonl.gz"))
    assert "it is a gzip bomb or an endless repetition" in page_of(client, made)


def test_the_rows_behind_a_check_open_before_they_are_stored(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY + jsonl("t3")))
    url = f"/datasets/imports/{made.pk}/checks/duplicate/"
    assert url in page_of(client, made)
    page = client.get(url).content.decode()
    assert "1 row in all" in page
    assert ", line 21 of rows.jsonl" in page
    assert client.get(f"/datasets/imports/{made.pk}/checks/nothing/").status_code == 404


def test_files_lie_under_their_digest_and_in_the_audit_log(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    digest = made.order["sources"][0]["sha256"]
    with blobs.open_blob(digest) as file:
        assert file.read() == TWENTY
    entry = AuditEntry.objects.get(action="brought files")
    assert (entry.actor, entry.detail) == (alice, {"files": {"rows.jsonl": digest}})


def test_files_of_one_name_are_told_apart(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    sent = three_files(**{**GOOD, "test": b"oops\n"})
    for name in ("train", "validation", "test"):
        sent[name].name = "data.jsonl"  # type: ignore[attr-defined]
    made = bring(client, sent)
    assert "test: data.jsonl, line 1" in page_of(client, made)
    assert set(AuditEntry.objects.get(action="brought files").detail["files"]) == {
        f"{name}: data.jsonl" for name in ("train", "validation", "test")
    }


def test_a_missing_file_an_empty_card_and_no_text_are_named(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    files = {"train": SimpleUploadedFile("t.jsonl", jsonl("a"))}
    response = client.post(NEW, {"how": "three", "name": "x", **files})
    assert response.status_code == 422
    assert "This field is required." in response.content.decode()
    files = {"train": SimpleUploadedFile("t.jsonl", jsonl("a"))}
    assert client.post(NEW, {**CARD, "how": "three", **files}).content.decode().count("Choose a file.") == 2
    assert "Paste some rows." in client.post(NEW, {**CARD, "how": "paste"}).content.decode()
    assert DatasetImport.objects.count() == 0


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
    assert client.post(url, {"how": "one"}).status_code == 422
    made = bring(client, three_files(**{**GOOD, "train": jsonl("n")}), url)
    assert "Store as a new version" in page_of(client, made)
    response = client.post(f"/datasets/imports/{made.pk}/store/")
    assert response["Location"] == f"/datasets/{dataset.pk}/?version=2"
    assert "Version 2 of 2" in client.get(response["Location"]).content.decode()


def test_a_new_version_is_split_as_the_last_one_was(client: Client, use_case: UseCase, alice: User) -> None:
    """With another seed the test rows of before would be trained on."""
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    change(client, made, what="plan", validation_percent="20", test_percent="30", group_field="", seed="5")
    stored = store(client, made)
    again = bring(client, {"how": "one", **one_file(TWENTY)}, f"/datasets/{stored.pk}/versions/new/")
    store(client, again)
    new, old = (version.inputs() for version in stored.versions.all())
    assert [file.sha256 for file in new] == [file.sha256 for file in old]


def test_an_import_is_discarded_once_and_listed_until_then(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    assert made.get_absolute_url() in client.get("/datasets/").content.decode()
    url = f"/datasets/imports/{made.pk}/discard/"
    assert client.post(url)["Location"] == "/datasets/"
    assert not imports.folder_of(made.pk).exists()
    assert made.get_absolute_url() not in client.get("/datasets/").content.decode()
    assert "This import was discarded" in page_of(client, made)
    for name in ("store", "discard", "change"):
        assert client.post(f"/datasets/imports/{made.pk}/{name}/").status_code == 409


def test_storing_twice_stores_once(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    store(client, made)
    assert client.post(f"/datasets/imports/{made.pk}/store/").status_code == 302
    assert Dataset.objects.get().versions.count() == 1


def test_strangers_get_404_viewers_403_and_other_methods_405(
    client: Client, dataset: Dataset, use_case: UseCase, alice: User, mallory: User
) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    pages = [NEW, f"/datasets/{dataset.pk}/versions/new/", made.get_absolute_url()]
    pages.append(f"{made.get_absolute_url()}checks/duplicate/")
    writes = [f"{made.get_absolute_url()}{name}/" for name in ("change", "store", "discard")]
    assert [client.put(url).status_code for url in (*pages, *writes)] == [405] * 7
    assert [client.get(url).status_code for url in writes] == [405] * 3
    client.force_login(mallory)
    assert [client.get(url).status_code for url in pages] == [404] * 4
    assert [client.post(url).status_code for url in (*pages[:2], *writes)] == [404] * 5
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    assert [client.get(url).status_code for url in pages] == [403] * 4
    assert [client.post(url).status_code for url in (*pages[:2], *writes)] == [403] * 5


def test_text_that_is_too_long_to_paste_is_told_and_not_cut(
    client: Client, use_case: UseCase, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser cuts a text at `maxlength` without a word, and the last rows would be missing."""
    client.force_login(alice)
    assert "maxlength" not in str(client.get(NEW).context["brought"].paste["pasted"])
    monkeypatch.setattr(forms, "_MAX_PASTED", 100)
    answer = client.post(NEW, {**CARD, "how": "paste", "pasted": "a,b\n" + "1,2\n" * 50})
    assert answer.status_code == 422
    assert "The text has 204 characters; at most 100 can be pasted." in answer.content.decode()
