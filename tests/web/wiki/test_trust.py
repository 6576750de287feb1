"""Flags from readers, the review queue, the feed of freshness, and what Home shows to an owner."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.wiki import actions
from playbook.web.wiki.catalogue import catalogue
from playbook.web.wiki.flags import open_flags
from playbook.web.wiki.models import Flag
from tests.web.wiki.shelf import article_text

Capture = Callable[..., AbstractContextManager[list[Callable[..., Any]]]]
FLAG = "/library/train/third/flag/"


@pytest.fixture
def commit(django_capture_on_commit_callbacks: Capture) -> Callable[[], AbstractContextManager[Any]]:
    """What a transaction that goes through does."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def _today(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    monkeypatch.setattr(timezone, "localdate", lambda: day)


def test_anyone_signed_in_flags_an_article_and_its_page_says_so(
    client: Client, mallory: User, content: Path, commit: Callable[[], AbstractContextManager[Any]]
) -> None:
    client.force_login(mallory)

    with commit():
        response = client.post(FLAG, {"comment": "The price <changed>."}, follow=True)

    page = response.content.decode()
    assert response.redirect_chain == [("/library/train/third/", 302)]
    assert "Flagged as outdated by 1 reader<" in page
    assert "The price &lt;changed&gt;." in page
    assert "Mark as resolved" not in page
    flag = Flag.objects.get()
    assert (flag.article, flag.by, flag.digest) == (
        "train/third",
        mallory,
        catalogue().content.articles["train/third"].digest,
    )
    audit = AuditEntry.objects.get(subject="wiki.flag")
    assert (audit.action, audit.actor, audit.detail["article"]) == ("flagged as outdated", mallory, "train/third")


@pytest.mark.parametrize("comment", ["", "   ", "x" * 2001])
def test_a_flag_needs_words(reader: Client, comment: str) -> None:
    response = reader.post(FLAG, {"comment": comment})

    assert response.status_code == 422
    assert '<details class="card flag-form" open>' in response.content.decode()
    assert Flag.objects.count() == 0


def test_the_same_words_twice_are_one_flag(reader: Client) -> None:
    reader.post(FLAG, {"comment": "Old."})
    page = reader.post(FLAG, {"comment": "Old."}, follow=True).content.decode()

    assert "You have flagged this article with the same words already" in page
    assert Flag.objects.count() == 1


def test_flagging_needs_a_post_and_an_article(reader: Client) -> None:
    assert reader.get(FLAG).status_code == 405
    assert reader.post("/library/train/nothing/flag/", {"comment": "x"}).status_code == 404


def test_the_page_says_when_the_article_changed_after_the_flag(
    reader: Client, content: Path, commit: Callable[[], AbstractContextManager[Any]]
) -> None:
    with commit():
        reader.post(FLAG, {"comment": "Old."})
    assert "The article has changed since." not in reader.get("/library/train/third/").content.decode()

    (content / "articles/train/third.md").write_text(article_text("Third", "New text.\n"))

    assert "The article has changed since." in reader.get("/library/train/third/").content.decode()


@pytest.mark.parametrize("owner", ["Alice Moreau", "alice", "ALICE", "Alice@example.org", "playbook EDITORS"])
def test_the_owner_resolves_a_flag(
    client: Client, alice: User, bob: User, content: Path, owner: str, commit: Callable[[], AbstractContextManager[Any]]
) -> None:
    call_command("create_person", "alice", "Alice Moreau", "--email", "alice@example.org", "--team", "Playbook editors")
    alice.refresh_from_db()
    text = article_text("Third", "Text.\n").replace("Alice Moreau", owner)
    (content / "articles/train/third.md").write_text(text)
    with commit():
        flag = actions.flag_article(catalogue().content.articles["train/third"], comment="Old.", by=bob)
    client.force_login(alice)
    assert "Mark as resolved" in client.get("/library/train/third/").content.decode()

    with commit():
        response = client.post(f"/library/flags/{flag.pk}/resolve/", {"next": "article"})

    assert response.headers["Location"] == "/library/train/third/"
    assert "Flagged as outdated by" not in client.get("/library/train/third/").content.decode()
    flag.refresh_from_db()
    assert flag.resolved_by == alice
    assert AuditEntry.objects.filter(action="resolved flag", actor=alice).count() == 1


