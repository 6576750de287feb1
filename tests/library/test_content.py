"""Content files → library: what is read, and that a broken file takes nothing else down."""

import os
import shutil
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from playbook.contracts.dataset import Split
from playbook.library import content as module
from playbook.library import files
from playbook.library.articles import Freshness
from playbook.library.content import Library, LibraryCache, LibraryMemory, load_library
from tests.library.conftest import ARTICLE, CHECKLIST, Write


def _problems(content: Path) -> list[str]:
    return [str(problem) for problem in load_library(content).problems]


def test_a_sound_folder_is_read_whole(content: Path) -> None:
    library = load_library(content)

    assert library.problems == ()
    assert [(area.slug, [article.key for article in area.articles]) for area in library.areas] == [
        ("start-here", []),
        ("train", ["train/lora"]),
    ]
    assert (list(library.checklists), list(library.recipes), list(library.base_models), list(library.datasets)) == (
        ["go"],
        ["quick"],
        ["small"],
        ["tickets"],
    )
    assert library.datasets["tickets"].split_path(Split.TEST) == "datasets/tickets/test.jsonl"
    assert library.datasets["tickets"].body == "The card.\n"
    assert library.base_models["small"].ref == library.recipes["quick"].settings.base_model


def test_article_carries_its_front_matter_and_body(content: Path) -> None:
    article = load_library(content).articles["train/lora"]

    assert (article.area, article.slug, article.path) == ("train", "lora", "articles/train/lora.md")
    assert (article.title, article.owner, article.reviewed) == ("What LoRA changes", "ML platform", date(2026, 11, 20))
    assert (article.body, article.body_line, article.text) == ("\n## Answer\n\nLittle.\n", 7, ARTICLE)
    assert (article.review_in, article.due) == (timedelta(days=90), date(2027, 2, 18))


@pytest.mark.parametrize(
    ("today", "freshness"),
    [
        (date(2026, 11, 24), Freshness.FRESH),
        (date(2027, 2, 4), Freshness.FRESH),
        (date(2027, 2, 5), Freshness.DUE_SOON),
        (date(2027, 2, 18), Freshness.DUE_SOON),
        (date(2027, 2, 19), Freshness.OVERDUE),
    ],
)
def test_freshness_follows_the_review_date(content: Path, today: date, freshness: Freshness) -> None:
    assert load_library(content).articles["train/lora"].freshness(today) is freshness


def test_articles_are_ordered_by_order_then_title(content: Path, write: Write) -> None:
    write("articles/train/a.md", ARTICLE.replace("What LoRA changes", "Zebra"))
    write("articles/train/b.md", ARTICLE.replace("title: What", "order: 1\ntitle: What"))

    assert [article.slug for article in load_library(content).areas[1].articles] == ["b", "lora", "a"]


