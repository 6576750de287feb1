"""One question of an assessment: every kind of answer, evidence, who is asked, the discussion."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import add_evidence, answer_question, lock_assessment, remove_evidence
from playbook.web.assessments.evidence import LinkEvidence, digest_of
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.assessments.queries import evaluation_of, rows_of
from playbook.web.assessments.team_actions import assign_question
from playbook.web.common.blobs import path_of
from playbook.web.common.content import history, library
from playbook.web.common.models import AuditEntry
from playbook.web.usecases.actions import add_member, remove_member
from playbook.web.usecases.models import Membership, UseCase
from tests.web.assessments.conftest import say

HTMX = {"HX-Request": "true"}


def page_of(assessment: Assessment, question: str = "goal", part: str = "") -> str:
    return f"/decide/assessments/{assessment.pk}/questions/{question}/{part}"


def answer(client: Client, assessment: Assessment, question: str, value: str, *, seen: int = 0, **headers: str) -> str:
    sent = {"value": value, "seen_revision": str(seen), "comment": ""}
    response = client.post(f"/decide/assessments/{assessment.pk}/answers/{question}/", sent, headers=headers or HTMX)
    return f"{response.status_code} {response.content.decode()}"


def test_an_assessment_is_answered_with_every_kind(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    for question, value in (("goal", " Fewer calls "), ("often", "daily"), ("rows", "0120")):
        assert answer(client, kinds, question, value).startswith("200 ")
    assert list(kinds.answers.values_list("value", flat=True)) == ["Fewer calls", "daily", "120"]
    page = client.get(kinds.get_absolute_url()).content.decode()
    assert "Alice Moreau answered “120 rows”" in page
    assert "Alice Moreau answered “Every day”" in page
    assert "There are rows enough." in page
    assert "Choose the measurement" in page


@pytest.mark.parametrize(
    ("question", "value", "message"),
    [
        ("rows", "many", "&#x27;many&#x27; is no number; write digits alone"),
        ("rows", "-3", "-3 rows: the smallest answer is 0."),
        ("often", "weekly", "“weekly” is not an answer here; choose one of daily, rarely, unknown."),
        ("goal", "  ", "No answer was written; write one, or answer “unknown”."),
        ("goal", "x" * 2_001, "Keep the answer under 2,000 characters."),
        ("fits", "yes", "A measurement answers this: choose the job that measured it"),
    ],
)
def test_what_does_not_fit_the_kind_is_refused(
    client: Client, kinds: Assessment, alice: User, question: str, value: str, message: str
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x", often="daily", rows="120")
    seen = kinds.answers.filter(question_id=question).count()
    assert answer(client, kinds, question, value, seen=seen).startswith("422 ")
    assert message in answer(client, kinds, question, value, seen=seen)
    assert kinds.answers.count() == 3


def test_the_button_unknown_wins_over_what_stands_in_the_field(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x", often="daily")
    client.post(
        f"/decide/assessments/{kinds.pk}/answers/rows/", {"value": ["12", "unknown"], "seen_revision": 0, "comment": ""}
    )
    assert kinds.answers.get(question_id="rows").value == "unknown"
    assert (
        "<strong>What would settle it:</strong> Look at rows." in client.get(kinds.get_absolute_url()).content.decode()
    )


def test_an_assessment_resumes_where_it_was_left(client: Client, kinds: Assessment, alice: User, bob: User) -> None:
    say(kinds, alice, goal="Fewer calls", often="daily")
    client.force_login(bob)
    page = client.get(kinds.get_absolute_url()).content.decode()
    assert ">Fewer calls</textarea>" in page
    assert 'id="often_daily" checked' in page
    assert 'id="rows"' in page
    assert 'id="fits"' not in page


def test_a_removed_checklist_is_still_answered_with_a_notice(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    assert "This checklist was removed from the library" in client.get(kinds.get_absolute_url()).content.decode()
    say(kinds, alice, goal="x", often="rarely")
    assert evaluation_of(kinds).complete
    assert client.get(page_of(kinds)).status_code == 200
    assert client.get(f"/decide/assessments/{kinds.pk}/newer/").status_code == 200
    assert client.post(f"/decide/assessments/{kinds.pk}/move/").status_code == 404


def test_evidence_of_each_kind_is_kept_with_what_was_looked_at(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="Fewer calls")
    article = library().articles["decide/prompt-retrieve-or-tune"]
    for sent in (
        {"kind": "article", "article": article.key},
        {"kind": "file", "file": SimpleUploadedFile("../no\x00tes <b>.html", b"<script>alert(1)</script>")},
        {"kind": "link", "url": "https://example.org/a?b=c", "label": "Minutes <i>"},
    ):
        response = client.post(page_of(kinds, part="evidence/"), sent)
        assert (response.status_code, response["Location"]) == (302, page_of(kinds) + "#evidence")
    newest = kinds.answers.latest("revision")
    digest = hashlib.sha256(b"<script>alert(1)</script>").hexdigest()
    assert newest.evidence == [
        {
            "kind": "article",
            "key": article.key,
            "title": article.title,
            "commit": history().of(article.path)[0].id,
            "digest": article.digest,
        },
        {"kind": "file", "name": "notes <b>.html", "sha256": digest, "size_bytes": 25},
        {"kind": "link", "url": "https://example.org/a?b=c", "label": "Minutes <i>"},
    ]
    assert (newest.revision, newest.value) == (4, "Fewer calls")
    page = client.get(page_of(kinds)).content.decode()
    commit = history().of(article.path)[0].id
    assert f'href="/library/{article.key}/history/?commit={commit}"' in page
    assert client.get(f"/library/{article.key}/history/?commit={commit}").status_code == 200
    assert "notes &lt;b&gt;.html" in page
    assert "Minutes &lt;i&gt;" in page
    download = client.get(f"/decide/assessments/{kinds.pk}/files/{digest}/")
    assert b"".join(download.streaming_content) == b"<script>alert(1)</script>"  # type: ignore[attr-defined]
    assert download["Content-Type"] == "application/octet-stream"
    assert download["Content-Disposition"].startswith("attachment;")


def test_evidence_may_be_removed_and_earlier_revisions_keep_it(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x")
    piece = LinkEvidence(url="https://example.org/", label="Minutes")
    add_evidence(kinds, question_id="goal", piece=piece, author=alice)
    add_evidence(kinds, question_id="goal", piece=piece, author=alice)
    client.post(page_of(kinds, part="evidence/remove/"), {"digest": digest_of(piece)})
    remove_evidence(kinds, question_id="goal", digest=digest_of(piece), author=alice)
    assert [len(row.evidence) for row in kinds.answers.all()] == [0, 1, 0]
    actions = AuditEntry.objects.filter(subject="assessments.assessment").order_by("id")
    assert list(actions.values_list("action", flat=True)) == [
        "started",
        "answered",
        "added evidence",
        "removed evidence",
    ]


def test_who_only_changes_the_evidence_is_not_said_to_have_answered(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="Fewer calls")
    answer_question(kinds, question_id="goal", value="Fewer calls", comment="At night.", seen_revision=1, author=bob)
    piece = LinkEvidence(url="https://example.org/", label="Minutes")
    add_evidence(kinds, question_id="goal", piece=piece, author=alice)
    remove_evidence(kinds, question_id="goal", digest=digest_of(piece), author=alice)
    page = client.get(page_of(kinds)).content.decode()
    history = page.partition('id="answers"')[2]
    assert [part.partition("<br>")[0] for part in history.split("<li>")[1:5]] == [
        "Alice Moreau removed evidence",
        "Alice Moreau added evidence",
        "Bob Okafor: “Fewer calls”, At night.",
        "Alice Moreau: “Fewer calls”",
    ]
    assert "<span>Bob Okafor answered “Fewer calls” on " in page


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"kind": "article", "article": "decide/nothing"}, "The library has no article &#x27;decide/nothing&#x27;"),
        ({"kind": "article", "article": ""}, "Fill this in; it says what the evidence is."),
        ({"kind": "link", "url": "javascript:alert(1)"}, "Write the whole address, beginning with https:// or http://"),
        ({"kind": "report", "report": "99:lora:exact_match"}, "99:lora:exact_match is not one of the available"),
        ({"kind": "file"}, "Fill this in; it says what the evidence is."),
        ({"kind": "song"}, "song is not one of the available choices"),
        ({}, "This field is required."),
    ],
)
def test_evidence_that_says_nothing_is_refused(
    client: Client, kinds: Assessment, alice: User, sent: dict[str, str], message: str
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x")
    response = client.post(page_of(kinds, part="evidence/"), sent)
    assert (response.status_code, message in response.content.decode()) == (422, True)
    assert kinds.answers.count() == 1


def test_a_file_that_is_too_large_is_refused_and_not_kept(
    client: Client, kinds: Assessment, alice: User, settings: Settings
) -> None:
    settings.PLAYBOOK_MAX_UPLOAD_MB = 0.000001
    client.force_login(alice)
    say(kinds, alice, goal="x")
    response = client.post(page_of(kinds, part="evidence/"), {"kind": "file", "file": SimpleUploadedFile("a", b"12")})
    assert "The file is larger than" in response.content.decode()
    assert not list((Path(settings.PLAYBOOK_DATA_DIR) / "blobs").rglob("*"))


def test_evidence_belongs_to_an_answer(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    link = {"kind": "link", "url": "https://example.org/", "label": "x"}
    page = client.post(page_of(kinds, part="evidence/"), link, follow=True).content.decode()
    assert "Answer the question first: evidence belongs to an answer." in page


def test_files_of_other_assessments_are_not_found(
    client: Client, kinds: Assessment, alice: User, mallory: User
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x")
    client.post(page_of(kinds, part="evidence/"), {"kind": "file", "file": SimpleUploadedFile("a.txt", b"12")})
    path = f"/decide/assessments/{kinds.pk}/files/{hashlib.sha256(b'12').hexdigest()}/"
    found = client.get(path)
    assert b"".join(found.streaming_content) == b"12"  # type: ignore[attr-defined]
    assert client.get(f"/decide/assessments/{kinds.pk}/files/{'0' * 64}/").status_code == 404
    client.force_login(mallory)
    assert client.get(path).status_code == 404


def test_a_file_that_was_altered_on_disk_is_named_and_not_given_out(
    client: Client, kinds: Assessment, alice: User
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x")
    client.post(page_of(kinds, part="evidence/"), {"kind": "file", "file": SimpleUploadedFile("a.txt", b"12")})
    digest = hashlib.sha256(b"12").hexdigest()
    path_of(digest).write_bytes(b"13")
    page = client.get(f"/decide/assessments/{kinds.pk}/files/{digest}/", follow=True)
    assert "“a.txt” was altered in the site&#x27;s data folder" in page.content.decode()
    path_of(digest).unlink()
    assert client.get(f"/decide/assessments/{kinds.pk}/files/{digest}/").status_code == 404


def test_a_question_is_asked_of_a_person_until_it_is_answered(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    due = timezone.localdate() + timedelta(days=3)
    client.post(page_of(kinds, part="assign/"), {"assignee": bob.pk, "due_on": due.isoformat()})
    assert f"Asked of Bob Okafor until {due:%-d %B %Y}" in client.get(kinds.get_absolute_url()).content.decode()
    client.force_login(bob)
    home = client.get("/").content.decode()
    assert "Questions asked of you" in home
    assert page_of(kinds) in home
    assert f"until\n {due:%-d %b %Y}".replace("\n", "") in " ".join(home.split())
    say(kinds, bob, goal="unknown")
    assert "Questions asked of you" not in client.get("/").content.decode()
    assert kinds.assignments.filter(ended_at=None).count() == 0


def test_a_question_is_given_to_somebody_else_or_taken_back(
    client: Client, kinds: Assessment, alice: User, bob: User, charlie: User
) -> None:
    client.force_login(alice)
    for person in (bob, bob, charlie):
        client.post(page_of(kinds, part="assign/"), {"assignee": person.pk, "due_on": ""})
    assert [(row.assignee, row.ended_at is None) for row in kinds.assignments.all()] == [(bob, False), (charlie, True)]
    for _ in range(2):
        client.post(page_of(kinds, part="assign/end/"))
    assert not kinds.assignments.filter(ended_at=None).exists()
    actions = AuditEntry.objects.filter(subject="assessments.assessment").order_by("id")
    assert list(actions.values_list("action", flat=True)) == ["started", "assigned", "assigned", "ended assignment"]


def test_only_who_may_answer_can_be_asked_and_not_for_yesterday(
    client: Client, kinds: Assessment, use_case: UseCase, alice: User, bob: User, mallory: User
) -> None:
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    client.force_login(alice)
    assert client.post(page_of(kinds, part="assign/"), {"assignee": mallory.pk}).status_code == 422
    yesterday = (timezone.localdate() - timedelta(days=1)).isoformat()
    response = client.post(page_of(kinds, part="assign/"), {"assignee": bob.pk, "due_on": yesterday})
    assert "That day has passed" in response.content.decode()
    assert not kinds.assignments.exists()


def test_home_says_what_is_overdue_and_forgets_who_left_the_team(
    client: Client, kinds: Assessment, use_case: UseCase, alice: User, bob: User
) -> None:
    due = timezone.localdate() - timedelta(days=1)
    assign_question(kinds, question_id="goal", assignee=bob, due_on=due, actor=alice)
    client.force_login(bob)
    assert '<span class="badge bad">Overdue</span>' in client.get("/").content.decode()
    remove_member(Membership.objects.get(use_case=use_case, user=bob), actor=alice)
    assert "Questions asked of you" not in client.get("/").content.decode()


def test_a_question_is_discussed_by_every_member(
    client: Client, kinds: Assessment, use_case: UseCase, alice: User, mallory: User
) -> None:
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    client.force_login(mallory)
    text = "Who says so?\n<script>alert(1)</script>"
    response = client.post(page_of(kinds, part="remarks/"), {"text": text})
    assert response["Location"] == page_of(kinds) + "#discussion"
    page = client.get(page_of(kinds)).content.decode()
    assert "<p>Who says so?<br>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert "Discussion (1)" in client.get(kinds.get_absolute_url()).content.decode()
    assert client.post(page_of(kinds, part="remarks/"), {"text": "  "}).status_code == 422
    lock_assessment(kinds, actor=alice)
    assert client.post(page_of(kinds, part="remarks/"), {"text": "And now?"}).status_code == 302
    assert kinds.remarks.count() == 2


def test_a_locked_assessment_takes_no_evidence_and_no_assignment(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x")
    lock_assessment(kinds, actor=alice)
    for part, sent in (
        ("evidence/", {"kind": "link", "url": "https://example.org/", "label": "x"}),
        ("evidence/remove/", {"digest": "x"}),
        ("assign/", {"assignee": str(bob.pk)}),
        ("assign/end/", {}),
    ):
        page = client.post(page_of(kinds, part=part), sent, follow=True).content.decode()
        assert "A decision was accepted on these answers, so they are locked." in page
    assert (Answer.objects.count(), kinds.assignments.count()) == (1, 0)


def test_the_page_of_a_question_that_is_not_there_is_not_found(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    assert client.get(page_of(kinds, "nothing")).status_code == 404
    assert client.post(page_of(kinds, "goal", "measure/"), {"job": "1"}).status_code == 404


@pytest.mark.parametrize(("path", "queries"), [("", 10), ("questions/rows/", 9), ("changes/?since=0", 10)])
def test_pages_cost_the_same_for_one_person_and_for_many(
    client: Client,
    kinds: Assessment,
    alice: User,
    bob: User,
    charlie: User,
    django_assert_num_queries: DjangoAssertNumQueries,
    path: str,
    queries: int,
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x", often="daily", rows="3")
    address = f"{kinds.get_absolute_url()}{path}"
    with django_assert_num_queries(queries):
        client.get(address)
    for person in (alice, bob, charlie):
        say(kinds, person, goal=f"{person}", rows=str(4 + person.pk % 40))
        piece = LinkEvidence(url="https://example.org/", label=str(person))
        add_evidence(kinds, question_id="rows", piece=piece, author=person)
        assign_question(kinds, question_id="goal", assignee=person, due_on=None, actor=alice)
        client.post(page_of(kinds, "rows", "remarks/"), {"text": "Why?"})
    with django_assert_num_queries(queries):
        client.get(address)


def test_the_newest_of_many_revisions_are_read_and_all_are_kept(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    for number in range(30):
        say(kinds, bob, goal=f"Goal {number}")
    page = client.get(kinds.get_absolute_url()).content.decode()
    assert "Bob Okafor answered “Goal 29”" in page
    assert "29 earlier" in page
    page = client.get(page_of(kinds)).content.decode()
    assert ("“Goal 10”" in page, "“Goal 9”" in page, "and 10 before these" in page) == (True, False, True)
    assert kinds.answers.count() == 30
    (row,) = rows_of(Assessment.objects.filter(pk=kinds.pk), limit=5)
    assert [answer.value for answer in row.assessment.answers.all()] == ["Goal 29"]
