"""The definition of a checklist, as `content/checklists/<slug>.yaml` states it: values only, no rules evaluated.

`rules` compiles the expressions, `flow` follows every path, `checklist` evaluates answers.
"""

import hashlib
from functools import cached_property
from typing import Literal, Self

import rfc8785
from pydantic import Field, field_validator, model_validator

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen
from playbook.contracts.roles import SIGNING_ROLES, Role
from playbook.contracts.run_spec import Arm, Metric
from playbook.library.fields import ArticleRef, ClaimId, Days, Line, Slug, Text

MAX_QUESTIONS = 30
#: The answers of each kind of question. A kind with answers of its own (choice, number in bands, measured result)
#: is one more entry here; everything after this module sees only the list of answers.
ANSWERS: dict[str, tuple[str, ...]] = {"yes_no_unknown": ("yes", "no", "unknown")}
UNKNOWN = "unknown"


class Question(Frozen):
    """A node of the checklist. `show_if` may name earlier questions alone; without it, the question is always asked."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="a name for rules: letters, digits, underscores")
    text: Line
    kind: Literal["yes_no_unknown"] = "yes_no_unknown"
    why: Text = Field(description="why it is asked")
    article: ArticleRef = Field(description="where it is explained")
    evidence: Text = Field(description="what counts as evidence")
    settles: Text = Field(description="what would settle an 'unknown'")
    show_if: str | None = Field(default=None, max_length=500)
    reasons: dict[str, Text] = Field(default_factory=dict, description="answer → text that enters the recommendation")
    claims: tuple[ClaimId, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        return ANSWERS[self.kind]

    @model_validator(mode="after")
    def _reasons_belong_to_answers(self) -> Self:
        if strange := sorted(set(self.reasons) - set(self.answers)):
            raise ValueError(f"reasons for {strange} of question {self.id!r}; its answers are {list(self.answers)}")
        return self


class ChecklistOutcome(Frozen):
    """A recommendation. Exactly one outcome's `when` holds at the end of every path."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    title: Line
    advice: Text
    when: str = Field(max_length=1_000)
    tone: Literal["go", "wait", "stop"] = Field(description="go: run a job; wait: do something else first; stop")


class Signing(Frozen):
    """`quorum` different people must sign in `role`."""

    role: Role
    quorum: int = Field(default=1, ge=1, le=10)

    @field_validator("role")
    @classmethod
    def _can_sign(cls, role: Role) -> Role:
        if role not in SIGNING_ROLES:
            raise ValueError(f"{role.value} signs nothing; use one of {sorted(SIGNING_ROLES)}")
        return role


class Criterion(Frozen):
    """The success criterion that a decision starts from: `arm` reaches `metric` >= `threshold` on `split`."""

    metric: Metric
    arm: Arm
    threshold: float = Field(ge=0, le=1)
    split: Split = Split.TEST


class Checklist(Frozen):
    """One version of a checklist. `model_dump(mode="json")` and `model_validate` are inverse, so that an assessment
    can keep the definition it was answered under."""

    slug: Slug
    version: int = Field(ge=1, description="raised by one whenever the meaning changes")
    title: Line
    summary: Text
    article: ArticleRef | None = Field(default=None, description="the article that leads to it and shows what came")
    questions: tuple[Question, ...] = Field(min_length=1, max_length=MAX_QUESTIONS)
    outcomes: tuple[ChecklistOutcome, ...] = Field(min_length=1, max_length=MAX_QUESTIONS)
    signing: tuple[Signing, ...] = Field(min_length=1)
    review_in: Days
    criterion: Criterion

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

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785) of all that was written. Defaults are left out, so that a field
        added to this model later leaves the digest of an older definition as it was."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json", exclude_defaults=True))).hexdigest()

    def question(self, question_id: str) -> Question:
        """Return a question by id. Raises KeyError when there is none."""
        return {question.id: question for question in self.questions}[question_id]

    def outcome(self, outcome_id: str) -> ChecklistOutcome:
        """Return an outcome by id. Raises KeyError when there is none."""
        return {outcome.id: outcome for outcome in self.outcomes}[outcome_id]