def test_targets_are_found_by_path(content: Path) -> None:
    library = load_library(content)

    found = {
        path: library.target(path) for path in ("articles/train/lora.md", "checklists/go.yaml", "recipes/quick.yaml")
    }
    assert found == {
        "articles/train/lora.md": library.articles["train/lora"],
        "checklists/go.yaml": library.checklists["go"],
        "recipes/quick.yaml": library.recipes["quick"],
    }
    assert library.target("datasets/tickets/card.md") == library.datasets["tickets"]
    assert [library.target(path) for path in ("articles/train/lora", "models.yaml", "", "x/../articles")] == [None] * 4


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        (
            "articles/train/x.md",
            "no front matter",
            ":1: no front matter; begin the file with ---, the fields, and --- again",
        ),
        (
            "articles/train/x.md",
            "---\ntitle: [\n---\nx",
            ":3: not YAML: did not find expected node content",
        ),
        ("articles/train/x.md", ARTICLE.replace("owner: ML platform\n", ""), ":2: field 'owner' is missing; add it"),
        (
            "articles/train/x.md",
            ARTICLE.replace("owner:", "wner: a\nowner:"),
            ":4: unknown field 'wner'; remove it or correct its name",
        ),
        (
            "articles/train/x.md",
            ARTICLE.replace("owner:", "review_in: soon\nowner:"),
            ":4: review_in: write a number of days, for example 90d (got 'soon')",
        ),
        (
            "articles/train/x.md",
            ARTICLE.replace("owner:", "review_in: 90\nowner:"),
            ":4: review_in: write a number of days, for example 90d (got 90)",
        ),
        ("articles/train/x.md", ARTICLE.split("## Answer")[0], ":7: no text after the front matter; write the article"),
        ("articles/train/x.md", b"---\ntitle: \xff\n---\nx", ":2: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("articles/train/x.md", b"---\na: 1\n---\n\x00", ":4: holds a NUL character; remove it"),
        ("articles/train/x.md", b"*" * 600_000, ":1: larger than 524,288 bytes; split it"),
        (
            "articles/train/x.md",
            "---\na: &a [1, 1]\nb: &b [*a, *a]\n---\nx",
            ":2: anchors and aliases (& and *) are refused; write the value out",
        ),
        ("articles/train/x.md", "---\na: " + "[" * 3000 + "\n---\nx", ":2: nested more than 20 deep; flatten it"),
        (
            "articles/train/x.md",
            "---\na: !!python/object/apply:os.system [id]\n---\nx",
            ":2: not YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("articles/train/x.md", "---\na: 1\na: 2\n---\nx", ":3: field 'a' is written twice; keep one"),
        ("articles/train/x.md", b"*" * 5_000_000, ":1: larger than 524,288 bytes; split it"),
        ("articles/train/x.md", "---\n" + "- " * 100 + "a\n---\nx", ":2: nested more than 20 deep; flatten it"),
        (
            "articles/train/x.md",
            "---\n" + "".join(" " * depth + "a:\n" for depth in range(30)) + "---\nx",
            ":22: nested more than 20 deep; flatten it",
        ),
        ("articles/train/x.md", "---\nsome text\n---\nx", ":2: expected fields ('name: value'), got 'some text'"),
        (
            "articles/train/x.md",
            "---\n\x07a: 1\n---\nx",
            ":2: not YAML: unacceptable character #x0007: control characters are not allowed",
        ),
        (
            "articles/train/x.md",
            '---\ntitle: "é"\nsummary: "\x07"\n---\nx',
            ":3: not YAML: unacceptable character #x0007: control characters are not allowed",
        ),
        ("articles/train/x.md", "---\na: 1\nreviewed: 2026-13-45\n---\nx", ":3: not YAML: month must be in 1..12"),
        (
            "articles/Train Me/x.md",
            ARTICLE,
            ":1: not read: name it articles/<area>/<slug>.md with small letters, digits, hyphens",
        ),
        (
            "checklists/other.yaml",
            CHECKLIST,
            ":1: slug 'go' differs from the file's name; write 'other'",
        ),
        (
            "checklists/x.txt",
            "x",
            ":1: not read: name it checklists/<slug>.yaml with small letters, digits and hyphens",
        ),
        ("checklists/x.yaml", "[]", ":1: expected fields ('name: value'), got []"),
        (
            "recipes/x.yaml",
            "slug: x\ntitle: X\nsummary: X\nsettings:\n  base_model: {id: small}\n  lora:\n    r: 0\n",
            ":7: settings.lora.r: Input should be greater than or equal to 1 (got 0)",
        ),
        (
            "recipes/x.yaml",
            "slug: x\ntitle: X\nsummary: X\nsettings:\n  base_model: {id: gone}\n",
            ":5: base model 'gone' is not in models.yaml; correct it or add an entry",
        ),
    ],
)
def test_a_broken_file_names_its_line_and_takes_nothing_down(
    content: Path, write: Write, path: str, data: str | bytes, expected: str
) -> None:
    before = load_library(content)
    write(path, data)

    after = load_library(content)

    assert [str(problem) for problem in after.problems] == [path + expected]
    assert after.problems_of(path) == after.problems
    assert (after.articles, after.checklists, after.base_models) == (
        before.articles,
        before.checklists,
        before.base_models,
    )


def test_a_wrong_model_entry_leaves_the_others(content: Path, write: Write) -> None:
    write("models.yaml", (content / "models.yaml").read_text() + "- id: broken\n  title: Broken\n")

    library = load_library(content)

    assert list(library.base_models) == ["small"]
    assert str(library.problems[0]) == "models.yaml:8: field 'parameters' is missing; add it"


def test_broken_areas_file_keeps_the_articles(content: Path, write: Write) -> None:
    write("articles/areas.yaml", "areas: 3")

    library = load_library(content)

    assert [(area.title, len(area.articles)) for area in library.areas] == [("Train", 1)]
    assert [problem.path for problem in library.problems] == ["articles/areas.yaml"]


def test_area_without_entry_is_shown_and_reported(content: Path, write: Write) -> None:
    write("articles/odd-ends/x.md", ARTICLE)

    library = load_library(content)

    assert [area.title for area in library.areas] == ["Start here", "Train", "Odd ends"]
    assert _problems(content) == ["articles/areas.yaml:1: area 'odd-ends' has articles but no entry; add one"]


def test_references_to_missing_articles_are_reported(content: Path, write: Write) -> None:
    write("articles/train/lora.md", ARTICLE.replace("owner:", "related: [train/gone]\nowner:"))
    write("checklists/go.yaml", CHECKLIST.replace("train/lora", "train/away#x"))

    assert _problems(content) == [
        "articles/train/lora.md:4: related article 'train/gone' does not exist; correct or remove it",
        "checklists/go.yaml:9: article 'train/away#x' does not exist; correct it or write it",
    ]


