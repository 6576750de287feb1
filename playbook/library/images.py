"""Pictures among the content files: what their first bytes say they are, and their size on the page.

SVG is left out on purpose: it can carry script, and is one click away from being opened on its own.
"""

import os
import struct
from pathlib import Path

from playbook.contracts.model import Frozen
from playbook.library.problems import ContentError

MAX_IMAGE_BYTES = 2 * 1024 * 1024
HEAD_BYTES = 64 * 1024
MEDIA_TYPES = {
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}


class Image(Frozen):
    """A picture. `path` is relative to the content folder; width and height are in pixels, None where the format hides
    them (AVIF)."""

    path: str
    media_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None


def is_image_path(path: str) -> bool:
    return _extension(path) in MEDIA_TYPES


def read_image(content_dir: Path, path: str) -> Image:
    """Return what the file at `path` is. Raises ContentError when it is too large or not what its name says."""
    try:
        descriptor = os.open(content_dir / path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise ContentError((1, f"cannot be read: {error.strerror}")) from error
    if size_bytes > MAX_IMAGE_BYTES:
        raise ContentError((1, f"image of {size_bytes:,} bytes; keep it under {MAX_IMAGE_BYTES:,}"))
    expected = MEDIA_TYPES[_extension(path)]
    found = _media_type(head)
    if found != expected:
        raise ContentError((1, f"named as {expected}, but its bytes are {found or 'no image'}; replace or rename it"))
    width, height = _pixels(found, head) or (None, None)
    if width is None and size_bytes <= HEAD_BYTES and found != "image/avif":
        raise ContentError((1, f"{found} that ends before it says its size; replace it"))
    if 0 in (width, height):
        raise ContentError((1, f"an image of {width} by {height} pixels; replace it"))
    return Image(path=path, media_type=found, size_bytes=size_bytes, width=width, height=height)


def _extension(path: str) -> str:
    return "." + path.rpartition(".")[2].lower()


def _media_type(head: bytes) -> str | None:
    """Return the media type that the magic bytes name."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return "image/png"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


def _pixels(media_type: str, head: bytes) -> tuple[int, int] | None:
    """Return width and height, so that the page keeps the place before the picture has loaded."""
    try:
        match media_type:
            case "image/png":
                width, height = struct.unpack(">II", head[16:24])
                return width, height
            case "image/gif":
                width, height = struct.unpack("<HH", head[6:10])
                return width, height
            case "image/jpeg":
                return _jpeg_pixels(head)
            case "image/webp":
                return _webp_pixels(head)
    except (struct.error, IndexError):
        return None  # cut short within its header
    return None


def _jpeg_pixels(head: bytes) -> tuple[int, int] | None:
    """Walk the segments to the start of frame (ITU-T T.81, B.2.2)."""
    place = 2
    while place + 9 < len(head) and head[place] == 0xFF:
        marker, length = head[place + 1], struct.unpack(">H", head[place + 2 : place + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[place + 5 : place + 9])
            return width, height
        place += 2 + length
    return None


def _webp_pixels(head: bytes) -> tuple[int, int] | None:
    """Read the first chunk (RFC 9649, section 2)."""
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
