"""The history page of an article: commits and diffs from a real repository."""

from pathlib import Path

import pytest
from django.test import Client

from tests.library.test_history import commit, git
from tests.web.wiki.shelf import article_text

THIRD = "articles/train/third.md"
PAGE = "/library/train/third/history/"


@pytest.fixture
def repository(content: Path) -> Path:
    git(content, "init", "-q")
    commit(content, THIRD, article_text("Third", "Text that <stands>.\n"), "Write the third", day=1)
    commit(content, THIRD, article_text("Third", "Words that <stand>.\n"), "Mend <b>grammar</b>", day=2)
    return content


def test_history_lists_commits_and_shows_the_newest_change(reader: Client, repository: Path) -> None:
    page = reader.get(PAGE).content.decode()

    assert page.index("Mend &lt;b&gt;grammar&lt;/b&gt;") < page.index("Write the third")
    assert "Alice Moreau" in page
    assert "<del>Text</del><ins>Words</ins> that <del>&lt;stands&gt;.</del><ins>&lt;stand&gt;.</ins>" in page


def test_an_older_commit_is_shown_against_its_parent(reader: Client, repository: Path) -> None:
    first = git(repository, "rev-list", "--max-parents=0", "HEAD")

    page = reader.get(PAGE, {"commit": first}).content.decode()

    assert "<ins>Text that &lt;stands&gt;.</ins>" in page
    assert f'<a class="commit" href="?commit={first}" aria-current="true">' in page


@pytest.mark.parametrize("wanted", ["HEAD", "--output=x", "0" * 40, "a;b", "\x00"])
def test_only_commits_of_the_article_are_shown(reader: Client, repository: Path, wanted: str) -> None:
    assert reader.get(PAGE, {"commit": wanted}).status_code == 404


def test_a_commit_of_another_file_is_not_found(reader: Client, repository: Path) -> None:
    other = commit(repository, "articles/train/second.md", article_text("Second", "New.\n"), "Second", day=3)

    assert reader.get(PAGE, {"commit": other}).status_code == 404


def test_a_new_file_has_no_history(reader: Client, repository: Path) -> None:
    (repository / "articles/train/fourth.md").write_text(article_text("Fourth", "Text.\n"))

    assert "Git knows no commit of this file" in reader.get("/library/train/fourth/history/").content.decode()


def test_content_outside_git_has_no_history(reader: Client) -> None:
    assert "Git knows no commit of this file" in reader.get(PAGE).content.decode()
    assert reader.get("/library/train/nothing/history/").status_code == 404


def test_the_article_shows_when_it_last_changed(reader: Client, repository: Path) -> None:
    page = reader.get("/library/train/third/").content.decode()

    assert f'<a href="{PAGE}">Changed <time datetime="2026-11-02">2 November 2026</time></a>' in page


def test_the_feed_takes_the_later_of_review_and_commit(reader: Client, repository: Path) -> None:
    feed = reader.get("/library/feed.atom").content.decode()

    assert "<updated>2026-11-02T09:00:00+00:00</updated>" in feed
    assert "Last change: Mend &lt;b&gt;grammar&lt;/b&gt;" in feed
