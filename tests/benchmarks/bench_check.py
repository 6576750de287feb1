"""The library at 1,000 to 10,000 articles: reading it, checking it, taking over one change, and the first rendering.

`python -m tests.benchmarks check` prints the rows.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from playbook.library.articles import Article, read_article
from playbook.library.check import check_library
from playbook.library.content import Library, LibraryMemory, load_library
from playbook.library.files import Watch
from playbook.library.markdown import render
from tests.benchmarks.content_folder import write_content
from tests.benchmarks.table import Row

SIZES = (1_000, 2_000, 4_000)
LARGE = 10_000
TODAY = date(2026, 11, 24)
_FRONT = "---\ntitle: T\nsummary: S\nowner: O\nreviewed: 2026-11-20\n---\n"
_CODE = """```python
def accuracy(predicted: list[str], expected: list[str]) -> float:
    '''Return the share of exact matches.'''
    hits = sum(a.strip() == b.strip() for a, b in zip(predicted, expected, strict=True))
    return hits / len(expected) if expected else 0.0


class Report:
    def __init__(self, rows: int) -> None:
        self.rows = rows  # of the test split
```
"""


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows, and nothing else worth keeping."""
    rows = [*_checks(), *_large_library(), *_renderings()]
    return rows, {}


def _checks() -> list[Row]:
    """Read and check from nothing, as `manage.py check_content` does."""
    seconds = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            write_content(Path(name), size)
            seconds[size] = min(_seconds(lambda: _check(Path(name))) for _ in range(2))
    rows = [
        Row(f"check_content, {size:,} articles, cold", took, "s", at_most=5.0 if size == 2_000 else None)
        for size, took in seconds.items()
    ]
    growth = seconds[4_000] / seconds[1_000]
    return [*rows, Row("check_content, 4,000 articles against 1,000 (linear: 4)", growth, "times", at_most=5.0)]


def _check(folder: Path) -> None:
    library = load_library(folder)
    found = check_library(library, today=TODAY)
    if any(problem.severity == "error" for problem in found):
        raise RuntimeError(f"the generated corpus should be sound, but: {found[0]}")


def _large_library() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder, memory = Path(name), LibraryMemory()
        write_content(folder, LARGE)
        libraries: list[Library] = []
        read = _seconds(lambda: libraries.append(load_library(folder, memory)))
        graph = _seconds(lambda: libraries[0].links)
        watch = Watch(folder)
        watch.look()
        time.sleep(2.1)  # until the folders have settled; see files.SETTLED_NS
        watch.look()
        look = min(_seconds(watch.look) for _ in range(20))
        changed = folder / "articles/train/article-3.md"
        changed.write_text(changed.read_text() + "\nChanged.\n")
        again = _seconds(lambda: libraries.append(load_library(folder, memory)))
        links = _seconds(lambda: libraries[1].links)
    return [
        Row(f"library of {LARGE:,} articles, first read", read, "s"),
        Row(f"library of {LARGE:,} articles, link graph at the first use", graph, "s"),
        Row(f"library of {LARGE:,} articles, a look for changes", look * 1e3, "ms"),
        Row(f"library of {LARGE:,} articles, one changed file read again", again * 1e3, "ms"),
        Row(f"library of {LARGE:,} articles, link graph after one change", links * 1e3, "ms"),
    ]


def _renderings() -> list[Row]:
    """The first rendering of a page, in a process that has rendered others: nothing of this article is cached."""
    library = load_library(Path(__file__).parents[2] / "content")
    plain = library.articles["train/what-lora-changes"]
    coded = read_article("articles/train/x.md", _FRONT + plain.body + "\n" + "\n".join([_CODE] * 10))
    return [
        Row("first render of an article", _render_ms(plain, library), "ms"),
        Row("first render of an article with 10 code blocks", _render_ms(coded, library), "ms", at_most=40.0),
    ]


def _render_ms(article: Article, library: Library) -> float:
    return 1e3 * min(_seconds(lambda: render(article, lambda path: f"/{path}", library)) for _ in range(5))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
