"""The definition of a checklist, as `content/checklists/<slug>.yaml` states it: values only, no rules evaluated.

`question` is a node of it, `rules` compiles the expressions, `flow` follows every path, `checklist` evaluates answers.
"""

import hashlib
from functools import cached_property
from typing import Any, Literal, Self

import rfc8785
from pydantic import Field, field_validator, model_validator

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import CRITERION_METRICS, Metric
from playbook.contracts.model import Frozen
from playbook.contracts.roles import SIGNING_ROLES, Role
from playbook.contracts.run_spec import Arm
from playbook.library.fields import ArticleRef, Days, Line, Slug, Text
from playbook.library.question import UNKNOWN, AnswerRefused, Choice, Measured, Question

__all__ = ["UNKNOWN", "AnswerRefused", "Checklist", "ChecklistOutcome", "Choice", "Criterion", "Measured", "Question"]

MAX_QUESTIONS = 30


class ChecklistOutcome(Frozen):
    """A recommendation. Exactly one outcome's `when` holds at the end of every path."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="letters, digits, underscores")
    title: Line = Field(description="the recommendation in a few words")
    advice: Text = Field(description="what to do next")
    when: str = Field(max_length=1_000, description="a rule; exactly one outcome's holds at the end of every path")
    tone: Literal["go", "wait", "stop"] = Field(description="go: run a job; wait: do something else first; stop")


class Signing(Frozen):
    """`quorum` different people must sign in `role`."""

    role: Role
    quorum: int = Field(default=1, strict=True, ge=1, le=10)

    @field_validator("role")
    @classmethod
    def _can_sign(cls, role: Role) -> Role:
        if role not in SIGNING_ROLES:
            raise ValueError(
                f"{role.value} signs nothing; use one of {sorted(signing.value for signing in SIGNING_ROLES)}"
            )
        return role


class Criterion(Frozen):
    """The success criterion that a decision starts from: `arm` reaches `metric` >= `threshold` on `split`."""

    metric: Metric
    arm: Arm
    threshold: float = Field(strict=True, ge=0, le=1)
    split: Split = Split.TEST

    @field_validator("metric")
    @classmethod
    def _is_a_share(cls, metric: Metric) -> Metric:
        if metric not in CRITERION_METRICS:
            raise ValueError(f"{metric.value} is no share of 1, so no threshold can be promised; choose another metric")
        return metric


class Checklist(Frozen):
    """One version of a checklist. `model_dump(mode="json")` and `model_validate` are inverse, so that an assessment
    can keep the definition it was answered under."""

    slug: Slug
    version: int = Field(strict=True, ge=1, description="raised by one whenever the meaning changes")
    order: int = Field(
        default=100, strict=True, ge=1, le=1_000, description="place among the checklists: a lower one comes first"
    )
    title: Line
    summary: Text
    article: ArticleRef | None = Field(default=None, description="the article that leads to it and shows what came")
    questions: tuple[Question, ...] = Field(min_length=1, max_length=MAX_QUESTIONS)
    outcomes: tuple[ChecklistOutcome, ...] = Field(min_length=1, max_length=MAX_QUESTIONS)
    signing: tuple[Signing, ...] = Field(min_length=1, description="who signs the decision")
    review_in: Days = Field(description="days until the decision is looked at again, for example 90d")
    criterion: Criterion = Field(description="what a decision drafted from it promises, unless people change it")

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        for what, names in (
            ("question", [question.id for question in self.questions]),
            ("outcome", [outcome.id for outcome in self.outcomes]),
            ("signing role", [signing.role.value for signing in self.signing]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} {twice[0]!r} is defined twice; rename or remove one")
        return self

    @property
    def written(self) -> dict[str, Any]:
        """All that was written, as JSON values, the place in lists apart. Defaults are left out, so that a field added
        to this model later leaves the digest of an older definition as it was."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"order"})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785) of all that was written."""
        return hashlib.sha256(rfc8785.dumps(self.written)).hexdigest()

    def question(self, question_id: str) -> Question:
        """Return a question by id. Raises KeyError when there is none."""
        return {question.id: question for question in self.questions}[question_id]

    def outcome(self, outcome_id: str) -> ChecklistOutcome:
        """Return an outcome by id. Raises KeyError when there is none."""
        return {outcome.id: outcome for outcome in self.outcomes}[outcome_id]
