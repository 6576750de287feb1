"""Who may do what: every view of the site × every role, in one table. A url pattern without a row fails.

A row names what a view is for; `ALLOWED` says what each person then gets. Each request is rolled back, so that no row
depends on another. What a view does with what it lets through is its own app's test.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import pytest
from django.conf import settings
from django.db import transaction
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from playbook.contracts.roles import SIGNING_ROLES, WRITING_ROLES, Role
from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from playbook.web.common.content import library
from playbook.web.datasets.models import Dataset, DatasetImport, DocumentSet
from playbook.web.decisions.models import Decision, Status
from playbook.web.jobs.models import Job, Merge, PlaygroundSession
from playbook.web.prompts.models import Prompt
from playbook.web.usecases.actions import delegate_role
from playbook.web.usecases.models import Delegation, Membership, UseCase
from playbook.web.wiki.models import Flag
from tests.conftest import PASSWORD
from tests.web import decided
from tests.web.assessments.filled import NOTES, REWORDED
from tests.web.every_page import make_rows, url_names
from tests.web.wiki.every_block import ARTICLE

#: A visitor who has not logged in, and a stranger who is staff; the others are members by role, or strangers.
ANONYMOUS, STRANGER, STAFF = "anonymous", "stranger", "staff"
PEOPLE = (ANONYMOUS, STRANGER, STAFF, *(role.value for role in Role))

Access = Literal["public", "signed in", "staff", "member", "writer", "owner", "signer", "role holder"]
#: Who is let in. Of the others, a visitor is sent to log in, a stranger gets 404, and a member of the wrong role 403.
ALLOWED: dict[Access, frozenset[str]] = {
    "public": frozenset(PEOPLE),
    "signed in": frozenset(PEOPLE) - {ANONYMOUS},
    "staff": frozenset({STAFF}),
    "member": frozenset(Role),
    "writer": frozenset(WRITING_ROLES),
    "owner": frozenset({Role.OWNER}),
    "signer": frozenset({Role.ML_LEAD}),
    "role holder": frozenset(SIGNING_ROLES),
}
#: Nobody's property: the wrong person is told so (403), since there is nothing to hide.
NOT_HIDDEN: frozenset[Access] = frozenset({"staff"})

LET_IN, LOG_IN, NOT_FOUND, FORBIDDEN = "let in", "log in", "404", "403"


@dataclass(frozen=True)
class View:
    """`args`: what its address takes, given the world. `data`: what is posted; None for a view that is read."""

    access: Access
    args: Callable[["World"], list[object]] = field(default=lambda _: [])
    data: dict[str, str] | None = None
    query: str = ""


@dataclass(frozen=True)
class World:
    """One of everything, all in one use case."""

    use_case: UseCase
    assessment: Assessment
    asked: Assessment
    outdated: Assessment
    file: str
    draft: Decision
    proposed: Decision
    accepted: Decision
    job: Job
    reported: Job
    dataset: Dataset
    opened: DatasetImport
    documents: DocumentSet
    flag: Flag
    tag: str
    delegation: Delegation
    prompt: Prompt
    session: PlaygroundSession
    merge: Merge

    def membership(self, role: Role) -> Membership:
        return self.use_case.memberships.filter(role=role).earliest("pk")


def _article(world: World) -> list[object]:
    return list(ARTICLE.split("/"))


SIGN = {"role": "ml_lead", "verdict": "approve", "password": PASSWORD, "seen_digest": "0" * 64, "seen_entry": "0"}

VIEWS: dict[str, View] = {
    "accounts:login": View("public"),
    "accounts:logout": View("signed in", data={}),
    "home:home": View("signed in"),
    "home:healthz": View("public"),
    "theme": View("public", data={"theme": "dark"}),
    "sitemap": View("signed in"),
    "llms": View("signed in"),
    "wiki:index": View("signed in"),
    "wiki:area": View("signed in", lambda world: _article(world)[:1]),
    "wiki:article": View("signed in", _article),
    "wiki:source": View("signed in", _article),
    "wiki:preview": View("signed in", _article),
    "wiki:history": View("signed in", _article),
    "wiki:image": View("signed in", lambda world: [f"articles/{_article(world)[0]}/dot.png"]),
    "wiki:flag": View("signed in", _article, data={"comment": "The price is last year's."}),
    "wiki:resolve_flag": View("staff", lambda world: [world.flag.pk], data={}),
    "wiki:review": View("signed in"),
    "wiki:freshness": View("signed in"),
    "wiki:feed": View("signed in"),
    "wiki:glossary": View("signed in"),
    "wiki:tag": View("signed in", lambda world: [world.tag]),
    "wiki:evidence": View("signed in", lambda _: ["C11"]),
    "wiki:models": View("signed in"),
    "wiki:calculators": View("signed in"),
    "wiki:calculator": View("signed in", lambda _: ["test-rows"]),
    "search:index": View("signed in"),
    "search:palette": View("signed in", query="q=tuning"),
    "search:missed": View("staff"),
    "search:missing": View("signed in", data={"q": "zebra"}),
    "assessments:index": View("signed in"),
    "assessments:checklist": View("signed in", lambda _: ["should-we-fine-tune"]),
    "assessments:start": View("signed in", lambda _: ["should-we-fine-tune"], data={}),
    "assessments:detail": View("member", lambda world: [world.assessment.pk]),
    "assessments:answer": View("writer", lambda world: [world.assessment.pk, "prompting"], data={"value": "yes"}),
    "assessments:table": View("signed in", lambda _: ["should-we-fine-tune"]),
    "assessments:schema": View("signed in"),
    "assessments:changes": View("member", lambda world: [world.assessment.pk], query="since=0"),
    "assessments:newer": View("member", lambda world: [world.outdated.pk]),
    "assessments:move": View("writer", lambda world: [world.outdated.pk], data={}),
    "assessments:question": View("member", lambda world: [world.asked.pk, "fits"]),
    "assessments:evidence_file": View("member", lambda world: [world.asked.pk, world.file]),
    "assessments:measure": View("writer", lambda world: [world.asked.pk, "fits"], data={}),
    "assessments:add_evidence": View("writer", lambda world: [world.asked.pk, "goal"], data={}),
    "assessments:remove_evidence": View("writer", lambda world: [world.asked.pk, "goal"], data={}),
    "assessments:assign": View("writer", lambda world: [world.asked.pk, "goal"], data={}),
    "assessments:end_assignment": View("writer", lambda world: [world.asked.pk, "goal"], data={}),
    "assessments:remark": View("member", lambda world: [world.asked.pk, "goal"], data={"text": "Why?"}),
    "decisions:index": View("signed in"),
    "decisions:csv": View("signed in"),
    "decisions:json": View("signed in"),
    "decisions:draft": View("writer", lambda world: [world.proposed.assessment_id], data={}),
    "decisions:detail": View("member", lambda world: [world.accepted.number]),
    "decisions:markdown": View("member", lambda world: [world.accepted.number]),
    "decisions:bundle": View("member", lambda world: [world.accepted.number]),
    "decisions:edit": View("writer", lambda world: [world.draft.number]),
    "decisions:measure": View("writer", lambda world: [world.draft.number], data={}),
    "decisions:propose": View("writer", lambda world: [world.draft.number], data={}),
    "decisions:withdraw": View("writer", lambda world: [world.proposed.number], data={}),
    "decisions:sign": View("signer", lambda world: [world.proposed.number], data=SIGN),
    "decisions:reopen": View("writer", lambda world: [world.accepted.number], data={"reason": "x"}),
    "decisions:supersede": View("writer", lambda world: [world.accepted.number], data={}),
    "decisions:deprecate": View("writer", lambda world: [world.accepted.number], data={"reason": "x"}),
    "jobs:index": View("signed in"),
    "jobs:choose": View("signed in"),
    "jobs:workers": View("signed in"),
    "jobs:predictions": View("signed in"),
    "jobs:compare": View("signed in"),
    "jobs:new": View("writer", query="use_case=support-ticket-triage"),
    "jobs:detail": View("member", lambda world: [world.job.pk]),
    "jobs:samples": View("member", lambda world: [world.job.pk]),
    "jobs:events": View("member", lambda world: [world.job.pk]),
    "jobs:rows": View("member", lambda world: [world.reported.pk]),
    "jobs:row": View("member", lambda world: [world.reported.pk, 0]),
    "jobs:report": View("member", lambda world: [world.reported.pk]),
    "jobs:report_print": View("member", lambda world: [world.reported.pk]),
    "jobs:export": View("member", lambda world: [world.reported.pk, "csv"]),
    "jobs:blind": View("member", lambda world: [world.reported.pk], data={"row": "0", "choice": "left"}),
    "jobs:artifact": View("member", lambda world: [world.reported.pk, "report.json"]),
    "jobs:cancel": View("writer", lambda world: [world.job.pk], data={}),
    "outcomes:index": View("signed in"),
    "outcomes:calibration": View("signed in"),
    "outcomes:new": View("writer", lambda world: [world.reported.pk]),
    "datasets:index": View("signed in"),
    "datasets:new": View("writer", lambda world: [world.use_case.slug]),
    "datasets:detail": View("member", lambda world: [world.dataset.pk]),
    "datasets:check": View("member", lambda world: [world.dataset.pk, "duplicate"]),
    "datasets:changes": View("member", lambda world: [world.dataset.pk]),
    "datasets:metric": View("writer", lambda world: [world.dataset.pk]),
    "datasets:new_version": View("writer", lambda world: [world.dataset.pk]),
    "datasets:documents": View("member", lambda world: [world.documents.pk]),
    "datasets:new_documents": View("writer", lambda world: [world.use_case.slug]),
    "datasets:import": View("writer", lambda world: [world.opened.pk]),
    "datasets:import_check": View("writer", lambda world: [world.opened.pk, "duplicate"]),
    "datasets:change_import": View("writer", lambda world: [world.opened.pk], data={}),
    "datasets:store_import": View("writer", lambda world: [world.opened.pk], data={}),
    "datasets:discard_import": View("writer", lambda world: [world.opened.pk], data={}),
    "prompts:index": View("signed in"),
    "prompts:new": View("writer", lambda world: [world.use_case.slug]),
    "prompts:workbench": View("member", lambda world: [world.prompt.pk]),
    "prompts:version": View("member", lambda world: [world.prompt.pk, 1]),
    "jobs:measure_prompt": View("writer", lambda world: [world.prompt.pk], data={}),
    "jobs:new_playground": View("writer", query="use_case=support-ticket-triage"),
    "jobs:merge": View("writer", lambda world: [world.reported.pk], data={}),
    "jobs:merged": View("member", lambda world: [world.merge.job_id]),
    "jobs:playground": View("member", lambda world: [world.session.job_id]),
    "jobs:close_playground": View("writer", lambda world: [world.session.job_id], data={}),
    "jobs:stop_answer": View("writer", lambda world: [world.session.job_id], data={}),
    "jobs:save_turn": View("writer", lambda world: [world.session.job_id, 1]),
    "usecases:index": View("signed in"),
    "usecases:new": View("signed in"),
    "usecases:detail": View("member", lambda world: [world.use_case.slug]),
    "usecases:add_member": View("owner", lambda world: [world.use_case.slug], data={}),
    "usecases:delegate": View("role holder", lambda world: [world.use_case.slug], data={}),
    "usecases:revoke_delegation": View("owner", lambda world: [world.use_case.slug, world.delegation.pk], data={}),
    "usecases:remove_member": View(
        "owner", lambda world: [world.use_case.slug, world.membership(Role.VIEWER).pk], data={}
    ),
}


#: Views that are read and written at one address: who may do what the row above does not try.
OTHER_METHOD: dict[str, Access] = {
    "accounts:login": "public",
    "datasets:metric": "writer",
    "datasets:new": "writer",
    "datasets:new_documents": "writer",
    "datasets:new_version": "writer",
    "decisions:edit": "writer",
    "jobs:blind": "member",
    "jobs:measure_prompt": "member",
    "jobs:new": "writer",
    "jobs:new_playground": "writer",
    "jobs:playground": "writer",
    "jobs:save_turn": "writer",
    "outcomes:new": "writer",
    "prompts:new": "writer",
    "prompts:workbench": "writer",
    "usecases:new": "signed in",
}


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """One person for each column of the table but the visitor."""
    return {
        name: User.objects.create_user(f"p-{name}", password=PASSWORD, name=name, is_staff=name == STAFF)
        for name in PEOPLE
        if name != ANONYMOUS
    }


@pytest.fixture
def sessions(people: dict[str, User]) -> dict[str, str]:
    """The session of each, for all requests: to log in before each would take as long as a small page."""
    found = {}
    for name, user in people.items():
        client = Client()
        client.force_login(user)
        found[name] = client.cookies[settings.SESSION_COOKIE_NAME].value
    return found


@pytest.fixture
def world(people: dict[str, User], bob: User, charlie: User, every_block: None) -> World:
    erin = User.objects.create_user("erin", password=PASSWORD, name="Erin Vogel")
    make_rows(erin, bob, charlie)
    use_case = UseCase.objects.get(slug="support-ticket-triage")
    Membership.objects.bulk_create(Membership(use_case=use_case, user=people[role], role=role) for role in Role)
    proposed = decided.proposed(use_case, erin)
    decisions = Decision.objects.filter(use_case=use_case)
    jobs = Job.objects.filter(use_case=use_case)
    return World(
        use_case=use_case,
        assessment=Assessment.objects.filter(use_case=use_case, locked_at=None, answers=None).latest("pk"),
        asked=Assessment.objects.get(checklist_slug="kinds"),
        outdated=Assessment.objects.get(checklist_slug=REWORDED),
        file=hashlib.sha256(NOTES).hexdigest(),
        draft=decisions.filter(status=Status.DRAFT).latest("pk"),
        proposed=proposed,
        accepted=decisions.filter(status=Status.ACCEPTED).latest("pk"),
        job=next(job for job in jobs.runs().filter(state="running") if job.latest_attempt),
        reported=jobs.filter(artifacts__name="report.json", outcome=None, decision__isnull=False).latest("pk"),
        dataset=Dataset.objects.get(use_case=use_case),
        opened=DatasetImport.objects.filter(use_case=use_case, ended_at=None).earliest("pk"),
        documents=DocumentSet.objects.get(use_case=use_case),
        flag=Flag.objects.latest("pk"),
        prompt=Prompt.objects.get(use_case=use_case),
        session=PlaygroundSession.objects.get(job__use_case=use_case),
        merge=Merge.objects.get(job__use_case=use_case),
        tag=library().articles[ARTICLE].tags[0],
        delegation=delegate_role(
            use_case,
            role=Role.PRODUCT_OWNER,
            delegate=bob,
            until=timezone.localdate() + timedelta(days=7),
            actor=charlie,
        ),
    )


def test_every_view_has_a_row() -> None:
    assert set(VIEWS) == url_names()


def test_every_view_lets_in_whom_the_table_says(world: World, sessions: dict[str, str]) -> None:
    wrong: list[str] = []
    for name, view in VIEWS.items():
        wrong += _wrong(name, _address(world, name), view.data, view.access, sessions)
    assert wrong == []


def test_every_view_that_is_read_and_written_is_tried_both_ways(
    world: World, people: dict[str, User], sessions: dict[str, str]
) -> None:
    both: set[str] = set()
    wrong: list[str] = []
    for name, view in VIEWS.items():
        address = _address(world, name)
        client = Client()
        client.force_login(people[STAFF])
        allowed = client.generic("TRACE", address).headers.get("Allow", "")
        if {"GET", "POST"} <= set(allowed.split(", ")):
            both.add(name)
            other: dict[str, str] | None = {} if view.data is None else None
            wrong += _wrong(name, address, other, OTHER_METHOD.get(name, "public"), sessions)
    assert both == set(OTHER_METHOD)
    assert wrong == []


def _address(world: World, name: str) -> str:
    view = VIEWS[name]
    return reverse(name, args=view.args(world)) + (f"?{view.query}" if view.query else "")


def _wrong(
    name: str, address: str, data: dict[str, str] | None, access: Access, sessions: dict[str, str]
) -> Iterator[str]:
    for person in PEOPLE:
        answer = _ask(address, data, sessions.get(person))
        if isinstance(answer, StreamingHttpResponse):
            list(answer)  # a file that is sent is closed at its end
        if _kind(answer) != _expected(access, person):
            yield f"{name} for {person}: {answer.status_code}, should be {_expected(access, person)}"


def _ask(address: str, data: dict[str, str] | None, session: str | None) -> HttpResponseBase:
    client = Client()
    if session:
        client.cookies[settings.SESSION_COOKIE_NAME] = session
    with transaction.atomic():
        answer = client.get(address) if data is None else client.post(address, data)
        transaction.set_rollback(True)
    return answer


def _kind(answer: HttpResponseBase) -> str:
    if answer.status_code == 404:
        return NOT_FOUND
    if answer.status_code == 403:
        return FORBIDDEN
    if answer.status_code == 302 and answer.headers["Location"].startswith("/account/login/?next="):
        return LOG_IN
    assert answer.status_code < 500, f"the site failed with {answer.status_code}"
    return LET_IN


def _expected(access: Access, person: str) -> str:
    if person in ALLOWED[access]:
        return LET_IN
    if person == ANONYMOUS:
        return LOG_IN
    return FORBIDDEN if person in list(Role) or access in NOT_HIDDEN else NOT_FOUND
