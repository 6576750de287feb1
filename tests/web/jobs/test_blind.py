"""Blind side-by-side: the order tells nothing, a row is rated once, and the ratings join the report."""

import re
from collections.abc import Iterator

import pytest
from django.db import IntegrityError
from django.test import Client
from playwright.sync_api import Browser, expect
from pytest_django import DjangoAssertNumQueries
from pytest_django.live_server_helper import LiveServer

from playbook.contracts.run_spec import Arm
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.jobs import blind, reports
from playbook.web.jobs.blind import Choice, Pair
from playbook.web.jobs.models import Job, Rating
from playbook.web.usecases.models import UseCase
from tests.conftest import PASSWORD
from tests.e2e.visit import Visit
from tests.web.jobs.ended import claimed_job, finished_with
from tests.web.jobs.factories import asking_for
from tests.web.jobs.measured import five_arm_job, measured_arm, measured_report, measured_spec


@pytest.fixture
def rated(use_case: UseCase, alice: User) -> Job:
    return five_arm_job(use_case, alice)


def pair_of(job: Job, key: str) -> Pair:
    read = reports.read_of(job)
    assert read is not None
    found = blind.pair_of(blind.pairs_of(read.report), key)
    assert found is not None
    return found


def rate(job: Job, rater: User, choice: Choice, *, key: str = "few_shot,lora", place: int = 0) -> Rating:
    read, pair = reports.read_of(job), pair_of(job, key)
    assert read is not None
    index = pair.first.items[pair.rows[place]].index
    return blind.rate(job, pair, rater=rater, report_sha256=read.sha256, row_index=index, choice=choice)


def address(job: Job, key: str = "few_shot,lora") -> str:
    return f"/jobs/{job.pk}/blind/?pair={key.replace(',', '%2C')}"


def shown_row(page: str) -> str:
    found = re.search(r'name="row" value="(\d+)"', page)
    assert found is not None
    return found[1]


def test_every_pair_of_arms_can_be_rated_and_rows_answered_alike_are_left_out(rated: Job) -> None:
    read = reports.read_of(rated)
    assert read is not None
    pairs = blind.pairs_of(read.report)
    assert len(pairs) == 10
    pair = pair_of(rated, "few_shot,lora")
    assert all(pair.first.items[place].output != pair.second.items[place].output for place in pair.rows)
    assert pair.same + len(pair.rows) == 60


def test_the_order_differs_by_row_and_person_and_is_always_the_same_for_one(rated: Job, alice: User, bob: User) -> None:
    pair = pair_of(rated, "zero_shot,lora")
    rows = [pair.first.items[place].index for place in pair.rows]

    def order(rater: User) -> list[tuple[int, bool]]:
        seen: list[tuple[int, bool]] = []
        while question := blind.next_question(rated, pair, rater, {row for row, _ in seen}):
            seen.append((question.index, question.left == pair.first.items[question.index].output))
        return seen

    mine, theirs = order(alice), order(bob)
    assert mine == order(alice)
    assert sorted(row for row, _ in mine) == sorted(row for row, _ in theirs) == rows
    assert [row for row, _ in mine] != [row for row, _ in theirs]
    assert {left for _, left in mine} == {left for _, left in theirs} == {True, False}
    assert dict(mine) != dict(theirs)


@pytest.mark.parametrize("choice", ["left", "right", "equal"])
def test_a_choice_becomes_the_arm_that_stood_there(rated: Job, alice: User, choice: Choice) -> None:
    pair = pair_of(rated, "few_shot,lora")
    place = pair.rows[0]
    question = blind.next_question(
        rated, pair, alice, {pair.first.items[other].index for other in pair.rows if other != place}
    )
    assert question is not None
    first_on_left = question.left == pair.first.items[place].output
    rating = rate(rated, alice, choice)
    expected = "equal" if choice == "equal" else ("first" if (choice == "left") == first_on_left else "second")
    assert (rating.preferred, rating.first_on_left) == (expected, first_on_left)
    entry = AuditEntry.objects.get(action="rated an answer")
    assert (entry.actor, entry.subject_id) == (alice, rated.pk)


def test_a_person_rates_a_row_once_and_another_person_may_too(rated: Job, alice: User, bob: User) -> None:
    rate(rated, alice, "left")
    with pytest.raises(Conflict, match="You have rated row 4 already"):
        rate(rated, alice, "right")
    rate(rated, bob, "right")
    assert Rating.objects.count() == 2


