"""Letters about questions: who is asked hears of it at once, and again while it is due, once a day."""

from datetime import date, timedelta
from io import StringIO

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.team_actions import assign_question
from playbook.web.common.models import ReminderLetter
from playbook.web.common.reminders import KEPT, send_reminders
from playbook.web.decisions.models import Decision
from playbook.web.usecases.actions import remove_member
from playbook.web.usecases.models import Membership, UseCase
from tests.web import decided
from tests.web.assessments.conftest import say


@pytest.fixture(autouse=True)
def _addresses(alice: User, bob: User, charlie: User) -> None:
    for user in (alice, bob, charlie):
        user.email = f"{user.username}@example.org"
        user.save()


def letters() -> list[tuple[str, str]]:
    return [(letter.to[0].partition("@")[0], str(letter.subject)) for letter in mail.outbox]


def reminded() -> str:
    out = StringIO()
    call_command("send_reminders", stdout=out)
    return out.getvalue().strip()


def test_who_is_asked_hears_by_whom_what_until_when_and_where(
    kinds: Assessment,
    alice: User,
    bob: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            assign_question(kinds, question_id="rows", assignee=bob, due_on=date(2030, 5, 1), actor=alice)
    assert letters() == [("bob", "Alice Moreau asks you: Is it rows?")]
    body = str(mail.outbox[0].body)
    assert "“Every kind” for “Support ticket triage”" in body
    assert "Please answer by 1 May 2030." in body
    assert body.endswith(f"\nhttp://localhost:8000/decide/assessments/{kinds.pk}/questions/rows/\n")


def test_nobody_is_written_to_about_what_they_asked_of_themselves(
    kinds: Assessment, alice: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assign_question(kinds, question_id="rows", assignee=alice, due_on=None, actor=alice)
    assert letters() == []


def test_one_letter_a_day_names_all_that_is_due(
    kinds: Assessment, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    today = timezone.localdate()
    for name, days in (("goal", 1), ("often", 0), ("rows", -2), ("fits", 2)):
        due_on = today + timedelta(days=days)
        assign_question(kinds, question_id=name, assignee=bob, due_on=due_on, actor=alice)
    proposal = decided.proposed(use_case, alice, sign_by=today)
    assert reminded() == ("2 letters sent; 0 people had theirs today; 0 have no address; 0 could not be sent")
    assert sorted(letters()) == [
        ("bob", "4 things are due: Answer “Is it rows?” for “Support ticket triage”, and more"),
        ("charlie", f"Due: Sign D-{proposal.number}: {proposal.title}"),
    ]
    body = next(str(letter.body) for letter in mail.outbox if letter.to == ["bob@example.org"])
    when = [line for line in body.splitlines() if line.startswith(("Overdue", "Due"))]
    tomorrow, before = today + timedelta(days=1), today - timedelta(days=2)
    assert when == [
        f"Overdue since {before:%-d %B %Y}",
        f"Due today, {today:%-d %B %Y}",
        f"Due today, {today:%-d %B %Y}",
        f"Due on {tomorrow:%-d %B %Y}",
    ]
    assert f"http://localhost:8000/decisions/{proposal.number}/#sign" in body
    assert reminded() == ("0 letters sent; 2 people had theirs today; 0 have no address; 0 could not be sent")
    assert len(mail.outbox) == 2
    assert send_reminders(today + timedelta(days=1)).written == 2
    send_reminders(today + KEPT + timedelta(days=1))
    assert not ReminderLetter.objects.filter(day=today).exists()


def test_what_is_answered_signed_closed_or_given_up_is_due_for_nobody(
    kinds: Assessment, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    today = timezone.localdate()
    for name, person in (("goal", bob), ("often", charlie)):
        assign_question(kinds, question_id=name, assignee=person, due_on=today, actor=alice)
    say(kinds, alice, goal="Fewer calls")
    remove_member(Membership.objects.get(use_case=use_case, user=charlie), actor=alice)
    assert send_reminders(today).written == 0
    assign_question(kinds, question_id="rows", assignee=bob, due_on=today, actor=alice)
    lock_assessment(kinds, actor=alice)
    assert send_reminders(today).written == 0
    Decision.objects.filter(pk=decided.proposed(use_case, alice).pk).update(sign_by=None)
    assert send_reminders(today).written == 0


def test_a_letter_that_was_not_taken_goes_out_with_the_next_run_of_the_day(
    kinds: Assessment, alice: User, bob: User, settings: Settings
) -> None:
    assign_question(kinds, question_id="goal", assignee=bob, due_on=timezone.localdate(), actor=alice)
    taken = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with pytest.raises(SystemExit, match="1"):
        reminded()
    settings.EMAIL_BACKEND = taken
    assert reminded().startswith("1 letters sent; 0 people had theirs today;")
    assert letters() == [("bob", "Due: Answer “Is it goal?” for “Support ticket triage”")]


def test_who_has_no_address_is_counted(kinds: Assessment, alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(email="")
    assign_question(kinds, question_id="goal", assignee=bob, due_on=timezone.localdate(), actor=alice)
    assert "; 1 have no address; " in reminded()
    assert not ReminderLetter.objects.exists()


def test_reminders_of_one_person_cost_the_same_for_one_question_and_for_three(
    kinds: Assessment, alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    today = timezone.localdate()
    for names in (["goal"], ["often", "rows"]):
        for name in names:
            assign_question(kinds, question_id=name, assignee=bob, due_on=today, actor=alice)
        ReminderLetter.objects.all().delete()
        with django_assert_num_queries(7):
            send_reminders(today)