def test_nobody_else_resolves_a_flag(client: Client, bob: User, mallory: User, content: Path) -> None:
    flag = actions.flag_article(catalogue().content.articles["train/third"], comment="Old.", by=bob)
    client.force_login(mallory)

    response = client.post(f"/library/flags/{flag.pk}/resolve/")

    assert response.status_code == 403
    assert "Only the article&#x27;s owner (Alice Moreau) or staff may resolve a flag." in response.content.decode()
    assert client.get(f"/library/flags/{flag.pk}/resolve/").status_code == 405
    assert client.post("/library/flags/999/resolve/").status_code == 404
    assert Flag.objects.open().count() == 1


def test_a_flag_is_resolved_once(reader: Client, bob: User) -> None:
    flag = actions.flag_article(catalogue().content.articles["train/third"], comment="Old.", by=bob)
    reader.post(f"/library/flags/{flag.pk}/resolve/")

    page = reader.post(f"/library/flags/{flag.pk}/resolve/", follow=True)

    assert page.redirect_chain == [("/library/review/", 302)]
    assert "Somebody resolved this flag meanwhile." in page.content.decode()


def test_staff_clear_flags_on_articles_that_are_gone(
    reader: Client, alice: User, bob: User, content: Path, commit: Callable[[], AbstractContextManager[Any]]
) -> None:
    with commit():
        flag = actions.flag_article(catalogue().content.articles["train/third"], comment="Old.", by=bob)
    (content / "articles/train/third.md").unlink()
    assert reader.post(f"/library/flags/{flag.pk}/resolve/").status_code == 403

    User.objects.filter(pk=alice.pk).update(is_staff=True)

    assert "Flags on articles that are gone" in reader.get("/library/review/").content.decode()
    reader.post(f"/library/flags/{flag.pk}/resolve/")
    assert Flag.objects.open().count() == 0


def test_the_database_refuses_a_flag_resolved_by_nobody(bob: User) -> None:
    flag = Flag.objects.create(article="a/b", digest="0" * 64, comment="x", by=bob)

    with pytest.raises(IntegrityError), transaction.atomic():
        Flag.objects.filter(pk=flag.pk).update(resolved_at=timezone.now())


def test_open_flags_are_read_again_only_after_a_write(
    bob: User,
    content: Path,
    commit: Callable[[], AbstractContextManager[Any]],
    django_assert_num_queries: Callable[[int], AbstractContextManager[Any]],
) -> None:
    article = catalogue().content.articles["train/third"]
    assert open_flags() == {}
    with django_assert_num_queries(0):
        open_flags()

    with commit():
        actions.flag_article(article, comment="Old.", by=bob)

    assert [flag.comment for flag in open_flags()["train/third"]] == ["Old."]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2026, 11, 24), "Next review by"),
        (date(2027, 1, 20), "Due for review soon:"),
        (date(2027, 2, 1), "Overdue for review."),
    ],
)
def test_the_article_says_how_fresh_it_is(
    reader: Client, monkeypatch: pytest.MonkeyPatch, day: date, words: str
) -> None:
    _today(monkeypatch, day)

    page = reader.get("/library/train/third/").content.decode()

    assert words in page
    assert '<time datetime="2027-01-30">30 January 2027</time>' in page


def test_the_queue_begins_with_what_is_overdue(
    reader: Client, bob: User, content: Path, commit: Callable[[], AbstractContextManager[Any]]
) -> None:
    (content / "articles/train/older.md").write_text(article_text("Older", "Text.\n", reviewed="2019-01-01"))
    with commit():
        actions.flag_article(catalogue().content.articles["train/third"], comment="Wrong <figure>.", by=bob)

    page = reader.get("/library/review/").content.decode()

    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert [title for title in ("Older", "Second", "Third") if f">{title}</a>" in table] == ["Older", "Second", "Third"]
    assert table.index(">Older<") < table.index(">Second<") < table.index(">Third<")
    assert "First" not in table
    assert "Wrong &lt;figure&gt;." in table


