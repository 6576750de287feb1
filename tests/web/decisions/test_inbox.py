"""What waits for somebody's signature, on Home and above the log."""

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question
from playbook.web.decisions.mail import ask_again
from playbook.web.decisions.models import Decision
from playbook.web.decisions.signing import LISTED, waiting_for
from playbook.web.usecases.models import UseCase
from tests.web import decided


def test_an_inbox_costs_the_same_for_one_and_three_signed_by_others_or_not(
    use_case: UseCase, alice: User, bob: User, charlie: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """What somebody else has signed is compared with all of its answers: one query more, whatever their number."""
    decided.proposed(use_case, alice)
    with django_assert_num_queries(6):
        assert len(waiting_for(bob)) == 1
    for _ in range(2):
        decided.proposed(use_case, alice)
    with django_assert_num_queries(6):
        assert len(waiting_for(bob)) == 3
    first, second, _ = Decision.objects.order_by("number")
    decided.signed(first, charlie, Role.PRODUCT_OWNER)
    with django_assert_num_queries(7):
        assert len(waiting_for(bob)) == 3
    decided.signed(second, charlie, Role.PRODUCT_OWNER)
    with django_assert_num_queries(7):
        asked = waiting_for(bob)
    assert [[each.label for each in row.capacities] for row in asked] == [["ML lead"]] * 3


def test_a_letter_about_a_voided_signature_reads_the_people_of_the_team_once(
    use_case: UseCase, alice: User, bob: User
) -> None:
    decision = decided.proposed(use_case, alice)
    decided.signed(decision, bob, Role.ML_LEAD)
    answer = answer_question(
        decision.assessment, question_id="maintain", value="no", comment="", seen_revision=1, author=alice
    )
    with CaptureQueriesContext(connection) as queries:
        ask_again(assessment=decision.assessment, answer=answer)
    assert sum('FROM "accounts_user"' in query["sql"] for query in queries) == 1


def test_a_full_inbox_says_that_more_may_wait(client: Client, use_case: UseCase, alice: User, bob: User) -> None:
    more = "When they are signed, the next ones stand here."
    decided.proposed(use_case, alice)
    client.force_login(bob)
    assert more not in client.get("/").content.decode()
    for _ in range(LISTED):
        decided.proposed(use_case, alice)
    for path in ("/", "/decisions/"):
        page = client.get(path).content.decode()
        assert page.count("Read and sign</a>") == LISTED
        assert more in page
    assert "Read and sign</a>" not in client.get("/decisions/?q=tune").content.decode()
