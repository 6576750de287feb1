"""A library whose every word is an attack or nonsense: no page fails, nothing executes, the check names the file."""

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.test import Client

from playbook.library.content import load_library
from playbook.web.accounts.models import User
from playbook.web.search.actions import record_missed
from playbook.web.usecases.models import UseCase
from playbook.web.wiki.actions import flag_article
from playbook.web.wiki.catalogue import catalogue
from tests.web.wiki.shelf import FILES, article_text

#: Leaves an attribute, a tag, a script and a comment, in either kind of quotes.
EVIL = """x'"></title></script>--><img src=x onerror=alert(1)><a onclick='alert(1)' href=javascript:alert(1)>"""
YAML = "'" + EVIL.replace("'", "''") + "'"
PAGES = (
    *("/", "/library/", "/library/train/", "/library/decide/", "/library/review/", "/library/glossary/"),
    *("/library/train/third/", "/library/train/third/history/", "/library/train/third/preview/"),
    *("/library/train/second/", "/library/evidence/C07/", "/library/evidence/C07/?x=<script>", "/library/tags/evil/"),
    *("/library/calculators/", "/library/calculators/test-rows/?rows=<img src=x onerror=alert(1)>", "/library/models/"),
    *("/search/?q=onerror", "/search/palette?q=onerror", "/search/missed/", "/decide/", "/decide/go/", "/jobs/choose/"),
    *("/library/train/nothing/", "/library/review/?owner=<img src=x onerror=alert(1)>", "/use-cases/"),
)
FEEDS = ("/library/feed.atom", "/sitemap.xml")


