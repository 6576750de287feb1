"""`manage.py check_content`: lines for people, JSON for machines, and an exit code for CI."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from playbook.library.consistency import RESERVED_AREAS
from playbook.web.wiki.urls import urlpatterns

ARTICLE = "---\ntitle: T\nsummary: S\nowner: O\nreviewed: 2026-11-20\n---\n"
BODIES = {"a": "To [[b]] and [[old-b]].\n", "b": "To [[a]].\n"}


@pytest.fixture
def content(tmp_path: Path, settings: Settings) -> Path:
    """Two articles that link to each other, one by a former name."""
    settings.PLAYBOOK_CONTENT_DIR = tmp_path
    (tmp_path / "articles/train").mkdir(parents=True)
    (tmp_path / "models.yaml").write_text("[]\n")
    (tmp_path / "articles/areas.yaml").write_text("areas:\n  - {slug: train, title: Train, summary: Runs.}\n")
    for slug, body in BODIES.items():
        alias = "aliases: [old-b]\n---\n" if slug == "b" else "---\n"
        (tmp_path / f"articles/train/{slug}.md").write_text(ARTICLE.removesuffix("---\n") + alias + body)
    return tmp_path


def test_warnings_alone_pass(content: Path) -> None:
    out = StringIO()

    call_command("check_content", stdout=out)

    assert out.getvalue().splitlines() == [
        "articles/train/a.md:7: link '[[old-b]]' uses a former name; the article is now train/b (warning)",
        "2 articles, 0 errors, 1 warnings",
    ]


def test_an_error_is_named_and_fails(content: Path) -> None:
    (content / "articles/train/b.md").write_bytes(b"---\ntitle: \xff\n---\nx")
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_content", stdout=out)

    assert ended.value.code == 1
    assert out.getvalue().splitlines() == [
        "articles/train/a.md:1: no other article, `related` or checklist leads here; link to it from one",
        "articles/train/a.md:7: [[b]] leads nowhere: no article has this slug; correct it, or write the article",
        "articles/train/a.md:7: [[old-b]] leads nowhere: no article has this slug; correct it, or write the article",
        "articles/train/b.md:2: byte 0xff is not UTF-8; save the file as UTF-8",
        "1 articles, 4 errors, 0 warnings",
    ]


def test_json_is_for_machines(content: Path) -> None:
    out = StringIO()

    call_command("check_content", "--json", stdout=out)

    assert json.loads(out.getvalue()) == [
        {
            "path": "articles/train/a.md",
            "line": 7,
            "message": "link '[[old-b]]' uses a former name; the article is now train/b",
            "severity": "warning",
        }
    ]


def test_every_fixed_address_of_the_library_is_reserved() -> None:
    """An area of that name could not be reached, so the check has to know all of them."""
    first = {str(pattern.pattern).partition("/")[0] for pattern in urlpatterns}
    fixed = {name for name in first if name and not name.startswith("<") and "." not in name}
    assert fixed == RESERVED_AREAS
