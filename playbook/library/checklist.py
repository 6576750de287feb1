"""Answers to a checklist → what is asked next, the recommendation and its reasons, and what would change it.

Pure functions over `definition` and `flow`; who answered and when is the site's business.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from playbook.library.answer_classes import Classes, reasons_for
from playbook.library.definition import UNKNOWN, AnswerRefused, Checklist, ChecklistOutcome, Question
from playbook.library.flow import Ask, Flow, Leaf, Node, build_flow

__all__ = ["AnswerRefused", "Evaluation", "Flip", "OpenUnknown", "Path", "Reason", "Step", "evaluate"]


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
    """One changed answer that changes the advice. More than one outcome: the change opens further questions.

    `answer` is the key of a class of answers, `label` what people read for it.
    """

    question: Question
    answer: str
    label: str
    outcomes: tuple[ChecklistOutcome, ...]

    @property
    def condition(self) -> str:
        """What would have to be so: `exact match of few-shot reached 0.80`; "" for what is not measured."""
        return self.question.measured.condition(self.answer) if self.question.measured else ""


@dataclass(frozen=True)
class Path:
    """A row of the decision table: the classes of answers along one path, and the outcome at its end."""

    answers: tuple[tuple[str, str], ...]
    outcome_id: str


@dataclass(frozen=True)
class Step:
    """A node of the flow that the answers lead through. `key`: the class of the answer given; None at the end."""

    node: Node
    key: str | None


def evaluate(checklist: Checklist, answers: Mapping[str, str]) -> Evaluation:
    """Return what `answers` (question id → answer) amount to. Questions without an answer are left out of `answers`.

    `answers` are spelt as `Question.read` takes them. One to a question that the path no longer asks is kept out of
    the result without an error: people change earlier answers. Raises AnswerRefused for an unknown question or answer.
    """
    flow = parts_of(checklist)
    keys = _keys(checklist, flow.classes, answers)
    asked = _always_asked(flow.root, keys, {})
    visible = tuple(question for question in checklist.questions if question.id in asked)
    reachable = _reachable(flow.root, keys, {})
    possible = tuple(outcome for outcome in checklist.outcomes if outcome.id in reachable)
    following = next((question for question in visible if question.id not in answers), None)
    answered = [(question, question.read(answers[question.id])) for question in visible if question.id in answers]
    return Evaluation(
        visible=visible,
        next=following,
        outcome=possible[0] if following is None else None,
        possible=possible,
        reasons=tuple(
            Reason(question.id, answer, text) for question, answer in answered for text in reasons_for(question, answer)
        ),
        unknowns=tuple(OpenUnknown(question, question.settles) for question, answer in answered if answer == UNKNOWN),
    )


def flips(checklist: Checklist, answers: Mapping[str, str]) -> tuple[Flip, ...]:
    """Return the single-answer changes that would change the advice of a complete set of answers; empty before."""
    now = evaluate(checklist, answers)
    if now.outcome is None:
        return ()
    flow = parts_of(checklist)
    keys = _keys(checklist, flow.classes, answers)
    found = []
    for question in now.visible:
        for other in flow.classes[question.id].classes:
            if other.key == keys[question.id]:
                continue
            reachable = _reachable(flow.root, {**keys, question.id: other.key}, {})
            if now.outcome.id not in reachable:
                outcomes = tuple(outcome for outcome in checklist.outcomes if outcome.id in reachable)
                found.append(Flip(question, other.key, other.label, outcomes))
    return tuple(found)


def decision_table(checklist: Checklist) -> Iterator[Path]:
    """Yield every path with its outcome, in the order of questions and answers."""
    yield from _paths(flow_of(checklist), ())


def path_count(checklist: Checklist) -> int:
    """Return how many rows the decision table has, without going through them."""
    return _count(flow_of(checklist), {})


def steps(checklist: Checklist, answers: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the nodes that the answers lead through, up to the first question without one, or to the outcome."""
    flow = parts_of(checklist)
    keys = _keys(checklist, flow.classes, answers)
    found, node = list[Step](), flow.root
    while isinstance(node, Ask) and node.question_id in keys:
        found.append(Step(node, keys[node.question_id]))
        node = node.following[keys[node.question_id]]
    return (*found, Step(node, None))


def fitting(checklist: Checklist, answers: Mapping[str, str]) -> dict[str, str]:
    """Return the answers that the checklist knows, the others left out: those to another version of it may not fit."""
    questions = {question.id: question for question in checklist.questions}
    found = {}
    for name, answer in answers.items():
        with suppress(AnswerRefused):
            if name in questions:
                found[name] = questions[name].read(answer)
    return found


@dataclass(frozen=True)
class _ByDigest:
    digest: str
    checklist: Checklist = field(compare=False)


@lru_cache(maxsize=64)
def _build_once(key: _ByDigest) -> Flow:
    return build_flow(key.checklist)


def parts_of(checklist: Checklist) -> Flow:
    """Return a sound checklist's flow with its classes of answers; built once for each definition."""
    return _build_once(_ByDigest(checklist.digest, checklist))


def flow_of(checklist: Checklist) -> Node:
    """Return the first node of a sound checklist's flow."""
    return parts_of(checklist).root


def _keys(checklist: Checklist, classes: Mapping[str, Classes], answers: Mapping[str, str]) -> dict[str, str]:
    """Return the class of each answer. Raises AnswerRefused for an unknown question or answer."""
    if strange := sorted(set(answers) - set(classes)):
        raise AnswerRefused(
            f"no question {strange[0]!r} in {checklist.slug} v{checklist.version}; it has {list(classes)}"
        )
    return {name: classes[name].key_of(answer) for name, answer in answers.items()}


def _open(node: Ask, keys: Mapping[str, str]) -> list[Node]:
    """Return the nodes that can follow `node`: one when it is answered."""
    if node.question_id in keys:
        return [node.following[keys[node.question_id]]]
    return list({id(child): child for child in node.following.values()}.values())


def _always_asked(node: Node, keys: Mapping[str, str], known: dict[int, frozenset[str]]) -> frozenset[str]:
    """Return the ids of the questions that lie on every path from `node` which agrees with `keys`."""
    if isinstance(node, Leaf):
        return frozenset()
    if id(node) not in known:
        children = [_always_asked(child, keys, known) for child in _open(node, keys)]
        known[id(node)] = frozenset.intersection(*children) | {node.question_id}
    return known[id(node)]


def _reachable(node: Node, keys: Mapping[str, str], known: dict[int, frozenset[str]]) -> frozenset[str]:
    """Return the ids of the outcomes at the ends of the paths from `node` which agree with `keys`."""
    if isinstance(node, Leaf):
        return frozenset(node.outcome_ids)
    if id(node) not in known:
        known[id(node)] = frozenset().union(*(_reachable(child, keys, known) for child in _open(node, keys)))
    return known[id(node)]


def _paths(node: Node, taken: tuple[tuple[str, str], ...]) -> Iterator[Path]:
    if isinstance(node, Leaf):
        yield Path(taken, node.outcome_ids[0])
        return
    for answer, child in node.following.items():
        yield from _paths(child, (*taken, (node.question_id, answer)))


def _count(node: Node, known: dict[int, int]) -> int:
    if isinstance(node, Leaf):
        return 1
    if id(node) not in known:
        known[id(node)] = sum(_count(child, known) for child in node.following.values())
    return known[id(node)]
