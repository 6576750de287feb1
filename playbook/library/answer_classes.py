"""Which answers to a question the rules of a checklist can tell apart: so that a number has finitely many paths.

Rules compare a number with numbers that stand in them (`rows >= 50`), so between two such thresholds all numbers are
alike. Between `rules` and `flow`, which follows one path for each class.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import NamedTuple

from playbook.library.question import ANSWERED, CONDITION, UNKNOWN, Question, number_text
from playbook.library.rule_syntax import Comparison
from playbook.library.rules import Rule


@dataclass(frozen=True)
class AnswerClass:
    """Answers that no rule tells apart. `key` names them in paths, `sample` is one of them as rules see it."""

    key: str
    label: str
    sample: str | float


class _Cut(NamedTuple):
    """A place between two neighbouring classes: before `value`, or after it."""

    value: Decimal
    after: bool


@dataclass(frozen=True)
class Classes:
    """The classes of one question, in the order of its answers; of a number, from small to large."""

    question: Question
    classes: tuple[AnswerClass, ...]
    _cuts: tuple[_Cut, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(found.key for found in self.classes)

    def label(self, key: str) -> str:
        """Return what people read for a class: `under 50 rows`, `Yes`."""
        return next(found.label for found in self.classes if found.key == key)

    def key_of(self, answer: str) -> str:
        """Return the class of an answer, in any spelling that the question reads. Raises AnswerRefused."""
        read = self.question.read(answer)
        if not self.question.is_open or read == UNKNOWN:
            return read
        if self.question.kind == "text":
            return ANSWERED
        number = Decimal(read)
        below = sum(number > cut.value or (number == cut.value and not cut.after) for cut in self._cuts)
        spans = _spans(self._cuts)
        return _key(*spans[below])


def classes_of(question: Question, rules: Iterable[Rule]) -> Classes:
    """Return the classes of a question under the rules of its checklist. Raises RuleError for a rule that uses a
    number in another way than to compare it."""
    unknown = AnswerClass(UNKNOWN, "Unknown", UNKNOWN)
    if question.kind == "text":
        return Classes(question, (AnswerClass(ANSWERED, "Any text", ANSWERED), unknown))
    if question.kind != "number":
        return Classes(question, tuple(AnswerClass(key, question.label[key], key) for key in question.answers))
    compared = [found for rule in rules if question.id in rule.names for found in rule.comparisons(question.id)]
    cuts = _cuts([*compared, *map(comparison_of, reason_conditions(question))])
    found = []
    for low, high in _spans(cuts):
        sample = _sample(question, low, high)
        if sample is not None:
            found.append(AnswerClass(_key(low, high), f"{_words(low, high)} {question.unit}", float(sample)))
    return Classes(question, (*found, unknown), cuts)


def comparison_of(condition: str) -> Comparison:
    """Return a key of `reasons`, such as `>= 50`, as a comparison."""
    found = CONDITION.fullmatch(condition)
    if found is None:
        raise ValueError(f"{condition!r} is no condition; write it as '< 50'")
    return Comparison(found[1], Decimal(found[2]))


def reason_conditions(question: Question) -> list[str]:
    """Return the keys of a number's reasons that are conditions."""
    return [key for key in question.reasons if CONDITION.fullmatch(key)]


def reasons_for(question: Question, answer: str) -> list[str]:
    """Return the texts that an answer brings into the recommendation, in the order of the definition."""
    if not question.is_open or answer == UNKNOWN:
        return [question.reasons[answer]] if answer in question.reasons else []
    found = [question.reasons[ANSWERED]] if ANSWERED in question.reasons else []
    if question.kind == "number":
        number = Decimal(answer)
        found += [question.reasons[key] for key in reason_conditions(question) if meets(number, comparison_of(key))]
    return found


def meets(number: Decimal, comparison: Comparison) -> bool:
    """Return whether a comparison holds for a number."""
    value = comparison.value
    return {
        "<": number < value,
        "<=": number <= value,
        ">": number > value,
        ">=": number >= value,
        "==": number == value,
        "!=": number != value,
    }[comparison.operator]


def _cuts(compared: Sequence[Comparison]) -> tuple[_Cut, ...]:
    cuts = set()
    for operator, value in ((found.operator, found.value) for found in compared):
        if operator in ("<", ">=", "==", "!="):
            cuts.add(_Cut(value, after=False))
        if operator in ("<=", ">", "==", "!="):
            cuts.add(_Cut(value, after=True))
    return tuple(sorted(cuts))


def _spans(cuts: Sequence[_Cut]) -> list[tuple[_Cut | None, _Cut | None]]:
    """Return the pieces of the number line, each between two cuts; None: without an end."""
    return list(pairwise([None, *cuts, None]))


def _sample(question: Question, low: _Cut | None, high: _Cut | None) -> Decimal | None:
    """Return a number between two cuts that the question takes, None when there is none."""
    smallest = Decimal(str(question.minimum)) if question.minimum is not None else None
    largest = Decimal(str(question.maximum)) if question.maximum is not None else None
    begin = low if smallest is None else max(low or _Cut(smallest, after=False), _Cut(smallest, after=False))
    end = high if largest is None else min(high or _Cut(largest, after=True), _Cut(largest, after=True))
    if begin is not None and end is not None and begin >= end:
        return None
    if begin is None:
        return (end.value - 1).to_integral_value(ROUND_FLOOR) if end is not None else Decimal(0)
    if end is None:
        return (begin.value + 1).to_integral_value(ROUND_CEILING)
    if not question.whole:
        return begin.value if begin.value == end.value or not begin.after else (begin.value + end.value) / 2
    first = begin.value.to_integral_value(ROUND_CEILING)
    if first == begin.value and begin.after:
        first += 1
    return first if first < end.value or (first == end.value and end.after) else None


def _key(low: _Cut | None, high: _Cut | None) -> str:
    """`<50`, `50..<500`, `>=500`, `=3`, `>3..7`; `any` where no rule asks."""
    if low is None:
        return f"{'<=' if high.after else '<'}{number_text(high.value)}" if high is not None else "any"
    begin = f"{'>' if low.after else '>='}{number_text(low.value)}"
    if high is None:
        return begin
    if low.value == high.value:
        return f"={number_text(low.value)}"
    return f"{begin.removeprefix('>=')}..{'' if high.after else '<'}{number_text(high.value)}"


def _words(low: _Cut | None, high: _Cut | None) -> str:
    """`under 50`, `50 to under 500`, `500 or more`, `exactly 3`, `over 3 to 7`."""
    if low is None:
        return (
            f"{'at most' if high.after else 'under'} {number_text(high.value)}" if high is not None else "any number of"
        )
    if high is None:
        return f"over {number_text(low.value)}" if low.after else f"{number_text(low.value)} or more"
    if low.value == high.value:
        return f"exactly {number_text(low.value)}"
    begin = f"{'over ' if low.after else ''}{number_text(low.value)}"
    return f"{begin} to {'' if high.after else 'under '}{number_text(high.value)}"
