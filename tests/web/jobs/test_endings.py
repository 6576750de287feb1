"""How the page of a job tells that it ended: the advice of each reason, and the level of the log's last line."""

import html

import pytest
from django.test import Client

from playbook.contracts.states import WHAT_TO_DO, EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.jobs import actions, queries
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job, send_events

#: Whoever succeeds reads the report in place of an advice.
UNSUCCESSFUL = [reason for reason in EndReason if reason is not EndReason.COMPLETED]


@pytest.mark.parametrize("reason", UNSUCCESSFUL)
def test_every_reason_to_end_comes_with_its_advice_on_the_page(
    client: Client, use_case: UseCase, alice: User, reason: EndReason
) -> None:
    attempt = claimed_job(use_case, alice)
    state = JobState.FAILED
    if reason is EndReason.CANCELLED_BY_USER:
        actions.request_cancel(attempt.job, actor=alice)
        state = JobState.CANCELLED
    actions.finish(attempt, state=state, reason=reason, message="")
    client.force_login(alice)
    page = html.unescape(client.get(f"/jobs/{attempt.job_id}/").content.decode())
    assert f"<strong>{reason.replace('_', ' ').capitalize()}</strong>" in page
    assert f'<p class="muted">{WHAT_TO_DO[reason]}' in page
    assert WHAT_TO_DO[reason].endswith(".")
    assert '<span class="num nowrap">It ran for 0 s.</span>' in page


def test_the_list_tells_why_a_job_failed(client: Client, use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.OUT_OF_MEMORY, message="")
    client.force_login(alice)
    assert '<span class="small muted nowrap">out of memory</span>' in client.get("/jobs/").content.decode()


def test_a_refused_spec_names_the_setting_and_says_to_clone_the_job_with_it_corrected(
    client: Client, use_case: UseCase, alice: User
) -> None:
    attempt = claimed_job(use_case, alice)
    message = "training.max_steps must be above 0, and is -1."
    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.INVALID_SPEC, message=message)
    client.force_login(alice)
    page = client.get(f"/jobs/{attempt.job_id}/").content.decode()
    assert f"<strong>Invalid spec</strong>\n        <p>{message}</p>" in page
    assert "Clone the job with the named setting corrected, and correct the recipe if it sets that." in page
    assert f'<a class="button" href="/jobs/new/?clone={attempt.job_id}">Clone with changes</a>' in page


@pytest.mark.parametrize(
    ("reason", "level"),
    [("completed", "info"), ("cancelled_by_user", "info"), ("diverged", "error"), ("trainer_crashed", "error")],
)
def test_the_last_line_of_the_log_is_an_error_only_where_something_went_wrong(
    client: Client, use_case: UseCase, alice: User, reason: str, level: str
) -> None:
    attempt = claimed_job(use_case, alice)
    send_events(attempt, {"kind": "ended", "reason": reason, "message": "That was it."})
    (line,) = queries.log_tail(attempt.job)
    assert (line.level, line.text) == (level, "That was it.")
    client.force_login(alice)
    page = client.get(f"/jobs/{attempt.job_id}/").content.decode()
    assert ("<strong>error</strong> That was it." in page) == (level == "error")
