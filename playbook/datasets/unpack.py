"""Files as streams of plain bytes: gzip unpacked on the way, the size limited, never a whole file in memory."""

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

from playbook.contracts.dataset_problems import Problem, ProblemCode
from playbook.datasets.problems import UnreadableFile
from playbook.datasets.spec import Limits

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
_FOREIGN = {
    GZIP: ("gzip within gzip", "Pack the file once."),
    b"PK\x03\x04": ("a ZIP or Excel file", "Unpack it, or save the sheet as CSV, UTF-8."),
    b"\xff\xfe\0\0": ("UTF-32 text", "Save the file as UTF-8."),
    b"\xff\xfe": ("UTF-16 text", "Save the file as UTF-8."),
    b"\xfe\xff": ("UTF-16 text", "Save the file as UTF-8."),
    b"BZh": ("a bzip2 file", "Unpack it, or pack it with gzip."),
    b"\xfd7zXZ": ("an xz file", "Unpack it, or pack it with gzip."),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "Unpack it, or pack it with gzip."),
    b"PARE": ("an encrypted Parquet file", "Write it without encryption, or export the rows as JSONL."),
    b"ARROW1": ("an Arrow file", "Write it as Parquet, or export the rows as JSONL."),
    b"\xff\xff\xff\xff": (
        "an Arrow file",
        "Write it as Parquet, or export the rows as JSONL.",
    ),  # of datasets.save_to_disk
    b"\xd0\xcf\x11\xe0": ("an Excel or Word file of old", "Save the sheet as CSV, UTF-8."),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it, or pack the rows with gzip."),
    b"Rar!": ("a RAR archive", "Unpack it, or pack the rows with gzip."),
    b"\x93NUMPY": ("a NumPy array", "Write the rows as JSONL or Parquet."),
    b"Obj\x01": ("an Avro file", "Write it as Parquet, or export the rows as JSONL."),
    b"{\\rtf": ("a text with formats (RTF)", "Bring the rows themselves, as JSONL or CSV."),
    b"%PDF": ("a PDF", "Bring the rows themselves, as JSONL or CSV; a document has none."),
    b"\x89PNG": ("a picture", "Bring the rows themselves, as JSONL or CSV."),
    b"\xff\xd8\xff": ("a picture", "Bring the rows themselves, as JSONL or CSV."),
    b"SQLite format 3": ("a SQLite database", "Export the table as CSV."),
    **{
        bytes([0x80, protocol]): ("a pickle", "Save the rows as JSONL; a pickle can run code and is never opened.")
        for protocol in range(2, 6)
    },
}


def refuse_file(
    value: str, fix: str, *, code: ProblemCode = ProblemCode.UNREADABLE_FILE, line: int = 0
) -> UnreadableFile:
    """Return the exception that says why a file cannot be read, on from a line, or as a whole: 0."""
    return UnreadableFile(Problem(line=line, field="file", value=value, code=code, fix=fix))


class Unpacked(io.RawIOBase):
    """The plain bytes of a file. Raises UnreadableFile when they exceed the limits or the gzip stream is broken."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._packed: BinaryIO = path.open("rb")
        self._size = path.stat().st_size
        self._limits = limits
        self._count = 0
        magic = self._packed.read(2)
        self._packed.seek(0)
        self.is_gzip = magic == GZIP
        self._plain: BinaryIO = (
            gzip.GzipFile(fileobj=self._packed) if self.is_gzip else self._packed  # type: ignore[assignment]
        )

    @property
    def share_read(self) -> float:
        """How much of the stored file was read, 0 to 1."""
        return self._packed.tell() / self._size if self._size else 1.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        try:
            found = self._plain.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            if not self.is_gzip:
                raise
            raise refuse_file(f"broken gzip: {error}", "Pack the file again; it is cut off or damaged.") from error
        self._count += len(found)
        self._check()
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._packed.close()
        super().close()

    def _check(self) -> None:
        limits = self._limits
        if self._count > limits.unpacked_bytes:
            raise refuse_file(
                f"more than {limits.unpacked_bytes:,} bytes unpacked",
                "Split the file, or bring a sample of its rows.",
                code=ProblemCode.UNPACKS_TOO_LARGE,
            )
        if self._count > max(limits.free_bytes, limits.ratio * self._size):
            raise refuse_file(
                f"{self._size:,} bytes unpack to more than {limits.ratio} times as much",
                "No text packs this well; it is a gzip bomb or an endless repetition. Bring the rows unpacked.",
                code=ProblemCode.UNPACKS_TOO_LARGE,
            )


def refuse_foreign(head: bytes) -> None:
    """Raise UnreadableFile, with what to do, when the first bytes are those of a format that holds no rows for us."""
    for magic, (kind, fix) in _FOREIGN.items():
        if head.startswith(magic):
            raise refuse_file(kind, fix)
    if head[257:262] == b"ustar":
        raise refuse_file("a tar archive", "Unpack it, and bring one file of rows.")
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise refuse_file("a web page", "Bring the rows themselves; a download may have ended at a page to log in.")
    if head.lstrip()[:5].lower() == b"<?xml":
        raise refuse_file("an XML file", "Bring the rows themselves, as JSONL or CSV.")
    beginning = head[:256]
    if not head.startswith(PARQUET) and beginning.count(0) * 4 >= len(beginning) > 0:
        raise refuse_file("UTF-16 text, or no text at all", "Save the file as UTF-8.")


def refuse_old_line_ends(head: bytes) -> None:
    """Raise UnreadableFile when lines end in a lone carriage return: the whole file would be one line."""
    if b"\r" in head.rstrip(b"\r") and b"\n" not in head:
        raise refuse_file(
            "lines that end in a lone carriage return", "Save the file with the line ends LF (Unix) or CRLF (Windows)."
        )
