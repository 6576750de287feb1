"""The flow of a checklist: every path from the first question to an outcome, as one shared graph.

Equal parts of the tree of paths are one node, so that a checklist of twenty questions stays a few dozen nodes and an
answer can be followed without evaluating a rule again. The static check reads the same graph.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from playbook.library.definition import Checklist
from playbook.library.rules import Rule, RuleError, compile_rule, unknown_names

MAX_STEPS = 50_000


@dataclass(frozen=True, eq=False)
class Leaf:
    """The end of a path: the outcomes whose rule holds there. A sound checklist has exactly one in each leaf."""

    outcome_ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ask:
    """A question asked on this path, and where each of its answers leads."""

    question_id: str
    following: Mapping[str, "Node"]


Node = Leaf | Ask


@dataclass(frozen=True)
class FlowProblem:
    """`path` leads into the definition, for example ("questions", 2, "show_if")."""

    path: tuple[str | int, ...]
    message: str


class FlowTooLarge(RuleError):
    """The rules tie so many answers together that the paths cannot be followed one by one."""


def build_flow(checklist: Checklist) -> Node:
    """Return the first node of the flow. Raises RuleError when a rule cannot be evaluated, FlowTooLarge when the
    paths exceed MAX_STEPS."""
    return _Builder(checklist).build(0, {})


class _Builder:
    """Follows the questions in order. Two situations are the same node when no later rule can tell them apart."""

    def __init__(self, checklist: Checklist) -> None:
        self.questions = checklist.questions
        self.show_if = [compile_rule(q.show_if) if q.show_if else None for q in checklist.questions]
        self.when = [(outcome.id, compile_rule(outcome.when)) for outcome in checklist.outcomes]
        self.names_later = _names_later(self.show_if, [rule for _, rule in self.when])
        self.built: dict[tuple[int, tuple[tuple[str, str], ...]], Node] = {}
        self.shared: dict[object, Node] = {}

    def build(self, index: int, answers: dict[str, str]) -> Node:
        situation = index, tuple((name, answer) for name, answer in answers.items() if name in self.names_later[index])
        if situation not in self.built:
            if len(self.built) >= MAX_STEPS:
                raise FlowTooLarge(f"more than {MAX_STEPS:,} different paths; split the checklist or its rules")
            self.built[situation] = self._node(index, answers)
        return self.built[situation]

    def _node(self, index: int, answers: dict[str, str]) -> Node:
        if index == len(self.questions):
            outcome_ids = tuple(name for name, rule in self.when if rule.holds(answers))
            return self.shared.setdefault(outcome_ids, Leaf(outcome_ids))
        question, rule = self.questions[index], self.show_if[index]
        if rule is not None and not rule.holds(answers):
            return self.build(index + 1, {**answers, question.id: ""})
        following = {answer: self.build(index + 1, {**answers, question.id: answer}) for answer in question.answers}
        key = question.id, tuple(id(node) for node in following.values())
        return self.shared.setdefault(key, Ask(question.id, following))


def _names_later(show_if: list[Rule | None], when: list[Rule]) -> list[frozenset[str]]:
    """Return for each position the names that rules from there on read."""
    later = [frozenset[str]().union(*(rule.names for rule in when))]
    for rule in reversed(show_if):
        later.append(later[-1] | (rule.names if rule else frozenset()))
    return later[::-1]


def check_flow(checklist: Checklist) -> tuple[FlowProblem, ...]:
    """Return what is wrong with the rules: syntax, unknown names, paths without exactly one outcome, and questions or
    outcomes that no path reaches. Empty for a sound checklist."""
    problems = tuple(_rule_problems(checklist))
    if problems:
        return problems
    try:
        root = build_flow(checklist)
    except RuleError as error:
        return (FlowProblem(("questions",), str(error)),)
    return tuple(_path_problems(checklist, root))


def _rule_problems(checklist: Checklist) -> Iterator[FlowProblem]:
    asked: list[str] = []
    for index, question in enumerate(checklist.questions):
        if question.show_if is not None:
            yield from _one_rule(question.show_if, ("questions", index, "show_if"), asked)
        asked.append(question.id)
    for index, outcome in enumerate(checklist.outcomes):
        yield from _one_rule(outcome.when, ("outcomes", index, "when"), asked)


def _one_rule(source: str, path: tuple[str | int, ...], allowed: list[str]) -> Iterator[FlowProblem]:
    try:
        rule = compile_rule(source)
        if names := unknown_names(rule, allowed):
            known = ", ".join(allowed) or "no question, as this is the first"
            yield FlowProblem(path, f"rule {source!r} names {', '.join(names)}; it may name {known}")
        else:
            rule.holds(dict.fromkeys(allowed, ""))
    except RuleError as error:
        yield FlowProblem(path, str(error))


def _path_problems(checklist: Checklist, root: Node) -> Iterator[FlowProblem]:
    questions: set[str] = set()
    outcomes: set[str] = set()
    for node, path in distinct_nodes(root):
        if isinstance(node, Ask):
            questions.add(node.question_id)
            continue
        outcomes.update(node.outcome_ids)
        if len(node.outcome_ids) != 1:
            steps = ", ".join(f"{name}={answer}" for name, answer in path)
            ends = f"in {len(node.outcome_ids)} outcomes ({', '.join(node.outcome_ids)})" if node.outcome_ids else ""
            yield FlowProblem(
                ("outcomes",), f"the path {steps} ends {ends or 'in no outcome'}; exactly one `when` must hold there"
            )
    for index, question in enumerate(checklist.questions):
        if question.id not in questions:
            yield FlowProblem(("questions", index), f"no path reaches question {question.id!r}; correct its show_if")
    for index, outcome in enumerate(checklist.outcomes):
        if outcome.id not in outcomes:
            yield FlowProblem(("outcomes", index), f"no path reaches outcome {outcome.id!r}; correct its when")


def distinct_nodes(root: Node) -> Iterator[tuple[Node, tuple[tuple[str, str], ...]]]:
    """Yield every node once, with one path of (question id, answer) that leads to it."""
    seen = {id(root)}
    waiting: list[tuple[Node, tuple[tuple[str, str], ...]]] = [(root, ())]
    while waiting:
        node, path = waiting.pop()
        yield node, path
        if isinstance(node, Ask):
            for answer, child in node.following.items():
                if id(child) not in seen:
                    seen.add(id(child))
                    waiting.append((child, (*path, (node.question_id, answer))))
