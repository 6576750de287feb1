"""Answers to a checklist → what is asked next, the recommendation and its reasons, and what would change it.

Pure functions over `definition` and `flow`; who answered and when is the site's business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from playbook.library.definition import UNKNOWN, Checklist, ChecklistOutcome, Question
from playbook.library.flow import Ask, Leaf, Node, build_flow


class AnswerRefused(ValueError):
    """An answer that the checklist does not know. The message names question, answer and the possible answers."""


@dataclass(frozen=True)
class Reason:
    """Why the recommendation is as it is: an answer and the text that it brings in."""

    question_id: str
    answer: str
    text: str


@dataclass(frozen=True)
class OpenUnknown:
    """A question answered "unknown", and what would settle it."""

    question: Question
    settles: str


@dataclass(frozen=True)
class Evaluation:
    """What a set of answers amounts to.

    `visible`: the questions that are asked whatever is answered next, in order; answered ones included.
    `next`: the first of them without an answer; None when complete.
    `outcome`: None until complete. `possible`: the outcomes that can still come of it, in the definition's order;
    exactly `(outcome,)` when complete. `reasons` and `unknowns` follow the order of `visible`.
    """

    visible: tuple[Question, ...]
    next: Question | None
    outcome: ChecklistOutcome | None
    possible: tuple[ChecklistOutcome, ...]
    reasons: tuple[Reason, ...]
    unknowns: tuple[OpenUnknown, ...]

    @property
    def complete(self) -> bool:
        return self.outcome is not None


@dataclass(frozen=True)
class Flip:
    """One changed answer that changes the advice. More than one outcome: the change opens further questions."""

    question: Question
    answer: str
    outcomes: tuple[ChecklistOutcome, ...]


@dataclass(frozen=True)
class Path:
    """A row of the decision table: the answers given along one path, and the outcome at its end."""

    answers: tuple[tuple[str, str], ...]
    outcome_id: str


def evaluate(checklist: Checklist, answers: Mapping[str, str]) -> Evaluation:
    """Return what `answers` (question id → answer) amount to. Questions without an answer are left out of `answers`.

    An answer to a question that the path no longer asks is kept out of the result without an error: people change
    earlier answers. Raises AnswerRefused for an unknown question or answer.
    """
    _refuse_strange(checklist, answers)
    root = flow_of(checklist)
    asked = _always_asked(root, answers, {})
    visible = tuple(question for question in checklist.questions if question.id in asked)
    reachable = _reachable(root, answers, {})
    possible = tuple(outcome for outcome in checklist.outcomes if outcome.id in reachable)
    following = next((question for question in visible if question.id not in answers), None)
    answered = [(question, answers[question.id]) for question in visible if question.id in answers]
    return Evaluation(
        visible=visible,
        next=following,
        outcome=possible[0] if following is None else None,
        possible=possible,
        reasons=tuple(
            Reason(question.id, answer, question.reasons[answer])
            for question, answer in answered
            if answer in question.reasons
        ),
        unknowns=tuple(OpenUnknown(question, question.settles) for question, answer in answered if answer == UNKNOWN),
    )


def flips(checklist: Checklist, answers: Mapping[str, str]) -> tuple[Flip, ...]:
    """Return the single-answer changes that would change the advice of a complete set of answers; empty before."""
    now = evaluate(checklist, answers)
    if now.outcome is None:
        return ()
    found = []
    for question in now.visible:
        for answer in question.answers:
            if answer == answers[question.id]:
                continue
            changed = evaluate(checklist, {**answers, question.id: answer}).possible
            if now.outcome not in changed:
                found.append(Flip(question, answer, changed))
    return tuple(found)


def decision_table(checklist: Checklist) -> Iterator[Path]:
    """Yield every path with its outcome, in the order of questions and answers."""
    yield from _paths(flow_of(checklist), ())


@dataclass(frozen=True)
class _ByDigest:
    digest: str
    checklist: Checklist = field(compare=False)


@lru_cache(maxsize=64)
def _build_once(key: _ByDigest) -> Node:
    return build_flow(key.checklist)


def flow_of(checklist: Checklist) -> Node:
    """Return the first node of a sound checklist's flow; built once for each definition."""
    return _build_once(_ByDigest(checklist.digest, checklist))


def _refuse_strange(checklist: Checklist, answers: Mapping[str, str]) -> None:
    questions = {question.id: question for question in checklist.questions}
    for name, answer in answers.items():
        if name not in questions:
            raise AnswerRefused(
                f"no question {name!r} in {checklist.slug} v{checklist.version}; it has {list(questions)}"
            )
        if answer not in questions[name].answers:
            raise AnswerRefused(f"answer {answer!r} to {name!r}; choose one of {list(questions[name].answers)}")


def _open(node: Ask, answers: Mapping[str, str]) -> list[Node]:
    """Return the nodes that can follow `node`: one when it is answered."""
    if node.question_id in answers:
        return [node.following[answers[node.question_id]]]
    return list({id(child): child for child in node.following.values()}.values())


def _always_asked(node: Node, answers: Mapping[str, str], known: dict[int, frozenset[str]]) -> frozenset[str]:
    """Return the ids of the questions that lie on every path from `node` which agrees with `answers`."""
    if isinstance(node, Leaf):
        return frozenset()
    if id(node) not in known:
        children = [_always_asked(child, answers, known) for child in _open(node, answers)]
        known[id(node)] = frozenset.intersection(*children) | {node.question_id}
    return known[id(node)]


def _reachable(node: Node, answers: Mapping[str, str], known: dict[int, frozenset[str]]) -> frozenset[str]:
    """Return the ids of the outcomes at the ends of the paths from `node` which agree with `answers`."""
    if isinstance(node, Leaf):
        return frozenset(node.outcome_ids)
    if id(node) not in known:
        known[id(node)] = frozenset().union(*(_reachable(child, answers, known) for child in _open(node, answers)))
    return known[id(node)]


def _paths(node: Node, taken: tuple[tuple[str, str], ...]) -> Iterator[Path]:
    if isinstance(node, Leaf):
        yield Path(taken, node.outcome_ids[0])
        return
    for answer, child in node.following.items():
        yield from _paths(child, (*taken, (node.question_id, answer)))