def test_the_queue_of_one_owner(reader: Client, content: Path) -> None:
    text = article_text("Other", "Text.\n", reviewed="2019-01-01").replace("Alice Moreau", "Data team")
    (content / "articles/train/other.md").write_text(text)

    page = reader.get("/library/review/", {"owner": "Data team"}).content.decode()

    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert ">Other</a>" in table
    assert ">Second</a>" not in table
    assert "<option selected>Data team</option>" in page
    assert "Nothing to review of “nobody”" in reader.get("/library/review/?owner=nobody").content.decode()


def test_a_team_owns_an_article_and_each_of_its_people_finds_it(client: Client, bob: User, content: Path) -> None:
    text = article_text("Other", "Text.\n", reviewed="2019-01-01").replace("Alice Moreau", "Data team")
    (content / "articles/train/other.md").write_text(text)
    bob.groups.add(Group.objects.create(name="data TEAM"))
    client.force_login(bob)

    queue = client.get("/library/review/", {"owner": "/mine"}).content.decode()

    table = queue.partition("<tbody>")[2].partition("</tbody>")[0]
    assert (">Other</a>" in table, ">Second</a>" in table) == (True, False)
    assert "Nobody here" not in table
    assert "/library/train/other/" in client.get("/").content.decode().partition("Articles to review")[2]


def test_an_owner_who_is_nobody_is_said_to_be(reader: Client, content: Path, bob: User) -> None:
    """Also a team that nobody is in, and a person who may no longer log in."""
    for slug, owner in (("one", "Data team"), ("two", "Nobody at all"), ("three", "bob")):
        text = article_text(slug.title(), "Text.\n", reviewed="2019-01-01").replace("Alice Moreau", owner)
        (content / f"articles/train/{slug}.md").write_text(text)
    Group.objects.create(name="Data team")
    User.objects.filter(pk=bob.pk).update(is_active=False)

    queue = reader.get("/library/review/").content.decode()
    flagged = reader.post("/library/train/two/flag/", {"comment": "Old."}, follow=True).content.decode()

    assert queue.count("Nobody here; staff look after it") == 3
    assert "Nobody at all is nobody who may log in here, so staff will see your remark" in flagged
    assert "Nothing to review for you" in _as_mallory(reader).get("/library/review/?owner=/mine").content.decode()


def _as_mallory(client: Client) -> Client:
    client.force_login(User.objects.create_user("mallory", name="Mallory Stone"))
    return client


def test_freshness_feed_lists_every_article(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _today(monkeypatch, date(2026, 11, 24))

    found = reader.get("/library/freshness.json").json()

    assert (found["version"], found["today"]) == (1, "2026-11-24")
    assert [(row["article"], row["freshness"]) for row in found["articles"]] == [
        ("decide/first", "fresh"),
        ("train/second", "overdue"),
        ("train/third", "fresh"),
    ]
    assert found["articles"][1] == {
        "article": "train/second",
        "title": "Second",
        "url": "http://testserver/library/train/second/",
        "owner": "Alice Moreau",
        "reviewed": "2020-01-01",
        "due": "2020-03-31",
        "freshness": "overdue",
        "open_flags": 0,
    }


def test_home_shows_an_owner_what_is_overdue_or_flagged(
    reader: Client, bob: User, commit: Callable[[], AbstractContextManager[Any]]
) -> None:
    with commit():
        actions.flag_article(catalogue().content.articles["train/third"], comment="Old.", by=bob)

    panel = reader.get("/").content.decode().partition("Articles to review")[2]

    assert panel.index("/library/train/third/") < panel.index("/library/train/second/")
    assert "1 flag<" in panel
    reader.force_login(bob)
    assert "Articles to review" not in reader.get("/").content.decode()


def test_home_shows_staff_the_articles_of_nobody(client: Client, bob: User, content: Path) -> None:
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    client.force_login(bob)

    assert "/library/train/second/" in client.get("/").content.decode().partition("Articles to review")[2]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/library/review/", "/library/freshness.json", "/library/train/third/flag/"])
def test_trust_pages_need_a_login(client: Client, content: Path, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/account/login/?next={path}"