def test_dataset_without_a_split_is_refused(content: Path) -> None:
    (content / "datasets/tickets/test.jsonl").unlink()

    assert _problems(content) == [
        "datasets/tickets/card.md:9: no test split; a dataset needs test.jsonl and its entry under splits"
    ]


def test_symlinks_are_refused(content: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text(ARTICLE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x.md").write_text(ARTICLE)
    (content / "articles/train/secret.md").symlink_to(tmp_path / "secret.md")
    (content / "articles/linked").symlink_to(tmp_path / "folder")

    library = load_library(content)

    assert list(library.articles) == ["train/lora"]
    assert [str(problem) for problem in library.problems] == [
        "articles/linked:1: symlinks are refused; put the file itself in its place",
        "articles/train/secret.md:1: symlinks are refused; put the file itself in its place",
    ]


def test_crlf_and_byte_order_mark_are_read_as_plain_lines(content: Path, write: Write) -> None:
    write("articles/train/lora.md", b"\xef\xbb\xbf" + ARTICLE.replace("\n", "\r\n").encode())

    assert load_library(content).articles["train/lora"].text == ARTICLE


def test_missing_folder_is_an_empty_library(tmp_path: Path) -> None:
    assert [str(problem) for problem in load_library(tmp_path / "none").problems] == [
        "articles/areas.yaml:1: cannot be read: No such file or directory",
        "models.yaml:1: cannot be read: No such file or directory",
    ]


def test_cache_gives_the_same_library_until_a_file_changes(
    content: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    cache = LibraryCache(content)
    first = cache.current()
    assert cache.current() is first

    file = write("articles/train/lora.md", ARTICLE.replace("Little.", "A lot."))
    os.utime(file, ns=(1, 1))

    assert cache.current().articles["train/lora"].body == "\n## Answer\n\nA lot.\n"
    file.unlink()
    assert list(cache.current().articles) == []


def test_one_changed_file_reads_that_file_only(content: Path, write: Write) -> None:
    write("articles/train/other.md", ARTICLE)
    memory = LibraryMemory()
    first = load_library(content, memory)

    file = write("articles/train/lora.md", ARTICLE.replace("Little.", "A lot."))
    os.utime(file, ns=(1, 1))
    second = load_library(content, memory)

    assert second.articles["train/lora"].body == "\n## Answer\n\nA lot.\n"
    assert second.articles["train/other"] is first.articles["train/other"]
    assert second.checklists["go"] is first.checklists["go"]


def test_a_broken_file_stays_a_problem_until_it_changes(content: Path, write: Write) -> None:
    memory = LibraryMemory()
    write("articles/train/bad.md", "no front matter")
    assert load_library(content, memory).problems == load_library(content, memory).problems != ()

    write("articles/train/bad.md", ARTICLE)
    assert load_library(content, memory).problems == ()

    (content / "articles/train/bad.md").unlink()
    assert list(load_library(content, memory).articles) == ["train/lora"]
    assert "articles/train/bad.md" not in memory.files


def test_watch_sees_every_kind_of_change(content: Path, write: Write) -> None:
    watch = files.Watch(content)
    assert (watch.look(), watch.look()) == (True, False)

    changes: list[Callable[[], object]] = [
        lambda: write("articles/train/new.md", ARTICLE),
        lambda: write("articles/new-area/x.md", ARTICLE),
        lambda: (content / "articles/train/new.md").rename(content / "articles/train/renamed.md"),
        lambda: (content / "articles/train/renamed.md").unlink(),
        lambda: write("articles/train/lora.md", ARTICLE + "More.\n"),
        lambda: os.utime(content / "articles/train/lora.md", ns=(1, 1)),
        lambda: shutil.rmtree(content / "articles/new-area"),
        lambda: write("new-folder/x.md", "x"),
    ]
    for number, change in enumerate(changes):
        change()
        assert (number, watch.look(), watch.look()) == (number, True, False)


def test_watch_takes_large_folders_in_turns(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILES_PER_LOOK", 1)
    for folder in (content, *(path for path in content.rglob("*") if path.is_dir())):
        os.utime(folder, ns=(1, 1))  # settled long ago
    watch = files.Watch(content)
    watch.look()
    os.utime(content / "models.yaml", ns=(1, 1))

    looks = [watch.look() for _ in files.walk(content)[0]]

    assert sum(looks) == 1


def test_cache_looks_at_the_files_at_most_once_a_second(content: Path, write: Write) -> None:
    cache = LibraryCache(content)
    first = cache.current()
    write("articles/train/new.md", ARTICLE)

    assert cache.current() is first


def test_cache_loads_once_for_many_threads(content: Path) -> None:
    cache = LibraryCache(content)
    found: list[Library] = []
    threads = [threading.Thread(target=lambda: found.append(cache.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [library is found[0] for library in found] == [True] * 8
