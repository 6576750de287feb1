"""What differs between two versions of a checklist, and which answers to the old one need another look under the new.

An assessment keeps the version that it began with; this is what its page shows when there is a newer one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from playbook.library.checklist import evaluate, fitting
from playbook.library.definition import Checklist
from playbook.library.question import Question

#: What a question asks, field by field; a change of these asks for another look at its answer.
_ASKS = {
    "text": "question",
    "kind": "kind of answer",
    "choices": "choices",
    "unit": "unit",
    "minimum": "smallest answer",
    "maximum": "largest answer",
    "whole": "whole numbers",
    "measured": "measurement",
    "evidence": "what counts as evidence",
}
#: What else is said of it.
_SAYS = {
    "why": "why it is asked",
    "article": "article",
    "settles": "what would settle it",
    "show_if": "when it is asked",
    "reasons": "reasons",
    "claims": "claims",
}
_WHOLE = {
    "title": "title",
    "summary": "summary",
    "article": "article",
    "signing": "who signs",
    "review_in": "review date",
    "criterion": "success criterion",
}
_OUTCOME = {"title": "outcome", "advice": "advice", "when": "when it is recommended", "tone": "tone"}


@dataclass(frozen=True)
class VersionChange:
    """One difference. `about`: the question or outcome, "" for the checklist itself; empty text means nothing there."""

    kind: Literal["added", "removed", "changed"]
    about: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class SecondLook:
    """An answer to look at again, and why. `question` is that of the version which still has it."""

    question: Question
    why: str


def changes_between_versions(before: Checklist, after: Checklist) -> tuple[VersionChange, ...]:
    """Return what differs, in the order of `after`; removed questions and outcomes come last of their kind."""
    return (
        *_fields("", before, after, _WHOLE),
        *_entries(
            {q.id: q for q in before.questions}, {q.id: q for q in after.questions}, "question", {**_ASKS, **_SAYS}
        ),
        *_entries({o.id: o for o in before.outcomes}, {o.id: o for o in after.outcomes}, "outcome", _OUTCOME),
    )


def second_looks(before: Checklist, after: Checklist, answers: Mapping[str, str]) -> tuple[SecondLook, ...]:
    """Return the answers (question id → answer under `before`) that need another look under `after`, and the
    questions that `after` asks on their path and nobody has answered."""
    old, new = {q.id: q for q in before.questions}, {q.id: q for q in after.questions}
    fit = fitting(after, answers)
    found = []
    for name, answer in answers.items():
        if name not in old:
            continue  # given under a still earlier version
        if name not in new:
            found.append(SecondLook(old[name], "The question is gone; the answer is kept in the history."))
        elif name not in fit:
            found.append(SecondLook(new[name], f"“{old[name].words(answer)}” is no answer any more."))
        elif changed := [
            words for field, words in _ASKS.items() if _value(old[name], field) != _value(new[name], field)
        ]:
            found.append(SecondLook(new[name], f"Changed: {', '.join(changed)}."))
    for question in evaluate(after, fit).visible:
        if question.id not in old:
            found.append(SecondLook(question, "The question is new."))
    return tuple(found)


def _entries(
    before: Mapping[str, Any], after: Mapping[str, Any], what: str, fields: Mapping[str, str]
) -> Iterator[VersionChange]:
    for name, entry in after.items():
        if name not in before:
            yield VersionChange("added", _title(entry), what, "", _title(entry))
        else:
            yield from _fields(_title(entry), before[name], entry, fields)
    for name, entry in before.items():
        if name not in after:
            yield VersionChange("removed", _title(entry), what, _title(entry), "")
    if (order := [name for name in after if name in before]) != [name for name in before if name in after]:
        yield VersionChange("changed", "", f"order of the {what}s", "", ", ".join(order))


def _fields(about: str, before: Any, after: Any, fields: Mapping[str, str]) -> Iterator[VersionChange]:
    for field, words in fields.items():
        if _value(before, field) != _value(after, field):
            yield VersionChange("changed", about, words, _shown(before, field), _shown(after, field))


def _value(entry: Any, field: str) -> Any:
    return getattr(entry, field)


def _title(entry: Any) -> str:
    return str(getattr(entry, "text", None) or getattr(entry, "title", ""))


def _shown(entry: Any, field: str) -> str:
    """Return a field as text for people."""
    value = _value(entry, field)
    match field:
        case "choices":
            return ", ".join(choice.label for choice in value)
        case "measured":
            return str(value.text) if value is not None else ""
        case "kind":
            return str(value).replace("_", ", ")
        case "signing":
            return ", ".join(f"{seat.quorum} × {seat.role.label}" for seat in value)
        case "review_in":
            return f"{value.days} days"
        case "criterion":
            text = f"{value.metric.value.replace('_', ' ')} of {value.arm.value.replace('_', ' ')}"
            return f"{text} ≥ {value.threshold:g} on {value.split.value}"
        case "reasons":
            return "; ".join(f"{answer}: {text}" for answer, text in sorted(value.items()))
        case "claims":
            return ", ".join(value)
        case "whole":
            return "yes" if value else "no"
    return "" if value is None else str(value)