def test_the_database_refuses_an_arm_against_itself(rated: Job, alice: User) -> None:
    with pytest.raises(IntegrityError):
        Rating.objects.create(
            job=rated,
            rater=alice,
            report_sha256="0" * 64,
            first_arm="lora",
            second_arm="lora",
            row_index=0,
            first_on_left=True,
            preferred="first",
        )


def test_the_page_holds_both_answers_and_nothing_that_tells_whose_they_are(
    client: Client, rated: Job, alice: User
) -> None:
    client.force_login(alice)
    page = client.get(address(rated)).content.decode()
    section = page[page.index('<section id="blind"') : page.index("</section>", page.index('<section id="blind"'))]
    assert section.count('<code class="output long"') == 2
    without_address = section.replace("pair=few_shot%2Clora", "")
    assert not re.search(
        "few|lora|zero|rag|arm|latency|tokens|right|wrong",
        without_address.lower()
        .replace("right is better", "")
        .replace('value="right"', "")
        .replace("<h3>right</h3>", ""),
    )


def test_markup_in_an_answer_is_text(client: Client, rated: Job, alice: User) -> None:
    client.force_login(alice)
    pair = pair_of(rated, "zero_shot,lora")
    for place, row in enumerate(pair.rows):
        if pair.first.items[row].index != 5:
            rate(rated, alice, "equal", key="zero_shot,lora", place=place)
    page = client.get(address(rated, "zero_shot,lora")).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_rating_without_javascript_leads_to_the_next_row(client: Client, rated: Job, bob: User) -> None:
    client.force_login(bob)
    row = shown_row(client.get(address(rated)).content.decode())
    answer = client.post(address(rated), {"row": row, "choice": "left"})
    assert (answer.status_code, answer.headers["Location"]) == (302, address(rated))
    assert Rating.objects.get().row_index == int(row)
    following = client.get(address(rated)).content.decode()
    assert shown_row(following) != row
    assert "Row 2 of 16" in following


def test_rating_with_htmx_returns_the_next_row_alone(client: Client, rated: Job, bob: User) -> None:
    client.force_login(bob)
    row = shown_row(client.get(address(rated)).content.decode())
    answer = client.post(address(rated), {"row": row, "choice": "equal"}, headers={"HX-Request": "true"})
    assert answer.content.decode().lstrip().startswith('<section id="blind"')
    assert shown_row(answer.content.decode()) != row


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"row": "3"}, "Choose the left answer, the right one, or neither."),
        ({"row": "3", "choice": "lora"}, "Choose the left answer, the right one, or neither."),
        ({"row": "-1", "choice": "left"}, "Choose the left answer, the right one, or neither."),
        ({"row": "999", "choice": "left"}, "Row 1000 is none that these two arms answered differently"),
        ({"row": "1", "choice": "left"}, "Row 2 is none that these two arms answered differently"),
    ],
)
def test_a_strange_rating_is_refused_with_the_reason(
    client: Client, rated: Job, alice: User, data: dict[str, str], said: str
) -> None:
    client.force_login(alice)
    answer = client.post(address(rated), data, headers={"HX-Request": "true"})
    assert said in answer.content.decode()
    assert Rating.objects.count() == 0


def test_a_second_rating_of_a_row_is_said_on_the_page(client: Client, rated: Job, alice: User) -> None:
    client.force_login(alice)
    row = shown_row(client.get(address(rated)).content.decode())
    for _ in range(2):
        answer = client.post(address(rated), {"row": row, "choice": "left"}, follow=True)
    assert f"You have rated row {int(row) + 1} already" in answer.content.decode()


def test_when_all_rows_are_rated_the_page_says_thank_you(client: Client, rated: Job, alice: User) -> None:
    pair = pair_of(rated, "few_shot,lora")
    for place in range(len(pair.rows)):
        rate(rated, alice, "equal", place=place)
    client.force_login(alice)
    page = client.get(address(rated)).content.decode()
    assert "Thank you" in page
    assert f"Your {len(pair.rows)} ratings joined the report." in page


