"""A small content folder, written new for each test."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

ARTICLE = """---
title: What LoRA changes
summary: It trains two thin matrices beside each weight.
owner: ML platform
reviewed: 2026-11-20
---

## Answer

Little.
"""

CHECKLIST = """slug: go
version: 1
title: Go?
summary: One question decides.
questions:
  - id: ready
    text: Are we ready?
    why: It is cheaper to ask.
    article: train/lora
    evidence: A list.
    settles: Write the list.
    reasons:
      yes: We are ready.
outcomes:
  - {id: go, title: Go, advice: Start., when: 'ready == "yes"', tone: go}
  - {id: wait, title: Wait, advice: Prepare., when: 'ready != "yes"', tone: wait}
signing:
  - role: ml_lead
review_in: 30d
criterion: {metric: exact_match, arm: lora, threshold: 0.8}
"""

MODELS = """- id: small
  title: Small
  parameters: 1000
  licence: MIT
  context_length: 128
  size_bytes: 2000
  source: Made for this test.
"""

RECIPE = """slug: quick
title: Quick
summary: A quick one.
settings:
  base_model: {id: small}
"""

AREAS = """areas:
  - {slug: start-here, title: Start here, summary: First things.}
  - {slug: train, title: Train, summary: Runs.}
"""

_SPLIT = '{rows: 1, size_bytes: 3, sha256: "' + "0" * 64 + '"}'
CARD = f"""---
slug: tickets
title: Tickets
summary: Short ones.
licence: CC0-1.0
owner: Us
source: Written by hand.
consent: Not needed.
splits:
  train: {_SPLIT}
  validation: {_SPLIT}
  test: {_SPLIT}
---
The card.
"""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


#: A grey picture of 3 by 2 pixels.
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\x00\x80\x80\x80" * 2))
    + _chunk(b"IEND", b"")
)

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A content folder with one sound file of each kind."""
    folder = tmp_path / "content"
    files = {
        "articles/areas.yaml": AREAS,
        "articles/train/lora.md": ARTICLE,
        "checklists/go.yaml": CHECKLIST,
        "recipes/quick.yaml": RECIPE,
        "models.yaml": MODELS,
        "datasets/tickets/card.md": CARD,
        **{f"datasets/tickets/{split}.jsonl": "{}\n" for split in ("train", "validation", "test")},
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def write(content: Path) -> Write:
    """Write one file into the content folder."""

    def write_file(path: str, data: str | bytes) -> Path:
        file = content / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return file

    return write_file
