"""Pictures: what their bytes say, and what is refused."""

import struct
import zlib
from pathlib import Path

import pytest

from playbook.library.content import load_library
from playbook.library.images import Image, read_image
from playbook.library.problems import ContentError
from tests.library.conftest import PNG, Write

GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"\x00\x00\x00;"
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 2, 3) + b"\x03" + b"\0" * 9
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x01\x00\x00"
WEBP_LOSSLESS = b"RIFF\x00\x00\x00\x00WEBPVP8L\x05\x00\x00\x00\x2f" + (2 | 1 << 14).to_bytes(4, "little")
AVIF = b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00"


def test_the_sample_is_a_png() -> None:
    chunk = PNG[12:29]
    assert PNG[29:33] == struct.pack(">I", zlib.crc32(chunk))


@pytest.mark.parametrize(
    ("name", "data", "media_type", "size"),
    [
        ("x.png", PNG, "image/png", (3, 2)),
        ("x.gif", GIF, "image/gif", (3, 2)),
        ("x.jpg", JPEG, "image/jpeg", (3, 2)),
        ("x.JPEG", JPEG, "image/jpeg", (3, 2)),
        ("x.webp", WEBP, "image/webp", (3, 2)),
        ("x.webp", WEBP_LOSSLESS, "image/webp", (3, 2)),
        ("x.avif", AVIF, "image/avif", (None, None)),
    ],
)
def test_a_picture_has_its_type_and_size(
    content: Path, write: Write, name: str, data: bytes, media_type: str, size: tuple[int | None, int | None]
) -> None:
    write(f"images/{name}", data)

    assert load_library(content).images == {
        f"images/{name}": Image(
            path=f"images/{name}", media_type=media_type, size_bytes=len(data), width=size[0], height=size[1]
        )
    }


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.png", b"<svg onload=alert(1)>", "named as image/png, but its bytes are no image; replace or rename it"),
        ("x.png", JPEG, "named as image/png, but its bytes are image/jpeg; replace or rename it"),
        ("x.gif", b"", "named as image/gif, but its bytes are no image; replace or rename it"),
        ("x.png", PNG.ljust(2_097_153, b"\0"), "image of 2,097,153 bytes; keep it under 2,097,152"),
        ("x.gif", b"GIF89a" + b"\0" * 8, "an image of 0 by 0 pixels; replace it"),
    ],
)
def test_what_is_no_picture_is_a_problem_of_its_file(
    content: Path, write: Write, name: str, data: bytes, message: str
) -> None:
    write(f"articles/train/{name}", data)

    library = load_library(content)

    assert [str(problem) for problem in library.problems] == [f"articles/train/{name}:1: {message}"]
    assert (library.images, list(library.articles)) == ({}, ["train/lora"])


@pytest.mark.parametrize(("name", "kind", "data"), [("x.jpg", "jpeg", JPEG[:12]), ("x.png", "png", PNG[:16])])
def test_a_header_cut_short_is_no_picture(content: Path, write: Write, name: str, kind: str, data: bytes) -> None:
    write(name, data)

    with pytest.raises(ContentError, match=f"image/{kind} that ends before it says its size; replace it"):
        read_image(content, name)


def test_a_picture_through_a_symlink_is_refused(content: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    (content / "x.png").symlink_to(tmp_path / "secret.png")

    assert load_library(content).images == {}
    with pytest.raises(ContentError, match="cannot be read"):
        read_image(content, "x.png")
