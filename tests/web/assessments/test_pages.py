"""The section "Decide": start an assessment, answer with and without htmx, see the recommendation change."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_assessment, start_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.common.content import library
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase

HTMX = {"HX-Request": "true"}
START = "/decide/should-we-fine-tune/start/"


@pytest.fixture
def assessment(use_case: UseCase, alice: User) -> Assessment:
    checklist = library().checklists["should-we-fine-tune"]
    return start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)


def url_of(assessment: Assessment, question: str = "prompting") -> str:
    return f"/decide/assessments/{assessment.pk}/answers/{question}/"


def data(value: str, *, seen: int = 0, comment: str = "") -> dict[str, str]:
    return {"value": value, "seen_revision": str(seen), "comment": comment}


def test_the_checklist_page_asks_why_and_names_who_signs(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    assert "Should we fine-tune?" in client.get("/decide/").content.decode()
    page = client.get("/decide/should-we-fine-tune/?article=decide/when-fine-tuning-pays-off").content.decode()
    assert "Have we fully explored prompting?" in page
    assert "1 × ML lead" in page
    assert 'name="article" value="decide/when-fine-tuning-pays-off"' in page
    assert client.get("/decide/no-such-list/").status_code == 404


def test_start_for_a_use_case_of_mine(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    article = "decide/when-fine-tuning-pays-off#cost"
    response = client.post(START, {"use_case": str(use_case.pk), "article": article})
    assessment = Assessment.objects.get()
    assert response["Location"] == f"/decide/assessments/{assessment.pk}/"
    assert (assessment.use_case, assessment.article, assessment.created_by) == (
        use_case,
        "decide/when-fine-tuning-pays-off",
        alice,
    )


def test_start_with_a_new_use_case_and_its_signers(client: Client, alice: User, bob: User, charlie: User) -> None:
    client.force_login(alice)
    signers = {"new-ml_lead": str(bob.pk), "new-product_owner": str(charlie.pk)}
    response = client.post(START, {"use_case": "new", "new-name": "Invoice triage", **signers})
    assert response.status_code == 302
    use_case = Assessment.objects.get().use_case
    assert use_case.name == "Invoice triage"
    assert use_case.roles_of(bob) == {Role.ML_LEAD}
    assert use_case.roles_of(charlie) == {Role.PRODUCT_OWNER}


def test_start_needs_a_name_or_a_use_case_of_mine(
    client: Client, use_case: UseCase, alice: User, mallory: User
) -> None:
    client.force_login(alice)
    assert [client.post(START, {"use_case": value}).status_code for value in ("", "new")] == [422, 422]
    assert client.get(START).status_code == 405
    assert client.post("/decide/no-such-list/start/", {}).status_code == 404
    client.force_login(mallory)
    assert client.post(START, {"use_case": str(use_case.pk)}).status_code == 422
    assert Assessment.objects.count() == 0


def test_an_article_that_the_library_lacks_is_not_kept(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    client.post(START, {"use_case": str(use_case.pk), "article": "//evil.example/"})
    assert Assessment.objects.get().article == ""


def test_an_answer_without_javascript_returns_to_its_question(
    client: Client, assessment: Assessment, bob: User
) -> None:
    client.force_login(bob)
    response = client.post(url_of(assessment), data("yes", comment="three prompts"))
    assert (response.status_code, response["Location"]) == (302, f"/decide/assessments/{assessment.pk}/#prompting")
    page = client.get(f"/decide/assessments/{assessment.pk}/").content.decode()
    assert "Have we added enough good examples to the prompt?" in page
    assert "Bob Okafor answered “yes”" in page
    assert "three prompts" in page
    assert "Prompting was explored and measured" in page


def test_an_answer_with_htmx_brings_the_next_question_and_the_recommendation(
    client: Client, assessment: Assessment, alice: User
) -> None:
    client.force_login(alice)
    response = client.post(url_of(assessment), {**data("yes"), "shown": ["prompting"]}, headers=HTMX)
    page = response.content.decode()
    assert response.status_code == 200
    assert "<html" not in page
    assert '<div hx-swap-oob="afterend:#prompting">' in page
    assert "Have we added enough good examples" in page
    assert '<div id="recommendation" hx-swap-oob="innerHTML">' in page
    assert "6 outcomes still possible" in page


def test_an_answer_with_htmx_removes_questions_that_are_no_longer_asked(
    client: Client, assessment: Assessment, alice: User
) -> None:
    client.force_login(alice)
    client.post(url_of(assessment), data("yes"))
    shown = {"shown": ["prompting", "examples", "<script>"]}
    page = client.post(url_of(assessment), {**data("no", seen=1), **shown}, headers=HTMX).content.decode()
    assert '<div id="examples" hx-swap-oob="delete"></div>' in page
    assert "<script>" not in page
    assert "Improve the prompt first" in page


def test_a_complete_assessment_says_what_would_change_the_advice(
    client: Client, assessment: Assessment, alice: User
) -> None:
    client.force_login(alice)
    answers = {"prompting": "yes", "examples": "yes", "enough": "no", "missing_information": "no", "behaviour": "no"}
    for question, value in answers.items():
        page = client.post(url_of(assessment, question), data(value), headers=HTMX).content.decode()
    assert "<h2>Do not fine-tune</h2>" in page
    assert "What would change the advice" in page
    assert '“Unknown” to <a href="#behaviour">' in page
    assert "the advice would be: <strong>Improve the prompt first</strong>" in page


def test_an_unknown_says_what_would_settle_it(client: Client, assessment: Assessment, alice: User) -> None:
    client.force_login(alice)
    page = client.post(url_of(assessment), data("unknown"), headers=HTMX).content.decode()
    assert "What would settle it: Write three prompts" in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_stale_form_is_answered_409_with_both_answers_and_a_choice(
    client: Client, assessment: Assessment, alice: User, bob: User, headers: dict[str, str]
) -> None:
    client.force_login(alice)
    client.post(url_of(assessment), data("no", comment="hers"))
    client.force_login(bob)
    response = client.post(url_of(assessment), data("yes", comment="his"), headers=headers)
    page = response.content.decode()
    assert response.status_code == 409
    assert "Alice Moreau answered “no” after you opened this page, so your “yes” was not saved." in page
    assert page.count("hers") == 2  # beside his, and in the form as it now stands
    choice = page.partition("Two answers at the same moment")[2].partition("Replace it with mine")[0]
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', choice))
    assert sent == {"seen_revision": "1", "value": "yes", "comment": "his"} | {
        name: sent[name] for name in sent if name == "csrfmiddlewaretoken"
    }
    assert client.post(url_of(assessment), sent, headers=headers).status_code in (200, 302)
    rows = assessment.answers.values_list("revision", "value", "comment", "author__username")
    assert list(rows) == [(1, "no", "hers", "alice"), (2, "yes", "his", "bob")]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_invalid_answer_is_422_and_a_locked_assessment_409(
    client: Client, assessment: Assessment, alice: User, headers: dict[str, str]
) -> None:
    client.force_login(alice)
    response = client.post(url_of(assessment), data("<script>"), headers=headers)
    assert response.status_code == 422
    assert "“&lt;script&gt;” is not an answer here" in response.content.decode()
    assert client.post(url_of(assessment), {"value": "yes"}, headers=headers).status_code == 422
    assert client.post(url_of(assessment, "none"), data("yes"), headers=headers).status_code == 422
    lock_assessment(assessment, actor=alice)
    response = client.post(url_of(assessment), data("yes"), headers=headers)
    assert response.status_code == 409
    assert "they are locked" in response.content.decode()


def test_markup_in_a_comment_is_shown_as_text(client: Client, assessment: Assessment, alice: User) -> None:
    client.force_login(alice)
    client.post(url_of(assessment), data("yes", comment="</textarea><script>alert(1)</script>"))
    client.post(url_of(assessment), data("no", seen=1))
    for path in ("", "questions/prompting/"):
        page = client.get(f"/decide/assessments/{assessment.pk}/{path}").content.decode()
        assert ("&lt;/textarea&gt;&lt;script&gt;" in page) is bool(path)
        assert "<script>alert" not in page


def test_strangers_get_404_and_viewers_403(
    client: Client, assessment: Assessment, use_case: UseCase, alice: User, mallory: User
) -> None:
    client.force_login(mallory)
    assert client.get(f"/decide/assessments/{assessment.pk}/").status_code == 404
    assert client.post(url_of(assessment), data("yes")).status_code == 404
    assert "Support ticket triage" not in client.get("/decide/").content.decode()
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    assert "fieldset disabled" in client.get(f"/decide/assessments/{assessment.pk}/").content.decode()
    assert client.post(url_of(assessment), data("yes")).status_code == 403
    assert client.post(START, {"use_case": str(use_case.pk)}).status_code == 422
    assert assessment.answers.count() == 0


def test_wrong_methods_are_refused(client: Client, assessment: Assessment, alice: User) -> None:
    client.force_login(alice)
    assert client.get(url_of(assessment)).status_code == 405
    assert client.post(f"/decide/assessments/{assessment.pk}/").status_code == 405
    assert client.post("/decide/").status_code == 405


def test_list_costs_the_same_for_one_and_three(
    client: Client,
    assessment: Assessment,
    use_case: UseCase,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(alice)
    with django_assert_num_queries(3):
        client.get("/decide/")
    checklist = library().checklists["should-we-fine-tune"]
    for _ in range(2):
        start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)
    with django_assert_num_queries(3):
        client.get("/decide/")
