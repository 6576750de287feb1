"""The index of this process follows the content files, and the article page's related articles come from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from playbook.library.search_documents import PUBLIC
from playbook.library.search_query import Filters
from playbook.web.common import content, finding

EVERYBODY = Filters(groups=(PUBLIC,))


@pytest.fixture
def folder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("playbook.library.content.CHECK_SECONDS", 0.0)
    settings.PLAYBOOK_CONTENT_DIR = tmp_path
    (tmp_path / "articles/train").mkdir(parents=True)
    finding.forget_indexes()
    yield tmp_path
    finding.forget_indexes()


def write(folder: Path, slug: str, title: str, text: str) -> None:
    front = f"title: {title}\nsummary: A summary.\nowner: Alice\nreviewed: 2026-11-01\n"
    (folder / f"articles/train/{slug}.md").write_text(f"---\n{front}---\n{text}\n")


def test_changed_files_are_found_without_a_restart(folder: Path) -> None:
    write(folder, "one", "Adapters", "Thin matrices.")
    assert finding.content_index().current().search("adapters", EVERYBODY).total == 1
    write(folder, "one", "Quantisation", "Four bits.")
    assert [hit.key for hit in finding.content_index().current().search("quantisation", EVERYBODY).hits] == [
        "train/one"
    ]
    assert finding.content_index().current().search("adapters", EVERYBODY).total == 0
    (folder / "articles/train/one.md").unlink()
    assert finding.content_index().current().search("quantisation", EVERYBODY).total == 0


def test_related_articles_share_words(folder: Path) -> None:
    write(folder, "one", "Adapters", "Rank and alpha scale the adapter matrices.")
    write(folder, "two", "Rank", "The rank of the adapter matrices.")
    write(folder, "three", "Tickets", "Queues and teams.")
    assert finding.related("train/one", limit=1) == ("train/two",)
    assert finding.related("train/none") == ()


def test_a_large_library_is_indexed_beside_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_AT_ONCE", 1)
    write(folder, "one", "Adapters", "Rank and alpha scale the adapter matrices.")
    write(folder, "two", "Rank", "The rank of the adapter matrices.")
    assert len(content.library().articles) == 2
    assert finding.related("train/one") == ()
    finding.content_index().current()  # waits for the thread, which holds the lock
    assert finding.related("train/one") == ("train/two",)
