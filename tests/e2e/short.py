"""The content with its first experiment in short, so that a walk through the product takes a minute or two.

The job of the walk is a real one either way: site, worker, trainer and the sample model. `WHOLE_EXPERIMENT=1`, as in
`make proof`, runs it as it is shipped, and holds its scores against the shipped intervals.
"""

import hashlib
import os
import shutil
from pathlib import Path

from tests.shipped import CONTENT

IS_WHOLE = bool(os.environ.get("WHOLE_EXPERIMENT"))
#: Of 90 steps.
STEPS = 20
#: Of 40 and 80: each row is a pass or an answer of the sample model.
ROWS = {"validation": 10, "test": 10}


def content_of_the_walk(folder: Path) -> Path:
    """Return the content folder that the demo of the walk shows: the shipped one, or a copy of it below `folder`."""
    return CONTENT if IS_WHOLE else _write_short(folder / "content")


def _write_short(content: Path) -> Path:
    shutil.copytree(CONTENT, content)
    _replace(content / "recipes/support-tickets-lora.yaml", "max_steps: 90", f"max_steps: {STEPS}")
    dataset = content / "datasets/support-tickets"
    for split, count in ROWS.items():
        rows = dataset / f"{split}.jsonl"
        whole = rows.read_bytes()
        some = b"".join(whole.splitlines(keepends=True)[:count])
        rows.write_bytes(some)
        _replace(dataset / "card.md", _described(whole), _described(some))
    return content


def _described(rows: bytes) -> str:
    """Return what the card of a dataset says of a split."""
    facts = {"rows": rows.count(b"\n"), "size_bytes": len(rows), "sha256": hashlib.sha256(rows).hexdigest()}
    return "".join(f"    {name}: {value}\n" for name, value in facts.items())


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
