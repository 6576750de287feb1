"""Document sets: who sees what, what is stored, and every kind of file that is refused."""

import hashlib
import json
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from playbook.contracts.documents import Document
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.datasets.document_sets import add_document_set, import_sample_documents
from playbook.web.datasets.models import DocumentSet
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase

LINE = json.dumps({"id": "refunds", "title": "Refunds", "text": "Within thirty days."}).encode()
NEW = "/datasets/documents/new/support-ticket-triage/"


def file(name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.fixture
def documents(use_case: UseCase, alice: User) -> DocumentSet:
    return add_document_set(
        use_case=use_case, name="Rules, May", documents=[Document(id="a", text="Be <b>kind</b>.")], created_by=alice
    )


def test_files_become_one_set_of_documents(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    files = [file("rules.jsonl", LINE + b"\n"), file("Opening hours.md", "\ufeffNine to five.".encode())]
    answer = client.post(NEW, {"name": "Rules, May", "brought": files})
    made = DocumentSet.objects.get()
    assert answer.headers["Location"] == f"/datasets/documents/{made.pk}/"
    content = blobs.path_of(made.sha256).read_bytes()
    assert [json.loads(line) for line in content.splitlines()] == [
        {"id": "refunds", "title": "Refunds", "text": "Within thirty days."},
        {"id": "Opening hours.md", "title": "Opening hours", "text": "Nine to five."},
    ]
    assert (made.use_case, made.documents, made.size_bytes) == (use_case, 2, len(content))
    assert made.as_input().sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "Choose at least one file."),
        ([("a.txt", b"")], "a.txt: has no text"),
        ([("a.jsonl", b"")], "a.jsonl: the file holds no document"),
        ([("a.jsonl", b"oops\n")], "a.jsonl: line 1: not JSON"),
        ([("a.txt", b"\xff\xfe")], "a.txt: not UTF-8 text (byte 0)"),
        ([("a.md", b"a\x00b")], "a.md: holds NUL characters"),
        ([("a.pdf", b"%PDF")], "a.pdf: convert it to one of"),
        ([("a.txt", b"x"), ("a.txt", b"y")], "a.txt: two files have this name"),
        (
            [("a.txt", b"x"), ("b.jsonl", b'{"id": "a.txt", "text": "y"}')],
            "b.jsonl: the document &#x27;a.txt&#x27; is in a.txt as well",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_reason(
    client: Client, use_case: UseCase, alice: User, files: list[tuple[str, bytes]], words: str
) -> None:
    client.force_login(alice)
    answer = client.post(NEW, {"name": "x", "brought": [file(*one) for one in files]})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert DocumentSet.objects.count() == 0


@pytest.mark.parametrize(("count", "status"), [(2_000, 302), (2_001, 422)])
def test_as_many_files_are_taken_as_the_form_says(
    client: Client, use_case: UseCase, alice: User, count: int, status: int
) -> None:
    client.force_login(alice)
    answer = client.post(NEW, {"name": "x", "brought": [file(f"{n}.txt", b"text") for n in range(count)]})
    assert answer.status_code == status
    assert list(DocumentSet.objects.values_list("documents", flat=True)) == ([2_000] if status == 302 else [])


def test_a_document_of_50_mb_is_refused_by_either_limit(
    client: Client, use_case: UseCase, alice: User, settings: Settings
) -> None:
    client.force_login(alice)
    large = b"A sentence about nothing. " * 1_950_000  # 50.7 MB
    for limit_mb, words in ((50, "50.7 MB together; the limit is 50 MB"), (500, "50.7 MB together, over 50 MB")):
        settings.PLAYBOOK_MAX_UPLOAD_MB = limit_mb
        answer = client.post(NEW, {"name": "x", "brought": file("large.txt", large)})
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert DocumentSet.objects.count() == 0


def test_of_a_long_document_the_page_shows_the_beginning(client: Client, use_case: UseCase, alice: User) -> None:
    long = Document(id="long", text="word " * 100_000)
    made = add_document_set(use_case=use_case, name="x", documents=[long], created_by=alice)
    client.force_login(alice)
    page = client.get(made.get_absolute_url()).content.decode()
    assert "500,000 characters" in page
    assert len(page) < 50_000


def test_who_may_bring_and_see_documents(
    client: Client, documents: DocumentSet, use_case: UseCase, alice: User, mallory: User
) -> None:
    client.force_login(mallory)
    assert [client.get(path).status_code for path in (NEW, f"/datasets/documents/{documents.pk}/")] == [404, 404]
    assert "Rules, May" not in client.get("/datasets/").content.decode()
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    page = client.get(f"/datasets/documents/{documents.pk}/").content.decode()
    assert "Be &lt;b&gt;kind&lt;/b&gt;." in page
    assert "Rules, May" in client.get("/datasets/").content.decode()
    assert client.post(NEW, {"name": "x"}).status_code == 403
    assert client.post(f"/datasets/documents/{documents.pk}/").status_code == 405


def test_the_use_case_page_lists_its_documents(
    client: Client, documents: DocumentSet, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    page = client.get(use_case.get_absolute_url()).content.decode()
    assert f'href="{documents.get_absolute_url()}"' in page
    assert f'href="{NEW}"' in page


def test_a_sample_is_brought_once_and_again_when_it_changed(db: None, tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_bytes(LINE)
    first, again = import_sample_documents(path, name="Facts"), import_sample_documents(path, name="Facts")
    path.write_bytes(LINE.replace(b"thirty", b"forty"))
    changed = import_sample_documents(path, name="Facts")
    assert (first.pk == again.pk, changed.pk == first.pk, DocumentSet.objects.count()) == (True, False, 2)


def test_the_list_costs_the_same_for_one_and_three(
    client: Client,
    documents: DocumentSet,
    use_case: UseCase,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(alice)
    with django_assert_num_queries(5):
        client.get("/datasets/")
    for name in ("b", "c"):
        add_document_set(use_case=use_case, name=name, documents=[Document(id="a", text=name)], created_by=alice)
    with django_assert_num_queries(5):
        client.get("/datasets/")
