"""A form that is far larger than its page takes is refused by its header; what a page takes, its form tells more of."""

import resource
import signal
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from playbook.web.accounts.models import User
from playbook.web.usecases.models import UseCase

NEW = "/datasets/new/support-ticket-triage/"


@pytest.fixture(autouse=True)
def _small(settings: Settings) -> None:
    """Files of 10 kB, and texts of 5 kB in all."""
    settings.PLAYBOOK_MAX_UPLOAD_MB = 0.01
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 5_000


def sent(size_bytes: int, *names: str) -> dict[str, object]:
    return {name: SimpleUploadedFile(f"{name}.csv", b"x" * size_bytes) for name in names}


def test_a_form_larger_than_all_files_of_its_page_is_refused(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(NEW, {"how": "one", **sent(36_000, "file")})
    page = answer.content.decode()
    assert answer.status_code == 413
    assert "A file may have 0.01 MB here, and 36." in page
    assert "Nothing of it was stored." in page
    assert "PLAYBOOK_MAX_UPLOAD_MB" in page


def test_what_a_page_takes_is_told_beside_its_field(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(NEW, {"how": "three", **sent(11_000, "train", "validation", "test")})
    assert answer.status_code == 422
    assert answer.content.decode().count("MB; the limit is 0.01 MB.") == 3


def test_documents_may_take_one_file_together(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    address = "/datasets/documents/new/support-ticket-triage/"
    assert client.post(address, sent(14_500, "brought")).status_code == 422
    assert client.post(address, sent(15_001, "brought")).status_code == 413


def test_nothing_of_what_a_stranger_sends_reaches_the_disk(db: None, settings: Settings, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "missing")  # to write there would fail
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    strict = Client(enforce_csrf_checks=True)
    strict.get("/account/login/")
    answer = strict.post("/account/login/", sent(6_000, "file"))
    assert answer.status_code == 413
    assert "This form takes no files, and 6." in answer.content.decode()


def test_a_disk_that_is_full_before_the_whole_file_is_there_is_told(
    client: Client, use_case: UseCase, alice: User, settings: Settings, tmp_path: Path
) -> None:
    """The system refuses to let the file grow, as on a full disk."""
    settings.PLAYBOOK_MAX_UPLOAD_MB = 10
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    client.force_login(alice)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, limits[1]))
    try:
        answer = client.post(NEW, {"how": "one", **sent(6_000_000, "file")})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert answer.status_code == 507
    assert "There is no room for the file, so nothing was stored." in answer.content.decode()
    assert not list(tmp_path.glob("*.upload*"))
