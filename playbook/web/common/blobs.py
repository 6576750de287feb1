"""Content-addressed files under `PLAYBOOK_DATA_DIR/blobs/<first two>/<sha256>`. Never edited, so never locked."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings


@dataclass(frozen=True)
class Blob:
    sha256: str
    size_bytes: int


def path_of(sha256: str) -> Path:
    """Return where the blob with this digest lies (or would lie)."""
    return Path(settings.PLAYBOOK_DATA_DIR) / "blobs" / sha256[:2] / sha256


def store(chunks: Iterable[bytes]) -> Blob:
    """Write the chunks as one blob and return its digest and size. The same content is kept once.

    Atomic: the file appears under its name complete or not at all. Raises OSError when the disk is full.
    """
    folder = Path(settings.PLAYBOOK_DATA_DIR) / "blobs"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size_bytes = 0
    descriptor, name = tempfile.mkstemp(dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        final = path_of(digest.hexdigest())
        final.parent.mkdir(exist_ok=True)
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return Blob(sha256=digest.hexdigest(), size_bytes=size_bytes)


def open_blob(sha256: str) -> BinaryIO:
    """Open a blob for reading. Raises FileNotFoundError when it is not there."""
    return path_of(sha256).open("rb")


def is_intact(sha256: str) -> bool:
    """Return whether the blob's bytes still have its digest. Raises FileNotFoundError when it is not there."""
    with path_of(sha256).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
