"""Content-addressed files: named by digest, kept once, nothing half-written left behind."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from playbook.web.common import blobs


def test_store_names_the_file_by_its_digest_and_returns_its_size() -> None:
    blob = blobs.store([b"hello ", b"world"])
    assert blob == blobs.Blob(sha256=hashlib.sha256(b"hello world").hexdigest(), size_bytes=11)
    with blobs.open_blob(blob.sha256) as file:
        assert file.read() == b"hello world"


def test_the_same_content_is_kept_once(settings: Settings) -> None:
    assert blobs.store([b"same"]) == blobs.store([b"sa", b"me"])
    stored = [path for path in Path(settings.PLAYBOOK_DATA_DIR).rglob("*") if path.is_file()]
    assert stored == [blobs.path_of(hashlib.sha256(b"same").hexdigest())]


def test_a_failed_write_leaves_no_file(settings: Settings) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        blobs.store(chunks())
    assert [path for path in Path(settings.PLAYBOOK_DATA_DIR).rglob("*") if path.is_file()] == []
