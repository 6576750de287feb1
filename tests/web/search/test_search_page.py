"""The search page and the palette: who finds what, filters, every string, and how many queries it costs."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Split
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, create_dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.decisions import actions as decisions
from playbook.web.search.commands import COMMANDS, Command
from playbook.web.search.models import MissedSearch
from playbook.web.usecases.actions import add_member, create_use_case, remove_member
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.jobs.factories import make_job

PAGE, PALETTE = "search:index", "search:palette"
ROW = b'{"messages": [{"role": "user", "content": "xylophone %s"}, {"role": "assistant", "content": "ok"}]}\n'


def text(client: Client, query: str, name: str = PAGE, **filters: str) -> str:
    response = client.get(reverse(name), {"q": query, **filters})
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", "", response.content.decode()).split())


def links(client: Client, query: str, name: str = PALETTE) -> list[str]:
    """Return the addresses of the results in their order."""
    return re.findall(r'<a href="([^"]+)" role="option"', client.get(reverse(name), {"q": query}).content.decode())


@pytest.fixture
def rows(use_case: UseCase, alice: User) -> dict[str, str]:
    """One row of each kind in the use case, all called xylophone, by kind: the address of its page."""
    splits = read_three_files({split: ROW % split.encode() for split in Split})
    card = Card(name="Xylophone rows", description="", source="", licence="", data_owner="", consent="")
    dataset = create_dataset(use_case=use_case, card=card, splits=splits, created_by=alice)
    job = make_job(use_case, alice)
    job.title = "Xylophone run"
    job.save(update_fields=["title"])
    decision = decided.proposed(use_case, alice)
    decision.title = "Xylophone tuning"
    decision.save(update_fields=["title"])
    other = create_use_case(name="Xylophone lessons", description="", created_by=alice, members={})
    return {
        "dataset": dataset.get_absolute_url(),
        "job": job.get_absolute_url(),
        "decision": decision.get_absolute_url(),
        "use_case": other.get_absolute_url(),
    }


def test_search_needs_a_login(client: Client, db: None) -> None:
    for name in (PAGE, PALETTE, "search:missed"):
        assert client.get(reverse(name)).status_code == 302


def test_members_find_the_rows_of_their_use_cases(client: Client, alice: User, rows: dict[str, str]) -> None:
    client.force_login(alice)
    assert sorted(links(client, "xyloph")) == sorted(rows.values())
    assert "Xylophone run" in text(client, "xylophone", kind="job")
    assert "Xylophone tuning" not in text(client, "xylophone", kind="job")


def test_a_stranger_finds_no_row_not_even_its_number(client: Client, mallory: User, rows: dict[str, str]) -> None:
    client.force_login(mallory)
    for query in ("xylophone", "xylofone", "Xylophone tuning", "D-1", "D-1 Xylophone tuning", "support ticket triage"):
        assert not set(links(client, query)) & set(rows.values())
        page = text(client, query).lower().replace(query.lower(), "")
        assert "xylophone" not in page
        assert "triage" not in page


def test_who_joins_finds_at_once_and_who_leaves_finds_no_more(
    client: Client, use_case: UseCase, alice: User, mallory: User, rows: dict[str, str]
) -> None:
    client.force_login(mallory)
    assert links(client, "xylophone") == []
    membership = add_member(use_case, user=mallory, role=Role.CONTRIBUTOR, actor=alice)
    assert rows["job"] in links(client, "xylophone")
    remove_member(membership, actor=alice)
    assert links(client, "xylophone") == []


def test_a_row_is_found_as_soon_as_it_is_written(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    assert "/jobs/" not in "".join(links(client, "lora on tickets"))
    job = make_job(use_case, alice)
    assert job.get_absolute_url() in links(client, "lora on tickets")
    assert f"Job {job.pk}, {use_case}" in text(client, "lora on tickets")
    decision = decided.proposed(use_case, alice)
    assert decision.get_absolute_url() in links(client, f"D-{decision.number}")


def test_a_change_is_found_and_the_state_is_the_present_one(client: Client, use_case: UseCase, alice: User) -> None:
    decision = decided.proposed(use_case, alice)
    client.force_login(alice)
    assert "proposed" in text(client, f"D-{decision.number}", kind="decision")
    decisions.withdraw(decision, actor=alice)
    assert "draft" in text(client, f"D-{decision.number}", kind="decision")


def test_articles_are_found_with_marked_words(client: Client, alice: User) -> None:
    client.force_login(alice)
    page = client.get(reverse(PAGE), {"q": "lora changes"}).content.decode()
    assert '<a href="/library/train/what-lora-changes/">What does <mark>LoRA</mark> <mark>change</mark>' in page


def test_headings_terms_checklists_and_base_models_lead_to_their_pages(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "/library/train/what-lora-changes/#which-settings-matter" in links(client, "which settings matter")
    assert links(client, "overfitting")[0] == "/library/glossary/#overfitting"
    assert links(client, "should we fine-tune")[0] == "/decide/should-we-fine-tune/"
    assert links(client, "smollm2 135m instruct")[0] == "/library/models/#smollm2-135m-instruct"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.key)
def test_every_command_is_found_by_its_name_and_leads_somewhere(client: Client, alice: User, command: Command) -> None:
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    page = client.get(reverse(PALETTE), {"q": command.title}).content.decode()
    if command.post is None:
        assert f'<a href="{command.url}" role="option"' in page
        assert client.get(command.url).status_code == 200
    else:
        assert f'<form method="post" action="{command.url}" id="palette-{command.key}" hidden>' in page
        assert f'form="palette-{command.key}" role="option"' in page
        assert client.post(command.url, command.post).status_code == 302


def test_commands_of_the_staff_are_for_the_staff(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert reverse("search:missed") not in links(client, "missed searches")


def test_the_palette_offers_commands_before_anything_is_typed(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert links(client, "") == [reverse("jobs:choose"), "/decide/", "/decisions/", "/jobs/"]


def test_the_palette_returns_a_fragment(client: Client, alice: User) -> None:
    client.force_login(alice)
    page = client.get(reverse(PALETTE), {"q": "lora"}, headers={"hx-request": "true"}).content.decode()
    assert "<html" not in page
    assert 'role="listbox"' in page


def test_every_page_has_the_palette_and_a_link_that_needs_no_script(client: Client, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/").content.decode()
    assert '<a class="search-open" href="/search/"' in page
    assert '<dialog class="palette" id="palette"' in page
    client.logout()
    assert "palette" not in client.get("/account/login/").content.decode().replace("js/palette.js", "")


def test_filters_narrow_and_wrong_ones_do_nothing(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "What does LoRA change" in text(client, "lora", area="train")
    assert "What does LoRA change" not in text(client, "lora", area="decide", kind="article")
    assert text(client, "lora", kind="nonsense") == text(client, "lora")


def test_pages_follow_each_other_and_odd_page_numbers_are_harmless(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "Page 1 of" in text(client, "a")
    assert "Page 2 of" in text(client, "a", page="2")
    for odd in ("0", "-1", "x", "99999", "9" * 40, "²", "٣"):
        assert client.get(reverse(PAGE), {"q": "a", "page": odd}).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "AND OR NOT ( [ :",
        "a\x00b",
        "🎉",
        "مرحبا",
        "\u202eabc",
        "a" * 20_000,
        "<script>alert(1)</script>",
        "'; --",
        "%",
    ],
    ids=lambda query: ascii(query[:12]),
)
def test_every_string_is_answered_and_escaped(client: Client, alice: User, query: str) -> None:
    client.force_login(alice)
    for name in (PAGE, PALETTE):
        page = client.get(reverse(name), {"q": query, "kind": query, "area": query, "tag": query, "page": query})
        assert page.status_code == 200
        assert "<script>alert" not in page.content.decode()


def test_an_empty_result_suggests_the_nearest_title(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "Did you mean: catastrophic forgetting" in text(client, "zebra catastrofic unicorn")
    assert "Did you mean catastrophic forgetting" in text(client, "zebra catastrofic unicorn", PALETTE)


def test_a_page_behind_the_last_is_the_last(client: Client, alice: User) -> None:
    client.force_login(alice)
    pages = int(re.findall(r"Page 1 of (\d+)", text(client, "tuning"))[0])

    assert f"Page {pages} of {pages}" in text(client, "tuning", page="49")
    assert "Nothing found" not in text(client, "tuning", page="49")
    assert f"Page {pages} of" in text(client, "tuning", page=str(pages))


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_queries_does_not_grow_with_the_rows(
    client: Client,
    use_case: UseCase,
    alice: User,
    count: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(count):
        make_job(use_case, alice)
    client.force_login(alice)
    links(client, "tickets")
    # Session, user; then the audit log's news, the user's use cases, the visible jobs and use cases.
    with django_assert_num_queries(5):
        assert links(client, "tickets")


def test_no_search_is_recorded_that_found_something(client: Client, alice: User) -> None:
    client.force_login(alice)
    text(client, "lora")
    assert not MissedSearch.objects.exists()
