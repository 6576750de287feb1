"""Pages of decisions: the log, the record, signing with the password, the edit form, the Markdown."""

from typing import Any

import markdown
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question
from playbook.web.decisions import actions
from playbook.web.decisions.models import Decision, Signature, Status
from playbook.web.decisions.signing import SignOff
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.conftest import PASSWORD
from tests.web import decided
from tests.web.decisions.conftest import edit, fresh, sign

HTMX = {"HX-Request": "true"}
BOTH = pytest.mark.parametrize("headers", [{}, HTMX])


def signature(decision: Decision, **changed: str) -> dict[str, str]:
    digest = SignOff(fresh(decision)).digest
    given = {"seen_digest": digest, "seen_entry": "0", "role": "ml_lead", "verdict": "approve", "password": PASSWORD}
    return {**given, **changed}


def edit_form(client: Client, decision: Decision, **changed: str) -> dict[str, Any]:
    """Return what the edit page would post, with some fields changed."""
    form = client.get(f"/decisions/{decision.number}/edit/").context["form"]
    fields = [
        *form.text,
        *form.criterion,
        *form.options.management_form,
        *(f for option in form.options for f in option),
    ]
    values = {field.html_name: field.value() for field in fields}
    return {**{name: "" if value is None else value for name, value in values.items()}, **changed}


@BOTH
def test_draft_from_the_assessment(client: Client, use_case: UseCase, alice: User, headers: dict[str, str]) -> None:
    assessment = decided.assessed(use_case, alice)
    client.force_login(alice)
    page = client.get(f"/decide/assessments/{assessment.pk}/").content.decode()
    assert f'action="/decisions/draft/{assessment.pk}/"' in page
    response = client.post(f"/decisions/draft/{assessment.pk}/", headers=headers)
    assert (response.status_code, response["Location"]) == (302, "/decisions/1/")
    page = client.get(f"/decide/assessments/{assessment.pk}/").content.decode()
    assert '<a href="/decisions/1/">D-1</a>' in page


def test_an_open_assessment_is_answered_409(client: Client, use_case: UseCase, alice: User) -> None:
    draft = actions.draft_from_assessment(decided.short(use_case, alice), created_by=alice)
    answer_question(draft.assessment, question_id="enough", value="no", comment="", seen_revision=1, author=alice)
    client.force_login(alice)
    response = client.post(f"/decisions/draft/{draft.assessment.pk}/")
    assert response.status_code == 409
    assert "Answer every question first" in response.content.decode()
    assert client.post(f"/decisions/{draft.number}/propose/").status_code == 409


