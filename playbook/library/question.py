"""A question of a checklist: its kinds, and the text of an answer. Values only; `definition` holds the checklist.

Every kind can be answered "unknown", which says what would settle it.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from playbook.contracts.metrics import CRITERION_METRICS, Metric
from playbook.contracts.model import Frozen
from playbook.contracts.run_spec import Arm
from playbook.library.fields import ArticleRef, ClaimId, Line, Text

UNKNOWN = "unknown"
#: The key of every text in paths and reasons: no rule reads what a text says.
ANSWERED = "answered"
MAX_TEXT = 2_000
MAX_CHOICES = 20

#: As the JSON Schema has it: neither true nor "0.8" is a number.
Bound = Annotated[float | None, Field(strict=True, allow_inf_nan=False)]
QuestionKind = Literal["yes_no_unknown", "choice", "number", "text", "measured"]
#: Enough for any count or share, and few enough that a float keeps them apart.
_NUMBER = re.compile(r"[-+]?[0-9]{0,12}(?:\.[0-9]{0,9})?")
#: A key of `reasons` of a number: "< 50", ">= 500".
CONDITION = re.compile(r"(<=|>=|==|<|>)\s*(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)")
_ARM_NAMES = {"lora": "LoRA", "rag": "RAG", "rag_lora": "RAG + LoRA"}


class AnswerRefused(ValueError):
    """An answer that the question does not know. The message names question, answer and the possible answers."""


class Choice(Frozen):
    """One answer of a question of kind `choice`. Rules compare its id."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="what rules compare: letters, digits, underscores")
    label: Line = Field(description="what people read")


class Measured(Frozen):
    """A measurement that answers a question: `metric` of `arm` in a job's report, against one threshold.

    "yes" when the whole 95 % interval is on the side that the threshold asks for, "no" when it is on the other,
    "unknown" when the threshold lies inside it: then there are too few test rows to tell.
    """

    arm: Arm
    metric: Metric
    at_least: float | None = Field(default=None, strict=True, ge=0, le=1, description="a share: yes from here on")
    below: float | None = Field(default=None, strict=True, ge=0, le=1, description="a share: yes under it")

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if (self.at_least is None) == (self.below is None):
            raise ValueError("give either at_least or below, for example at_least: 0.8")
        if self.metric not in CRITERION_METRICS:
            raise ValueError(f"{self.metric.value} is no share of 1, so no threshold fits; choose another metric")
        return self

    @property
    def threshold(self) -> float:
        return self.at_least if self.at_least is not None else self.below or 0.0

    @property
    def subject(self) -> str:
        """`exact match of few-shot`."""
        arm = _ARM_NAMES.get(self.arm.value, self.arm.value.replace("_", "-"))
        return f"{self.metric.value.replace('_', ' ')} of {arm}"

    @property
    def text(self) -> str:
        """`exact match of few-shot ≥ 0.80`."""
        return f"{self.subject} {'≥' if self.at_least is not None else '<'} {self.threshold_text}"

    @property
    def threshold_text(self) -> str:
        text = f"{self.threshold:.4f}".rstrip("0")
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals:0<2}"

    def answer(self, *, low: float, high: float) -> str:
        """Return what an interval of the metric answers.

        >>> Measured(arm=Arm.FEW_SHOT, metric=Metric.EXACT_MATCH, at_least=0.8).answer(low=0.81, high=0.97)
        'yes'
        """
        if self.at_least is not None:
            return "yes" if low >= self.at_least else "no" if high < self.at_least else UNKNOWN
        return "yes" if high < self.threshold else "no" if low >= self.threshold else UNKNOWN

    def condition(self, answer: str) -> str:
        """Return in words what the measurement must show for `answer`."""
        if answer == UNKNOWN:
            return f"nobody could tell whether {self.text}"
        reaches = (self.at_least is not None) == (answer == "yes")
        return f"{self.subject} {'reached' if reaches else 'were below'} {self.threshold_text}"


