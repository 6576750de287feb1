"""The lists of jobs stay short however many wait: pages of them, and on Home the first alone."""

import pytest
from django.test import Client

from playbook.contracts.states import JobState
from playbook.web.accounts.models import User
from playbook.web.jobs import views
from playbook.web.jobs.models import Job
from playbook.web.jobs.panels import SHOWN
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import make_job


@pytest.fixture
def many(use_case: UseCase, alice: User, client: Client) -> list[int]:
    """Twelve waiting jobs and thereafter twelve that run."""
    first = make_job(use_case, alice)
    fields = {"use_case": use_case, "created_by": alice, "spec": first.spec, "base_model": first.base_model}
    more = [Job(title=f"Job {place}", state=state, **fields) for state, place in STATES]
    client.force_login(alice)
    return [first.pk, *(job.pk for job in Job.objects.bulk_create(more))]


STATES = [(JobState.QUEUED, place) for place in range(11)] + [(JobState.RUNNING, place) for place in range(12)]


def test_running_and_waiting_jobs_come_in_pages(
    client: Client, many: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "JOBS_PER_PAGE", 5)
    first = client.get("/jobs/")
    assert [job.pk for job in first.context["active"]] == many[:-6:-1]
    assert [(job.pk, job.position) for job in first.context["queued"]] == list(zip(many[:5], range(1, 6), strict=True))
    page = first.content.decode()
    assert "Running jobs, page 1 of 3" in page
    assert '<a class="button small" rel="next" href="?queued=2">Next</a>' in page
    last = client.get("/jobs/?queued=3").context["queued"]
    assert [(job.pk, job.position) for job in last] == [(many[10], 11), (many[11], 12)]


def test_home_names_the_first_of_them_and_leads_to_the_rest(client: Client, many: list[int]) -> None:
    page = client.get("/").content.decode()
    listed = page.partition("Running and waiting")[2].partition("</section>")[0]
    assert (listed.count("<li"), 'There are more: <a href="/jobs/">all jobs</a>' in listed) == (SHOWN, True)