def test_the_record_reads_in_the_order_of_madr(client: Client, draft: Decision, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/decisions/1/").content.decode()
    headings = [
        "Context and problem",
        "Considered options",
        "Decision<",
        "Success criterion",
        "Consequences",
        "History",
    ]
    places = [page.index(heading, page.index('class="card record"')) for heading in headings]
    assert places == sorted(places)
    assert "Exact match of LoRA on the test set ≥ 0.80" in page
    assert '<a href="/library/decide/when-fine-tuning-pays-off/">When fine-tuning pays off</a>' in page
    assert '<ul class="bullets"><li>' in page


@BOTH
def test_propose_and_withdraw(client: Client, draft: Decision, alice: User, headers: dict[str, str]) -> None:
    client.force_login(alice)
    refused = client.post("/decisions/1/propose/", headers=headers)
    assert refused.status_code == 409
    assert "on the test set ≥ 0.80 and has no forecast." in refused.content.decode()
    assert "Add a forecast, then propose" in client.get("/decisions/1/").content.decode()
    Decision.objects.update(**decided.FORECAST)
    assert client.post("/decisions/1/propose/", headers=headers)["Location"] == "/decisions/1/"
    assert Decision.objects.get().status == Status.PROPOSED
    assert client.post("/decisions/1/propose/", headers=headers).status_code == 409
    assert client.post("/decisions/1/withdraw/", headers=headers)["Location"] == "/decisions/1/"
    assert Decision.objects.get().status == Status.DRAFT
    assert client.post("/decisions/1/withdraw/", headers=headers).status_code == 409


@BOTH
def test_sign_with_the_password(client: Client, proposal: Decision, bob: User, headers: dict[str, str]) -> None:
    client.force_login(bob)
    assert 'id="sign"' in client.get("/decisions/1/").content.decode()
    response = client.post("/decisions/1/sign/", signature(proposal), headers=headers)
    assert (response.status_code, response["Location"]) == (302, "/decisions/1/")
    page = client.get("/decisions/1/").content.decode()
    assert "<strong>Bob Okafor</strong>, ML lead" in page
    assert "I approve this decision as ML lead" in page
    assert 'id="sign"' not in page
    assert "You have signed this version." in page


@BOTH
def test_a_wrong_password_signs_nothing(client: Client, proposal: Decision, bob: User, headers: dict[str, str]) -> None:
    client.force_login(bob)
    response = client.post("/decisions/1/sign/", signature(proposal, password="guess"), headers=headers)
    page = response.content.decode()
    assert response.status_code == 422
    assert "This is not your password. Nothing was signed." in page
    assert 'id="record"' in page
    assert "guess" not in page
    assert Signature.objects.count() == 0


def test_a_rejection_without_a_reason_is_422(client: Client, proposal: Decision, bob: User) -> None:
    client.force_login(bob)
    response = client.post("/decisions/1/sign/", signature(proposal, verdict="reject"))
    assert response.status_code == 422
    assert "Say why you reject it" in response.content.decode()
    client.post("/decisions/1/sign/", signature(proposal, verdict="reject", reason="Too few <b>rows</b>"))
    page = client.get("/decisions/1/").content.decode()
    assert Decision.objects.get().status == Status.REJECTED
    assert "Too few &lt;b&gt;rows&lt;/b&gt;" in page


def test_a_digest_no_longer_current_is_409_with_what_changed(
    client: Client, proposal: Decision, alice: User, bob: User
) -> None:
    client.force_login(bob)
    seen = client.get("/decisions/1/").context["sign_form"].initial
    edit(proposal, alice, title="Changed <i>title</i>")
    given = signature(proposal, seen_digest=seen["seen_digest"], seen_entry=str(seen["seen_entry"]))
    response = client.post("/decisions/1/sign/", given)
    page = response.content.decode()
    assert response.status_code == 409
    assert "your signature was not recorded" in page
    assert "Alice Moreau changed the decision" in page
    assert "<ins>Changed &lt;i&gt;title&lt;/i&gt;</ins>" in page
    assert "drafted the decision" not in page[page.index('role="alert"') : page.index('class="with-aside"')]


def test_a_replayed_request_is_409(client: Client, proposal: Decision, bob: User) -> None:
    client.force_login(bob)
    given = signature(proposal)
    client.post("/decisions/1/sign/", given)
    response = client.post("/decisions/1/sign/", given)
    assert response.status_code == 409
    assert "Nobody signs twice in one decision" in response.content.decode()
    assert Signature.objects.count() == 1


def test_the_proposer_is_refused_409_and_a_wrong_role_403(
    client: Client, proposal: Decision, use_case: UseCase, alice: User, charlie: User
) -> None:
    client.force_login(charlie)
    assert client.post("/decisions/1/sign/", signature(proposal)).status_code == 403
    add_member(use_case, user=alice, role=Role.ML_LEAD, actor=alice)
    client.force_login(alice)
    assert "You proposed this decision, so others sign it." in client.get("/decisions/1/").content.decode()
    assert client.post("/decisions/1/sign/", signature(proposal)).status_code == 409


def test_a_void_signature_is_shown_with_what_changed(
    client: Client, proposal: Decision, alice: User, bob: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    client.force_login(alice)
    client.post("/decisions/1/edit/", edit_form(client, proposal, criterion_threshold="0.75"))
    page = client.get("/decisions/1/").content.decode()
    assert "<strong>Void:</strong> Bob Okafor (ML lead) approved" in page
    assert "threshold <del>0.80</del> → <ins>0.75</ins>" in page
    client.force_login(bob)
    assert 'id="sign"' in client.get("/decisions/1/").content.decode()


def test_edit_changes_content_and_options(client: Client, draft: Decision, bob: User) -> None:
    client.force_login(bob)
    form = edit_form(client, draft, title="New title", **{"options-0-title": "", "options-6-title": "Buy a service"})
    response = client.post("/decisions/1/edit/", form)
    assert (response.status_code, response["Location"]) == (302, "/decisions/1/")
    decision = Decision.objects.get()
    assert decision.title == "New title"
    assert decision.options[0]["title"] == "Keep the prompt"
    assert decision.options[-1] == {"title": "Buy a service", "pros": "", "cons": ""}


def test_a_form_that_a_browser_sends_back_as_it_was_changes_nothing(
    client: Client, proposal: Decision, bob: User
) -> None:
    client.force_login(bob)
    form = {
        name: value.replace("\n", "\r\n") if isinstance(value, str) else value
        for name, value in edit_form(client, proposal).items()
    }
    assert "\r\n" in form["context"]
    assert client.post("/decisions/1/edit/", form).status_code == 302
    decision = fresh(proposal)
    assert (decision.edition, decision.context, decision.proposed_by) == (1, proposal.context, proposal.proposed_by)


def test_edit_with_half_a_criterion_is_422(client: Client, draft: Decision, alice: User) -> None:
    client.force_login(alice)
    response = client.post("/decisions/1/edit/", edit_form(client, draft, criterion_arm=""))
    assert response.status_code == 422
    assert "set all three or none" in response.content.decode()
    response = client.post("/decisions/1/edit/", edit_form(client, draft, criterion_threshold="80"))
    assert response.status_code == 422
    assert Decision.objects.get().criterion == draft.criterion


def test_two_editors_are_told_of_each_other(client: Client, draft: Decision, alice: User, bob: User) -> None:
    client.force_login(alice)
    form = edit_form(client, draft, title="From Alice")
    edit(draft, bob, title="From Bob")
    response = client.post("/decisions/1/edit/", form)
    page = response.content.decode()
    assert response.status_code == 409
    assert "Bob Okafor changed the decision" in page
    assert 'value="From Alice"' in page
    renewed = response.context["form"].text
    again = {**form, "seen_digest": renewed["seen_digest"].value(), "seen_entry": renewed["seen_entry"].value()}
    assert client.post("/decisions/1/edit/", again).status_code == 302
    assert Decision.objects.get().title == "From Alice"


def test_an_accepted_decision_is_not_edited_but_reopened(client: Client, accepted: Decision, alice: User) -> None:
    client.force_login(alice)
    response = client.post("/decisions/1/edit/", edit_form(client, accepted, title="x"))
    assert response.status_code == 409
    assert "reopen it first" in response.content.decode()
    assert client.post("/decisions/1/reopen/").status_code == 422
    assert client.post("/decisions/1/reopen/", {"reason": "New data."})["Location"] == "/decisions/1/"
    assert Decision.objects.get().status == Status.DRAFT
    assert "New data." in client.get("/decisions/1/").content.decode()


def test_a_locked_criterion_is_shown_and_not_edited(client: Client, accepted: Decision, alice: User) -> None:
    actions.lock_criterion(accepted, test_set="a" * 64)
    client.force_login(alice)
    page = client.get("/decisions/1/").content.decode()
    assert "when the first run started" in page
    assert 'action="/decisions/1/reopen/"' not in page
    assert client.post("/decisions/1/reopen/", {"reason": "x"}).status_code == 409
    assert "disabled" in client.get("/decisions/1/edit/").content.decode()


def test_retire_and_supersede(
    client: Client, accepted: Decision, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    client.force_login(alice)
    assert client.post("/decisions/1/supersede/", {"by": "1"}).status_code == 422
    newer = decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    assert client.post("/decisions/1/supersede/", {"by": str(newer.pk)}).status_code == 302
    assert '<a href="/decisions/2/">D-2</a>' in client.get("/decisions/1/").content.decode()
    assert client.post("/decisions/2/deprecate/").status_code == 422
    assert client.post("/decisions/2/deprecate/", {"reason": "The queue is gone."}).status_code == 302
    statuses = Decision.objects.order_by("number").values_list("status", flat=True)
    assert list(statuses) == [Status.SUPERSEDED, Status.DEPRECATED]


WRITES = ["propose", "withdraw", "reopen", "deprecate", "supersede", "edit"]


def test_strangers_get_404_viewers_403_wrong_methods_405(
    client: Client, draft: Decision, use_case: UseCase, alice: User, mallory: User
) -> None:
    urls = [f"/decisions/1/{write}/" for write in WRITES] + [f"/decisions/draft/{draft.assessment_id}/"]
    client.force_login(mallory)
    assert {client.post(url).status_code for url in [*urls, "/decisions/1/sign/"]} == {404}
    assert [client.get(url).status_code for url in ("/decisions/1/", "/decisions/1.md", "/decisions/1/edit/")] == [
        404
    ] * 3
    assert "Support ticket" not in client.get("/decisions/").content.decode()
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    assert {client.post(url).status_code for url in urls} == {403}
    assert client.post("/decisions/1/sign/", signature(draft)).status_code == 403
    assert client.get("/decisions/1/").status_code == 200
    posts = [url for url in urls if not url.endswith("edit/")] + ["/decisions/1/sign/"]
    assert {client.get(url).status_code for url in posts} == {405}
    assert {client.post(url).status_code for url in ("/decisions/", "/decisions/1/", "/decisions/1.md")} == {405}


def test_the_log_filters_by_status_and_use_case(
    client: Client, accepted: Decision, use_case: UseCase, alice: User
) -> None:
    decided.proposed(use_case, alice)
    client.force_login(alice)

    def numbers(query: str) -> list[int]:
        return [decision.number for decision in client.get(f"/decisions/{query}").context["page"].object_list]

    assert numbers("") == [2, 1]
    assert numbers("?status=accepted") == [1]
    assert numbers("?status=proposed&use_case=support-ticket-triage") == [2]
    assert numbers("?use_case=none") == numbers("?use_case=%00") == []
    assert numbers("?status=%3Cscript%3E&page=99") == [2, 1]


def test_the_log_costs_the_same_for_one_and_three(
    client: Client,
    proposal: Decision,
    use_case: UseCase,
    alice: User,
    bob: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(bob)
    with django_assert_num_queries(10):
        client.get("/decisions/")
    for _ in range(2):
        decided.proposed(use_case, alice)
    with django_assert_num_queries(10):
        client.get("/decisions/")


def test_home_names_what_waits_for_me(client: Client, proposal: Decision, alice: User, bob: User) -> None:
    client.force_login(bob)
    assert 'href="/decisions/1/#sign"' in client.get("/decisions/").content.decode()
    client.force_login(alice)
    assert "Waiting for your signature" not in client.get("/decisions/").content.decode()


def test_the_use_case_page_shows_its_decisions(client: Client, draft: Decision, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/use-cases/support-ticket-triage/").content.decode()
    assert 'href="/decisions/1/"' in page
    assert f'href="/decide/assessments/{draft.assessment_id}/"' in page


def test_markdown_is_the_whole_record(client: Client, proposal: Decision, alice: User, bob: User) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    client.force_login(alice)
    response = client.get("/decisions/1.md")
    text = response.content.decode()
    assert response["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.startswith("---\nstatus: proposed\n")
    assert "# D-1: Support ticket triage: fine-tune, and measure it against the prompt\n" in text
    assert "Success criterion, fixed before the run: exact match of LoRA on the test set ≥ 0.80." in text
    assert "* Bob Okafor, ML lead, " in text
    assert f"(sha256 {SignOff(fresh(proposal)).digest})" in text
    edit(proposal, alice, title="Other")
    assert "VOID: the decision changed afterwards." in client.get("/decisions/1.md").content.decode()


def test_markup_in_text_is_shown_as_text(client: Client, draft: Decision, alice: User) -> None:
    evil = "<script>alert(1)</script>"
    options = [{"title": evil, "pros": evil, "cons": evil}]
    edit(draft, alice, title=evil, context=evil, consequences=evil, options=options)
    client.force_login(alice)
    for address in ("/decisions/1/", "/decisions/", "/decisions/1/edit/"):
        assert "<script>alert" not in client.get(address).content.decode()


def test_what_people_write_makes_no_heading_in_the_markdown(client: Client, draft: Decision, alice: User) -> None:
    context = "Fine.\n\n### Signatures\n\n* Bob Okafor, ML lead\nStatus\n---\nTitle\n=====\n- a point stays one"
    edit(draft, alice, context=context, title="One\nline", consequences="# Approved")
    client.force_login(alice)
    text = client.get("/decisions/1.md").content.decode()
    headings = [line for line in text.splitlines() if line.startswith("#") or line.startswith("=")]
    assert "\\### Signatures" in text
    assert "\n- a point stays one\n" in text
    assert [line for line in headings if "Signatures" in line or "Approved" in line] == ["### Signatures"]
    assert "\n---\n" not in text.partition("\n---\n")[2]
    assert "\n=====" not in text


def test_what_people_write_hides_nothing_in_the_markdown(client: Client, draft: Decision, alice: User) -> None:
    """Neither a comment nor a block of code that never ends: the signatures stand below."""
    options = [{"title": "Tune <!--", "pros": "It learns", "cons": ""}]
    edit(draft, alice, context="Fine.\n\n<!-- \n\n```\n~~~~", consequences="<details>", options=options)
    client.force_login(alice)
    text = client.get("/decisions/1.md").content.decode()
    html = markdown.markdown(text.partition("\n---\n")[2], extensions=["fenced_code"])
    assert "<h3>Signatures</h3>" in html
    assert "<details>" not in html
    assert "<!--" not in html


def test_the_markdown_names_the_chosen_option_as_madr_does(client: Client, draft: Decision, alice: User) -> None:
    client.force_login(alice)
    text = client.get("/decisions/1.md").content.decode()
    option, because = "Fine-tune, and measure it against the prompt", "The answers of the assessment lead here."
    assert f'\nChosen option: "{option}", because {because}\n' in text
