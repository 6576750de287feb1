"""The world of `bench_decisions`: use cases with decisions, their assessments and answers, signatures and audit log.

Written in bulk, in the shape that the actions leave. Imported only once Django is set up.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import rfc8785
from django.db import connection
from django.utils import timezone

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.assessments.queries import evaluation_of
from playbook.web.common import guards
from playbook.web.common.chain import entry_hash, moment_text
from playbook.web.common.content import library
from playbook.web.common.models import AuditEntry, AuditHead
from playbook.web.decisions.covered import digest_of
from playbook.web.decisions.models import Decision, Signature, Status
from playbook.web.decisions.signing import SignOff, for_signing
from playbook.web.decisions.template import draft_fields
from playbook.web.decisions.vouched import signature_sha256
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import Membership, UseCase
from tests.benchmarks.jobs_world import launch
from tests.web.decided import ARTICLE, FORECAST, TUNE

USE_CASES = 100
ANSWERS_EACH = 10
BATCH = 1000
CHECKLIST = "should-we-fine-tune"
STATUSES = (Status.ACCEPTED,) * 5 + (Status.PROPOSED,) * 2 + (Status.DRAFT, Status.REJECTED, Status.DEPRECATED)


def reader() -> User:
    """Return the person who looks at the pages, ML lead in every use case."""
    return User.objects.get(username="reader")


def people() -> None:
    """Make the use cases and the people in their roles."""
    member, author, owner = (
        User.objects.create_user(name, password="bench", name=name.title()) for name in ("reader", "author", "owner")
    )
    for number in range(USE_CASES):
        use_case = UseCase.objects.create(name=f"Use case {number}", slug=f"use-case-{number}", created_by=author)
        Membership.objects.bulk_create(
            [
                Membership(use_case=use_case, user=author, role=Role.OWNER),
                Membership(use_case=use_case, user=member, role=Role.ML_LEAD),
                Membership(use_case=use_case, user=owner, role=Role.PRODUCT_OWNER),
            ]
        )


def fill(count: int) -> None:
    """Add so many decisions, spread over the use cases, each with an assessment of its own; first the people."""
    if not User.objects.exists():
        people()
    author = User.objects.get(username="author")
    use_cases = list(UseCase.objects.order_by("pk"))
    checklist = library().checklists[CHECKLIST]
    definition = checklist.model_dump(mode="json")
    first = Decision.objects.count()
    now = timezone.now()
    for start in range(first, first + count, BATCH):
        numbers = range(start, min(start + BATCH, first + count))
        assessments = Assessment.objects.bulk_create(
            Assessment(
                use_case=use_cases[number % USE_CASES],
                checklist_slug=checklist.slug,
                checklist_version=checklist.version,
                checklist_digest=checklist.digest,
                definition=definition,
                created_by=author,
            )
            for number in numbers
        )
        Answer.objects.bulk_create(answer for each in assessments for answer in _answers(each, author))
        fields = _fields(assessments[0])
        decisions = Decision.objects.bulk_create(
            Decision(
                number=number + 1,
                use_case=each.use_case,
                assessment=each,
                created_by=author,
                owner=author,
                status=(status := STATUSES[(number + number // USE_CASES) % len(STATUSES)]),
                proposed_by=author,
                proposed_at=now,
                decided_at=None if status in (Status.DRAFT, Status.PROPOSED) else now,
                **{**fields, **FORECAST, "title": f"{each.use_case.name}: tune number {number}"},
            )
            for number, each in zip(numbers, assessments, strict=True)
        )
        for number, decision in zip(numbers, decisions, strict=True):
            decision.created_at = now - timedelta(days=number % 700)
        Decision.objects.bulk_update(decisions, ["created_at"], batch_size=BATCH)
        _chain(decisions, _sign(decisions), author)
        launch([each for each in decisions if each.status == Status.ACCEPTED], author)


def pages() -> dict[str, list[str]]:
    """Return the addresses to ask for, by the page that they show."""
    decisions = list(Decision.objects.filter(status=Status.ACCEPTED).order_by("number")[:: max(1, _some())][:20])
    proposed = list(Decision.objects.filter(status=Status.PROPOSED).order_by("number")[:20])
    jobs = list(Job.objects.ended().filter(state="succeeded").order_by("pk")[:20])
    running = Job.objects.active().values_list("pk", flat=True)[:20]
    to_record = Job.objects.filter(state="succeeded", outcome__isnull=True).values_list("pk", flat=True)[:20]
    compared = ",".join(str(job.pk) for job in jobs[:6])
    draft = list(Decision.objects.filter(status=Status.DRAFT).order_by("number")[:20])
    return {
        "home": ["/"],
        "log": ["/decisions/", "/decisions/?status=accepted", "/decisions/?page=3", "/decisions/?use_case=use-case-7"],
        "log search": ["/decisions/?q=tune+number", "/decisions/?q=nothing-like-it", "/decisions/?q=D-77"],
        "log search in the texts": ["/decisions/?q=prompting", "/decisions/?q=owner+budget+data+failures"],
        "log by month": [f"/decisions/?month={timezone.now():%Y-%m}"],
        "log of a use case as CSV": ["/decisions/export.csv?use_case=use-case-7"],
        "log of a use case as JSON": ["/decisions/export.json?use_case=use-case-7"],
        "decision": [each.get_absolute_url() for each in decisions],
        "proposal": [each.get_absolute_url() for each in proposed],
        "edit": [f"{each.get_absolute_url()}edit/" for each in draft],
        "markdown": [f"/decisions/{each.number}.md" for each in decisions],
        "bundle": [f"/decisions/{each.number}.zip" for each in decisions],
        "assessments": ["/decide/"],
        "assessment": [each.assessment.get_absolute_url() for each in decisions],
        "use case": [f"/use-cases/use-case-{number}/" for number in range(10)],
        "use cases": ["/use-cases/"],
        "outcomes": ["/outcomes/", "/outcomes/?page=20"],
        "outcome to record": [f"/outcomes/new/{pk}/" for pk in to_record],
        "forecasts": ["/outcomes/calibration/", "/outcomes/calibration/?page=5"],
        "jobs": ["/jobs/", "/jobs/?queued=5", "/jobs/?page=40"],
        "job with its report": [job.get_absolute_url() for job in jobs],
        "running job": [f"/jobs/{pk}/" for pk in running],
        "report": [f"{job.get_absolute_url()}report/" for job in jobs],
        "every answer": [f"{job.get_absolute_url()}rows/" for job in jobs],
        "predictions": ["/jobs/predictions/"],
        "choice of a decision to launch": ["/jobs/choose/"],
        "launch": [f"/jobs/new/?decision={each.number}" for each in decisions],
        "choice of jobs to compare": ["/jobs/compare/"],
        "comparison of six jobs": [f"/jobs/compare/?jobs={compared}"],
        "checklist": [f"/decide/{CHECKLIST}/"],
        "open assessment": [each.assessment.get_absolute_url() for each in draft],
        "decision table": [f"/decide/{CHECKLIST}/table/"],
        "palette": ["/search/palette?q=tune", "/search/palette?q=use+case+7", "/search/palette?q=D-77"],
        "search": ["/search/?q=tune+number", "/search/?q=use+case"],
        "article with outcomes": [f"/library/{ARTICLE}/"],
        "evidence for a claim": ["/library/evidence/C10/"],
        "articles to review": ["/library/review/"],
        "datasets": ["/datasets/"],
        "prompts": ["/prompts/"],
        "workers": ["/jobs/workers/"],
        "report to print": [f"{job.get_absolute_url()}report/print/" for job in jobs],
        "report as CSV": [f"{job.get_absolute_url()}report.csv" for job in jobs],
        "one answer": [f"{job.get_absolute_url()}rows/3/" for job in jobs],
        "blind rating": [f"{job.get_absolute_url()}blind/" for job in jobs],
        "launch without a decision": [f"/jobs/new/?use_case=use-case-{number}" for number in range(10)],
        "clone": [f"/jobs/new/?clone={job.pk}" for job in jobs],
        "new dataset": ["/datasets/new/use-case-7/"],
        "new prompt": ["/prompts/new/use-case-7/"],
        "question": [f"{each.assessment.get_absolute_url()}questions/prompting/" for each in decisions],
    }


def _some() -> int:
    return Decision.objects.filter(status=Status.ACCEPTED).count() // 20


def _answers(assessment: Assessment, author: User) -> list[Answer]:
    """Ten answers: every question, some of them twice or more."""
    names = list(TUNE)
    found = []
    for place in range(ANSWERS_EACH):
        name = names[place % len(names)]
        revision = place // len(names) + 1
        found.append(
            Answer(assessment=assessment, question_id=name, revision=revision, value=TUNE[name], author=author)
        )
    return found


def _answered() -> Iterator[dict[str, Any]]:
    """Yield what the audit log says of each of the ten answers."""
    names = list(TUNE)
    for place in range(ANSWERS_EACH):
        name = names[place % len(names)]
        before = {"before": TUNE[name], "before_comment": ""} if place >= len(names) else {}
        yield {"question": name, "after": TUNE[name], "comment": "", **before}


def _fields(assessment: Assessment) -> dict[str, Any]:
    fresh = Assessment.objects.prefetch_related("answers").get(pk=assessment.pk)
    return draft_fields(fresh, evaluation_of(fresh), today=timezone.localdate())


def _sign(decisions: list[Decision]) -> dict[int, list[Signature]]:
    """Sign what was accepted, in both roles; return the signatures by decision."""
    accepted = for_signing(Decision.objects.filter(pk__in=[row.pk for row in decisions], status=Status.ACCEPTED))
    signatures = []
    for decision in accepted:
        document = SignOff(decision).document
        digest = digest_of(document)
        for member in decision.use_case.memberships.all():
            if member.role in (Role.ML_LEAD, Role.PRODUCT_OWNER):
                signatures.append(
                    Signature(
                        decision=decision,
                        user=member.user,
                        printed_name=str(member.user),
                        role=member.role,
                        membership_key=member.pk,
                        verdict="approve",
                        meaning="I approve this decision.",
                        covered=document,
                        digest=digest,
                    )
                )
    found: dict[int, list[Signature]] = {}
    for signature in Signature.objects.bulk_create(signatures):
        found.setdefault(signature.decision_id, []).append(signature)
    return found


def _signed(signature: Signature) -> dict[str, Any]:
    """Return what the audit log says of a signature, as `sign_decision` does."""
    return {
        "role": str(signature.role),
        "verdict": str(signature.verdict),
        "reason": "",
        "digest": signature.digest,
        "signature": signature.pk,
        "signature_sha256": signature_sha256(signature),
    }


def _chain(decisions: list[Decision], signatures: dict[int, list[Signature]], author: User) -> None:
    """Append an audit entry for each answer and signature and three for each decision, chained as `record` would."""
    head = AuditHead.objects.get()
    number, last, entries, now = head.number, head.hash, [], timezone.now()
    for decision in decisions:
        rows: list[tuple[str, int, str, dict[str, Any]]] = [
            ("assessments.assessment", decision.assessment_id, "answered", said) for said in _answered()
        ]
        rows += [("decisions.decision", decision.pk, action, {}) for action in ("drafted", "proposed", "accepted")]
        signed = signatures.get(decision.pk, ())
        rows[-1:-1] = [("decisions.decision", decision.pk, "signed", _signed(signature)) for signature in signed]
        for subject, subject_id, action, detail in rows:
            number += 1
            entry = AuditEntry(
                number=number,
                at=now,
                actor=author,
                action=action,
                subject=subject,
                subject_id=subject_id,
                detail=detail,
                previous_hash=last,
            )
            entry.hash = last = entry_hash(
                number=number,
                at=moment_text(now),
                actor_id=author.pk,
                action=action,
                subject=subject,
                subject_id=subject_id,
                detail=rfc8785.dumps(detail).decode(),
                previous_hash=entry.previous_hash,
            )
            entries.append(entry)
    guards.lift(connection)
    AuditEntry.objects.bulk_create(entries, batch_size=BATCH)
    AuditHead.objects.update(number=number, hash=last)
    guards.set_up(connection)
