"""Searches that found nothing: counted without a name, listed for the staff."""

import pytest
from django.test import Client
from django.urls import reverse

from playbook.web.accounts.models import User
from playbook.web.search import actions
from playbook.web.search.models import MissedSearch


def kept() -> list[tuple[str, int]]:
    return list(MissedSearch.objects.values_list("query", "count"))


def test_a_search_in_vain_is_counted_by_its_words(client: Client, alice: User) -> None:
    client.force_login(alice)
    for query in ("Zebra  unicorn", "zebra unicorn ", "quagga"):
        client.get(reverse("search:index"), {"q": query})
    assert kept() == [("zebra unicorn", 2), ("quagga", 1)]


@pytest.mark.parametrize("query", ["", '"""', "🎉", "\x00"])
def test_a_query_without_a_word_is_not_counted(client: Client, alice: User, query: str) -> None:
    client.force_login(alice)
    client.get(reverse("search:index"), {"q": query})
    assert kept() == []


def test_a_filtered_search_says_nothing_about_the_library(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.get(reverse("search:index"), {"q": "zebra", "kind": "job"})
    assert kept() == []


def test_the_palette_itself_counts_nothing_until_the_reader_stops_typing(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.get(reverse("search:palette"), {"q": "zebra"})
    assert kept() == []
    assert client.post(reverse("search:missing"), {"q": "zebra"}).status_code == 204
    assert kept() == [("zebra", 1)]


def test_what_is_found_cannot_be_reported_as_missed(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post(reverse("search:missing"), {"q": "lora"})
    client.post(reverse("search:missing"), {"q": "z" * 20_000 + "\x00"})
    assert [query for query, _ in kept() if query == "lora"] == []
    assert client.get(reverse("search:missing")).status_code == 405


def test_the_oldest_are_dropped_beyond_the_limit(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "KEEP", 3)
    for query in ("one", "two", "three", "four"):
        actions.record_missed(query)
    assert sorted(query for query, _ in kept()) == ["four", "three", "two"]


def test_the_list_is_for_the_staff(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(reverse("search:missed")).status_code == 403


def test_the_list_shows_what_to_write_and_what_is_there_by_now(client: Client, alice: User) -> None:
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    actions.record_missed("<b>zebra</b>")
    actions.record_missed("lora")
    page = client.get(reverse("search:missed")).content.decode()
    assert "&lt;b&gt;zebra&lt;/b&gt;" in page
    assert page.count("nothing yet") == 1
    assert page.count("badge good") == 1
    assert "alice" not in page.split("<main")[1].split("</main")[0]