class _Attacks(HTMLParser):
    """Collects what would execute, had it come from the text of a file or a person."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value}>")


def attacks(page: str) -> list[str]:
    parser = _Attacks()
    parser.feed(page)
    return parser.found


@pytest.fixture
def staff(reader: Client, alice: User) -> Client:
    User.objects.filter(pk=alice.pk).update(is_staff=True, name=EVIL[:150])
    return reader


def _write_evil(content: Path) -> None:
    sound = (
        f"title: {YAML}\nsummary: {YAML}\nowner: {YAML}\nreviewed: 2020-01-01\ntags: [evil]\nclaims: [C07]\n"
        f"sources:\n  - {{title: {YAML}, author: {YAML}, accessed: 2026-11-01}}\n"
    )
    url = YAML.replace("x", "https://x", 1)
    with_url = sound.replace("2026-11-01}", f"2026-11-01, url: {url}}}")
    block = "/// calculator | test-rows?rows=1\n///\n\n/// evidence | C07\n///\n\n/// checklist | go\n///\n"
    (content / "articles/train/third.md").write_text(f"---\n{sound}---\nAn evil word.\n\n{block}")
    (content / "articles/train/url.md").write_text(f"---\n{with_url}---\nText.\n")
    areas = FILES["articles/areas.yaml"].replace("title: Train, summary: Runs.", f"title: {YAML}, summary: {YAML}")
    (content / "articles/areas.yaml").write_text(areas)
    (content / "claims.yaml").write_text(f"claims:\n  - {{id: C07, text: {YAML}}}\n")
    (content / "glossary.yaml").write_text(f"terms:\n  - {{slug: evil, term: evil, definition: {YAML}}}\n")
    checklist = FILES["checklists/go.yaml"]
    for words in ("Go or wait?", "One question decides.", "Are we ready?", "It is cheaper to ask.", "A list."):
        checklist = checklist.replace(f": {words}\n", f": {YAML}\n")
    (content / "checklists/go.yaml").write_text(checklist)
    model = f"- {{id: {YAML}, title: {YAML}, parameters: 1000, licence: {YAML}, context_length: 8, size_bytes: 9, "
    (content / "models.yaml").write_text(f"{model}source: {YAML}}}\n")


def _commit(content: Path, subject: str, author: str) -> None:
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", subject]):
        identity = ["-c", f"user.name={author}", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *command], cwd=content, check=True)


def test_words_of_files_and_people_execute_on_no_page(
    staff: Client, content: Path, use_case: UseCase, mallory: User
) -> None:
    _write_evil(content)
    _commit(content, EVIL, "Eve 'onclick=alert(1) \"onload=alert(1)")
    User.objects.filter(pk=mallory.pk).update(name=EVIL[:150])
    UseCase.objects.filter(pk=use_case.pk).update(name=EVIL[:100], description=EVIL)
    flag_article(catalogue().content.articles["train/third"], comment=EVIL, by=User.objects.get(pk=mallory.pk))
    record_missed(f"{EVIL} zebra")

    shown = {path: staff.get(path) for path in (*PAGES, *FEEDS)}

    assert {path: answer.status_code for path, answer in shown.items() if answer.status_code >= 500} == {}
    pages = {path: shown[path].content.decode() for path in PAGES}
    assert {path: found for path, page in pages.items() if (found := attacks(page))} == {}
    assert [path for path, page in pages.items() if "<img src=x" in page] == []
    assert sum("&lt;img src=x" in page for page in pages.values()) >= 15  # the words did arrive
    for path in FEEDS:
        ElementTree.fromstring(shown[path].content)  # noqa: S314 - our own feed
    assert "articles/train/url.md" in {problem.path for problem in load_library(content).problems}


def test_the_measure_itself_finds_attacks() -> None:
    assert attacks("<p title=\"x\"><a onclick='x' href=' JavaScript:x'>") == ["<a onclick=x>", "<a href= JavaScript:x>"]


FRONT = {
    "a control character": ('title: "A\\x08B"', "title: holds the character U+0008, which cannot be shown; remove it"),
    "NUL": ('title: "A\\0B"', "title: holds the character U+0000, which cannot be shown; remove it"),
    "nothing to see": ('title: "\u200b"', "title: holds nothing that can be seen; write some words"),
    "a list": ("title: [a]", "title: Input should be a valid string"),
    "text for a list": ("title: a\ntags: lora", "tags: write a list, as [one, two] (got 'lora')"),
    "the last day": ("title: a\nreviewed: 9999-12-31", "reviewed: Input should be less than or equal to 2199-12-31"),
    "no day": ("title: a\nreviewed: 2026-02-31", "not YAML: day is out of range for month"),
    "a moment": ("title: a\nreviewed: 2026-01-01 10:00:00", "reviewed: Datetimes provided to dates should have zero"),
    "a huge number": (f"title: a\norder: 1{'0' * 5_000}", "order: Unable to parse input string as an integer"),
    "a number of sixties": (f"title: a\norder: 1{':1' * 60_000}.5", "order: Input should be a valid integer"),
    "a number in letters": (f"title: a\norder: 0x{'f' * 100_000}", "order: Input should be a valid integer"),
    "its own name as alias": ("title: a\naliases: [bad]", "alias 'bad' is the name of articles/train/bad.md"),
    "a present name as alias": (
        "title: a\naliases: [second]",
        "alias 'second' is the name of articles/train/second.md",
    ),
}


@pytest.mark.parametrize("case", FRONT)
def test_odd_front_matter_is_named_and_takes_no_page_down(staff: Client, content: Path, case: str) -> None:
    fields, message = FRONT[case]
    missing = "" if "reviewed:" in fields else "reviewed: 2026-11-01\n"
    (content / "articles/train/bad.md").write_text(f"---\n{fields}\nsummary: s\nowner: o\n{missing}---\nText.\n")

    answers = {path: staff.get(path).status_code for path in ("/", "/library/", "/library/train/", "/search/?q=second")}
    feeds = {path: staff.get(path).status_code for path in (*FEEDS, "/library/freshness.json", "/library/review/")}

    assert set(answers.values()) | set(feeds.values()) == {200}
    assert [line for line in map(str, load_library(content).problems) if message in line]
    assert staff.get("/library/train/bad/").status_code in (200, 404)


def test_files_that_are_no_articles_take_no_page_down(staff: Client, content: Path) -> None:
    train = content / "articles/train"
    (train / "loop").symlink_to(".")
    (train / "itself.md").symlink_to("itself.md")
    (train / "passwd.md").symlink_to("/etc/passwd")
    os.mkfifo(train / "pipe.md")
    (train / "folder.md").mkdir()
    (train / "folder.md/inside.md").write_text("x")
    Path(os.fsdecode(bytes(train) + b"/b\xffd.md")).write_text("x")

    index = staff.get("/library/").content.decode()

    assert re.findall(r"<code>articles/train/([^<]+):1</code> ([^;<]+)", index) == [
        ("b?d.md", "its name is not UTF-8"),
        ("folder.md/inside.md", "not read: name it articles/&lt"),
        ("itself.md", "symlinks are refused"),
        ("loop", "symlinks are refused"),
        ("passwd.md", "symlinks are refused"),
    ]
    assert staff.get("/library/train/third/").status_code == 200
    assert staff.get("/library/train/passwd/").status_code == 404


def test_control_characters_in_a_commit_do_not_break_the_feed(staff: Client, content: Path) -> None:
    _commit(content, "One\x01two\x1fthree", "Eve\x08Smith")

    feed = staff.get("/library/feed.atom")

    ElementTree.fromstring(feed.content)  # noqa: S314 - our own feed
    assert "One two three" in feed.content.decode()
    assert "Eve Smith" in staff.get("/library/train/third/history/").content.decode()


def test_a_removed_article_says_when_it_went_and_what_is_like_it(reader: Client, content: Path) -> None:
    (content / "articles/train/second-thoughts.md").write_text(article_text("Second thoughts", "Text.\n"))
    (content / "articles/train/third.md").write_text(article_text("Third", "See [[second-thoughts]].\n"))
    _commit(content, "Write it", "Eve Smith")
    (content / "articles/train/second-thoughts.md").unlink()
    _commit(content, "Drop <it>", "Eve Smith")

    gone = reader.get("/library/train/second-thoughts/")
    linking = reader.get("/library/train/third/").content.decode()

    assert gone.status_code == 404
    page = gone.content.decode()
    assert "“Drop &lt;it&gt;”, Eve Smith" in page
    assert re.findall(r'<a href="(/library/train/[a-z-]+/)">', page.partition("Did you mean")[2]) == [
        "/library/train/second/"
    ]
    assert "[[second-thoughts]] leads nowhere: no article has this slug; correct it, or write the article" in linking
    assert reader.get("/library/no-area/no-article/").status_code == 404


def test_more_live_parts_than_a_page_can_bear_are_refused(reader: Client, content: Path) -> None:
    body = "/// calculator | lora-memory\n///\n\n" * 800
    (content / "articles/train/third.md").write_text(article_text("Third", body))

    assert "800 live parts; keep to 100" in reader.get("/library/train/third/").content.decode()