def test_arms_that_answered_alike_leave_nothing_to_choose(client: Client, use_case: UseCase, alice: User) -> None:
    spec = asking_for(measured_spec(rows=4), Arm.ZERO_SHOT, Arm.FEW_SHOT)
    arm = measured_arm(Arm.ZERO_SHOT, rows=4)
    report = measured_report(spec, (arm, arm.model_copy(update={"arm": Arm.FEW_SHOT})))
    job = finished_with(claimed_job(use_case, alice, spec=spec), report)
    client.force_login(alice)
    assert "Both arms gave the same answer to every row." in client.get(f"/jobs/{job.pk}/blind/").content.decode()
    assert "Rate answers blind" not in client.get(f"/jobs/{job.pk}/report/").content.decode()


@pytest.mark.parametrize("query", ["?pair=lora,lora", "?pair=x", "?pair=lora,few_shot"])
def test_an_unknown_pair_is_not_found(client: Client, rated: Job, alice: User, query: str) -> None:
    client.force_login(alice)
    assert client.get(f"/jobs/{rated.pk}/blind/{query}").status_code == 404


def test_strangers_see_and_rate_nothing(client: Client, rated: Job, mallory: User) -> None:
    client.force_login(mallory)
    assert client.get(address(rated)).status_code == 404
    assert client.post(address(rated), {"row": "3", "choice": "left"}).status_code == 404
    assert Rating.objects.count() == 0


def test_the_preference_joins_the_report_with_its_interval(client: Client, rated: Job, alice: User, bob: User) -> None:
    pair = pair_of(rated, "few_shot,lora")
    for place in range(12):
        question_row = pair.rows[place]
        for rater in (alice, bob):
            left = blind.next_question(
                rated, pair, rater, {pair.first.items[other].index for other in pair.rows if other != question_row}
            )
            assert left is not None
            lora_left = left.left == pair.second.items[question_row].output
            rate(rated, rater, "left" if lora_left else "right", place=place)
    client.force_login(alice)
    page = client.get(f"/jobs/{rated.pk}/report/").content.decode()
    assert "LoRA preferred to Few-shot in 100 % (76–100) of 24 choices on 12 rows, p &lt; 0.001." in page
    assert "By 2 people." in page
    assert "2 people rated answers to these rows blind." in page


def test_one_rating_is_told_in_the_singular(client: Client, rated: Job, alice: User) -> None:
    rate(rated, alice, "equal")
    client.force_login(alice)
    page = client.get(f"/jobs/{rated.pk}/report/").content.decode()
    assert "1 row rated, and nobody saw a difference." in page
    rate(rated, alice, "left", place=1)
    page = client.get(f"/jobs/{rated.pk}/report/").content.decode()
    assert " of 1 choice on 2 rows, p = 1; 1 without a difference." in page
    assert "By 1 person." in page


@pytest.mark.parametrize("ratings", [1, 3])
def test_the_page_asks_the_same_queries_however_many_are_rated(
    client: Client,
    rated: Job,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
    ratings: int,
) -> None:
    for place in range(ratings):
        rate(rated, alice, "equal", place=place)
    client.force_login(alice)
    with django_assert_num_queries(4):
        client.get(address(rated))


def test_a_job_without_a_report_has_nothing_to_rate(client: Client, use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    client.force_login(alice)
    assert client.get(f"/jobs/{attempt.job_id}/blind/").status_code == 404


@pytest.fixture
def visit(browser: Browser, rated: Job) -> Iterator[Visit]:
    server = LiveServer("localhost")
    people = Visit(browser, server.url, PASSWORD)
    yield people
    people.close()
    server.stop()
    assert people.complaints == []


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_keys_rate_one_row_after_the_other_and_the_report_prints_on_white(visit: Visit, rated: Job) -> None:
    page = visit.log_in("alice")
    page.goto(address(rated))
    expect(page.locator("#blind")).to_be_focused()
    for key, done in (("1", 1), ("2", 2), ("=", 3)):
        page.keyboard.press(key)
        expect(page.get_by_text(f"{done} rated", exact=True)).to_be_visible()
    page.get_by_label("Compare").focus()
    page.keyboard.press("1")
    expect(page.get_by_text("3 rated", exact=True)).to_be_visible()
    page.goto(f"/jobs/{rated.pk}/report/print/")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    ink, paper = page.locator(".card").first.evaluate(
        "card => [getComputedStyle(card).color, getComputedStyle(card).backgroundColor]"
    )
    assert (ink, paper) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
