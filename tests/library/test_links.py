"""What links mean, who links to whom, and names that articles had before."""

from pathlib import Path

import pytest

from playbook.library.content import Library, LibraryMemory, load_library
from playbook.library.links import content_path
from playbook.library.problems import ContentProblem
from tests.library.conftest import ARTICLE, Write


def _write(write: Write, key: str, body: str, *, more: str = "") -> None:
    text = ARTICLE.replace("What LoRA changes", key).replace("owner:", f"{more}owner:").replace("Little.", body)
    write(f"articles/{key}.md", text)


@pytest.mark.parametrize(
    ("href", "found"),
    [
        ("rank.md", ("articles/train/rank.md", "")),
        ("../decide/x.md#cost", ("articles/decide/x.md", "cost")),
        ("./rank.md?plain=1#a", ("articles/train/rank.md", "a")),
        ("#here", ("articles/train/lora.md", "here")),
        ("#%C3%BCber", ("articles/train/lora.md", "über")),
        ("https://example.org/x", None),
        ("mailto:a@example.org", None),
        ("//example.org/x", None),
        ("../../../etc/passwd", ("", "")),
        ("%2e%2e/%2e%2e/%2e%2e/etc/passwd", ("", "")),
        ("/jobs/", ("", "")),
        ("?a=1", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_link_means_a_content_file(href: str, found: tuple[str, str] | None) -> None:
    assert content_path("articles/train/lora.md", href) == found


def _library(content: Path, write: Write) -> Library:
    _write(write, "decide/first", "To [two](../train/second.md), [[second]], [[first#answer]], ![x](../x.png).")
    _write(write, "train/second", "To [[train/third|three]] and [gone](gone.md).", more="related: [decide/first]\n")
    _write(write, "train/third", "Nothing.")
    return load_library(content)


def test_backlinks_name_each_article_once_in_reading_order(content: Path, write: Write) -> None:
    _write(write, "start-here/zero", "Also [[second#answer]].")
    library = _library(content, write)

    assert {key: [article.key for article in library.backlinks(key)] for key in library.articles} == {
        "start-here/zero": [],
        "train/lora": [],
        "train/second": ["start-here/zero", "decide/first"],
        "train/third": ["train/second"],
        "decide/first": [],
    }
    assert library.backlinks("no/such") == ()


def test_backlinks_follow_what_changed(content: Path, write: Write) -> None:
    memory = LibraryMemory()
    _write(write, "train/second", "To [[lora]].")
    _write(write, "train/third", "To [[lora]] and [[fourth]].")

    def backlinks() -> dict[str, list[str]]:
        library = load_library(content, memory)
        return {key: [article.key for article in library.backlinks(key)] for key in library.articles}

    first = {"train/lora": ["train/second", "train/third"], "train/second": [], "train/third": []}
    assert backlinks() == first
    assert backlinks() == first

    _write(write, "train/second", "To [[third]] now.")
    assert backlinks() == {"train/lora": ["train/third"], "train/second": [], "train/third": ["train/second"]}

    _write(write, "train/fourth", "New.")
    assert backlinks()["train/fourth"] == ["train/third"]


def test_orphans_are_reached_by_no_text_relation_or_checklist(content: Path, write: Write) -> None:
    _write(write, "decide/lonely", "To [[second]].")

    library = _library(content, write)

    assert [article.key for article in library.links.orphans] == ["decide/lonely"]


def test_a_bare_name_must_be_unique(content: Path, write: Write) -> None:
    _write(write, "decide/lora", "x")
    library = load_library(content)

    assert (library.article("lora"), library.article("train/lora")) == (None, library.articles["train/lora"])
    assert [str(problem) for problem in library.problems_of("articles/train/lora.md")] == [
        "articles/train/lora.md:1: slug 'lora' is also that of articles/decide/lora.md, so that [[lora]] could mean "
        "either; rename one and give it an alias"
    ]


def test_former_names_lead_to_the_article(content: Path, write: Write) -> None:
    _write(write, "train/second", "x", more="aliases: [old-second, decide/moved]\n")
    library = load_library(content)
    second = library.articles["train/second"]

    assert library.aliases == {"train/old-second": "train/second", "decide/moved": "train/second"}
    assert [library.article(name) for name in ("old-second", "moved", "decide/moved#answer")] == [second] * 3
    assert library.target("articles/decide/moved.md") is second
    assert library.problems_of(second.path) == ()


def test_a_former_name_belongs_to_one_article(content: Path, write: Write) -> None:
    _write(write, "train/a", "x", more="aliases: [old, lora]\n")
    _write(write, "train/b", "x", more="aliases: [train/old]\n")

    library = load_library(content)

    assert library.aliases == {"train/old": "train/a"}
    assert library.problems == (
        ContentProblem(
            path="articles/train/a.md",
            line=4,
            message="alias 'lora' is the name of articles/train/lora.md; remove it from one of the two",
        ),
        ContentProblem(
            path="articles/train/b.md",
            line=4,
            message="alias 'train/old' is the name of articles/train/a.md; remove it from one of the two",
        ),
    )


def test_tags_list_their_articles(content: Path, write: Write) -> None:
    _write(write, "train/second", "x", more="tags: [speed, data]\n")
    _write(write, "decide/first", "x", more="tags: [data]\n")

    assert {tag: [article.key for article in articles] for tag, articles in load_library(content).tags.items()} == {
        "data": ["train/second", "decide/first"],
        "speed": ["train/second"],
    }
