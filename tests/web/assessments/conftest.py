"""An assessment of a checklist that has a question of every kind; the library does not have it, so it is also one
whose file was removed."""

import pytest

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question, start_assessment
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.usecases.models import UseCase
from tests.library.kinds import every_kind


@pytest.fixture
def kinds(use_case: UseCase, alice: User) -> Assessment:
    return start_assessment(use_case=use_case, checklist=every_kind(), article="", created_by=alice)


def say(assessment: Assessment, author: User, **answers: str) -> list[Answer]:
    """Answer questions as somebody does who has the newest answers in front of them."""
    return [
        answer_question(
            assessment,
            question_id=question_id,
            value=value,
            comment="",
            seen_revision=assessment.answers.filter(question_id=question_id).count(),
            author=author,
        )
        for question_id, value in answers.items()
    ]
