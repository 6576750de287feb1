"""How much a form may send along with files: told by its header, before any of it is read.

Django writes files to disk as they come, while it looks for the CSRF token: before a view is called, and whoever sent
them. A body of a length that nobody told is never read at all: Django reads as much as its header tells.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler
from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict

from playbook.datasets.spec import DISK_FULL

#: A form that is refused is read to its end all the same, up to this: a browser that is still sending when the
#: connection ends may show that it broke, and not the page that says why. Nobody waits for the end of a longer one.
READ_AWAY_BYTES = 2_000_000_000
_CHUNK_BYTES = 1024 * 1024
_FILES = "files_taken"
View = TypeVar("View", bound=Callable[..., Any])


class UploadTooBig(RequestDataTooBig):
    """The form is larger than all that its page takes. `files`: how many that are, each of the largest size."""

    def __init__(self, *, size_bytes: int, files: int) -> None:
        super().__init__(f"{size_bytes:,} bytes for a page that takes {files} files")
        self.size_bytes, self.files = size_bytes, files


class UploadDiskFull(SuspiciousOperation):
    """The disk has no room for a file while it comes in: nobody's fault who sends it, but told as a page."""


def takes_files(files: int) -> Callable[[View], View]:
    """Let a view be sent as much as so many files of `PLAYBOOK_MAX_UPLOAD_MB`; others are sent texts alone. Its form
    says what is wrong with each file."""

    def note(view: View) -> View:
        setattr(view, _FILES, files)
        return view

    return note


def read_away(request: HttpRequest) -> None:
    """Read what is left of a request that is refused, unless it is longer than `READ_AWAY_BYTES`."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) <= READ_AWAY_BYTES:
        with suppress(OSError):  # they have gone
            while request.read(_CHUNK_BYTES):
                pass


class BoundedUpload(FileUploadHandler):
    """Refuses a form that is far larger than its page takes. Raises UploadTooBig; keeps nothing itself."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, Any],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> tuple[Any, MultiValueDict[str, Any]] | None:
        found = getattr(self.request, "resolver_match", None)
        files: int = getattr(found.func, _FILES, 0) if found else 0
        if content_length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE + files * settings.PLAYBOOK_MAX_UPLOAD_MB * 1_000_000:
            raise UploadTooBig(size_bytes=content_length, files=files)
        return None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


class UploadToDisk(TemporaryFileUploadHandler):
    """Django's handler. Raises UploadDiskFull when there is no room for the file, of which nothing is left then."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        with self._room():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> "UploadedFile[bytes] | None":
        with self._room():
            return super().file_complete(file_size)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            # Closing writes what waits in memory, for which there is no room either; the file goes all the same.
            with suppress(OSError):
                self.file.close()
            raise UploadDiskFull(str(error)) from error