class Question(Frozen):
    """A node of the checklist. `show_if` may name earlier questions alone; without it, the question is always asked."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="a name for rules: letters, digits, underscores")
    text: Line = Field(description="the question, as people read it")
    kind: QuestionKind = Field(default="yes_no_unknown", description="what can be answered; always also 'unknown'")
    choices: tuple[Choice, ...] = Field(default=(), max_length=MAX_CHOICES, description="of kind choice: two or more")
    unit: Line | None = Field(default=None, description="of kind number: what is counted, for example 'rows'")
    minimum: Bound = Field(default=None, description="of kind number: the smallest answer")
    maximum: Bound = Field(default=None, description="of kind number: the largest answer")
    whole: bool = Field(default=False, strict=True, description="of kind number: whole numbers alone")
    measured: Measured | None = Field(
        default=None, description="of kind measured: what answers it; of yes_no_unknown: what else can answer it"
    )
    why: Text = Field(description="why it is asked")
    article: ArticleRef = Field(description="where it is explained: <area>/<slug>, with #heading if you like")
    evidence: Text = Field(description="what counts as evidence")
    settles: Text = Field(description="what would settle an 'unknown'")
    show_if: str | None = Field(default=None, max_length=500, description="a rule; asked only when it holds")
    reasons: dict[str, Text] = Field(default_factory=dict, description="answer → text that enters the recommendation")
    claims: tuple[ClaimId, ...] = Field(default=(), description="ids of claims.yaml that the question asks about")

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers that can be chosen; of a number or a text, "unknown" alone."""
        if self.kind in ("yes_no_unknown", "measured"):
            return ("yes", "no", UNKNOWN)
        return (*(choice.id for choice in self.choices), UNKNOWN)

    @property
    def is_open(self) -> bool:
        """True when the answer is written, not chosen."""
        return self.kind in ("number", "text")

    @property
    def label(self) -> dict[str, str]:
        """What people read for each answer that can be chosen."""
        labels = {choice.id: choice.label for choice in self.choices}
        return {answer: labels.get(answer, answer.capitalize()) for answer in self.answers}

    def words(self, answer: str) -> str:
        """Return an answer as people read it: `Every day`, `120 rows`, `Unknown`. Never raises: an answer of another
        version of the checklist is shown as it was given."""
        if self.kind == "number" and answer != UNKNOWN:
            return f"{answer} {self.unit}"
        return self.label.get(answer, answer)

    def quoted(self, answer: str) -> str:
        """Return an answer as it stands inside a sentence: `no`, `120 rows`."""
        return answer if answer in ("yes", "no", UNKNOWN) else self.words(answer)

    def read(self, written: str) -> str:
        """Return an answer in the one spelling in which it is kept. Raises AnswerRefused, naming the possible ones.

        >>> Question.model_construct(id="rows", kind="number", unit="rows").read(" 0120.50 ")
        '120.5'
        """
        text = written.strip()
        if text in self.answers:
            return text
        if self.kind == "number":
            return self._read_number(text)
        if self.kind == "text" and text:
            if len(text) > MAX_TEXT:
                raise AnswerRefused(f"The answer has {len(text):,} characters; keep it under {MAX_TEXT:,}.")
            return text
        raise AnswerRefused(f"answer {written!r} to {self.id!r}; choose one of {list(self.answers)}")

    def _read_number(self, text: str) -> str:
        if not text or not _NUMBER.fullmatch(text) or not any(mark.isdigit() for mark in text):
            raise AnswerRefused(f"{text[:40]!r} is no number; write digits alone, such as 1200 or 0.8, or “unknown”.")
        number = Decimal(text)
        if self.whole and number != number.to_integral_value():
            raise AnswerRefused(f"{text} {self.unit}: write a whole number.")
        if self.minimum is not None and number < Decimal(str(self.minimum)):
            raise AnswerRefused(f"{text} {self.unit}: the smallest answer is {self.minimum:g}.")
        if self.maximum is not None and number > Decimal(str(self.maximum)):
            raise AnswerRefused(f"{text} {self.unit}: the largest answer is {self.maximum:g}.")
        return number_text(number)

    @model_validator(mode="after")
    def _fields_belong_to_the_kind(self) -> Self:
        if self.kind == "choice" and len(self.choices) < 2:
            raise ValueError(f"question {self.id!r} is a choice; give it two or more choices, each with id and label")
        if self.kind != "choice" and self.choices:
            raise ValueError(f"question {self.id!r} has choices; write kind: choice")
        if any(choice.id == UNKNOWN for choice in self.choices):
            raise ValueError(f"question {self.id!r} lists the choice 'unknown'; remove it, every question has it")
        if len({choice.id for choice in self.choices}) < len(self.choices):
            raise ValueError(f"question {self.id!r} lists a choice twice; rename or remove one")
        if self.kind == "number" and self.unit is None:
            raise ValueError(f"question {self.id!r} is a number; give its unit, for example unit: rows")
        if self.kind != "number" and (self.unit, self.minimum, self.maximum, self.whole) != (None, None, None, False):
            raise ValueError(f"question {self.id!r} has unit, minimum, maximum or whole; write kind: number")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"question {self.id!r} has no number between {self.minimum:g} and {self.maximum:g}")
        if self.kind == "measured" and self.measured is None:
            raise ValueError(f"question {self.id!r} is measured; say by what: measured: {{arm, metric, at_least}}")
        if self.measured and self.kind not in ("yes_no_unknown", "measured"):
            raise ValueError(f"question {self.id!r} cannot be answered by a measurement; write kind: measured")
        return self

    @model_validator(mode="after")
    def _reasons_belong_to_answers(self) -> Self:
        allowed = self.answers if not self.is_open else (ANSWERED, UNKNOWN)
        strange = {key for key in self.reasons if key not in allowed}
        if self.kind == "number":
            strange = {key for key in strange if not CONDITION.fullmatch(key)}
            allowed = (*allowed, "conditions such as '< 50'")
        if strange:
            raise ValueError(f"reasons for {sorted(strange)} of question {self.id!r}; its answers are {list(allowed)}")
        return self


def number_text(number: Decimal) -> str:
    """Return a number without a needless zero or exponent: 120.50 → `120.5`, -0 → `0`."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
