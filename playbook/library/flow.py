"""The flow of a checklist: every path from the first question to an outcome, as one shared graph.

Equal parts of the tree of paths are one node, so that a checklist of twenty questions stays a few dozen nodes and an
answer can be followed without evaluating a rule again. The static check reads the same graph.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from playbook.library.answer_classes import Classes, classes_of, comparison_of, meets, reason_conditions
from playbook.library.definition import Checklist, Question
from playbook.library.rules import Rule, RuleError, compile_rule, unknown_names

MAX_STEPS = 50_000
#: Stands for the answers that no rule names.
_OTHER = "\x00"
#: Values of CEL: a rule could name such a question and mean the value. The other words of CEL, rules refuse themselves.
RESERVED = frozenset({"true", "false", "null"})


@dataclass(frozen=True, eq=False)
class Leaf:
    """The end of a path: the outcomes whose rule holds there. A sound checklist has exactly one in each leaf."""

    outcome_ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ask:
    """A question asked on this path, and where each class of its answers leads."""

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


@dataclass(frozen=True, eq=False)
class Flow:
    """The first node, and for each question the answers that the rules tell apart."""

    root: Node
    classes: Mapping[str, Classes]


def build_flow(checklist: Checklist) -> Flow:
    """Return the flow. Raises RuleError when a rule cannot be evaluated, FlowTooLarge when the paths exceed
    MAX_STEPS."""
    builder = _Builder(checklist)
    return Flow(builder.build(0, {}), builder.classes)


#: What rules see of each question: a text, or a number.
Seen = dict[str, str | float]


class _Builder:
    """Follows the questions in order. Two situations are the same node when no later rule can tell them apart."""

    def __init__(self, checklist: Checklist) -> None:
        self.questions = checklist.questions
        self.show_if = [compile_rule(q.show_if) if q.show_if else None for q in checklist.questions]
        self.when = [(outcome.id, compile_rule(outcome.when)) for outcome in checklist.outcomes]
        rules = [*filter(None, self.show_if), *(rule for _, rule in self.when)]
        self.classes = {question.id: classes_of(question, rules) for question in checklist.questions}
        self.numbers = frozenset(question.id for question in checklist.questions if question.kind == "number")
        self.told_apart = {question.id: _told_apart(question, rules) for question in checklist.questions}
        self.names_later = _names_later(self.show_if, [rule for _, rule in self.when])
        self.built: dict[tuple[int, tuple[tuple[str, str | float], ...]], Node] = {}
        self.shared: dict[object, Node] = {}

    def build(self, index: int, answers: Seen) -> Node:
        later = ((name, answer) for name, answer in answers.items() if name in self.names_later[index])
        situation = index, tuple((name, self._seen(name, answer)) for name, answer in later)
        if situation not in self.built:
            if len(self.built) >= MAX_STEPS:
                raise FlowTooLarge(f"more than {MAX_STEPS:,} different paths; split the checklist or its rules")
            self.built[situation] = self._node(index, answers)
        return self.built[situation]

    def _seen(self, name: str, answer: str | float) -> str | float:
        """Return what rules see of an answer: one word for all those that they do not tell apart."""
        told_apart = self.told_apart[name]
        return answer if told_apart is None or answer in told_apart else _OTHER

    def _node(self, index: int, answers: Seen) -> Node:
        if index == len(self.questions):
            outcome_ids = tuple(name for name, rule in self.when if rule.holds(answers, numbers=self.numbers))
            return self.shared.setdefault(outcome_ids, Leaf(outcome_ids))
        question, rule = self.questions[index], self.show_if[index]
        if rule is not None and not rule.holds(answers, numbers=self.numbers):
            return self.build(index + 1, {**answers, question.id: ""})
        following = {
            found.key: self.build(index + 1, {**answers, question.id: found.sample})
            for found in self.classes[question.id].classes
        }
        key = question.id, tuple(id(node) for node in following.values())
        return self.shared.setdefault(key, Ask(question.id, following))


def _told_apart(question: Question, rules: list[Rule]) -> frozenset[str] | None:
    """Return the answers that a rule names; to all rules the others are alike. None: they may tell any apart."""
    reading = [rule for rule in rules if question.id in rule.names]
    if question.is_open or not all(rule.only_compares(question.id) for rule in reading):
        return None
    return frozenset(text for rule in reading for text in rule.compared_texts(question.id))


def _names_later(show_if: list[Rule | None], when: list[Rule]) -> list[frozenset[str]]:
    """Return for each position the names that rules from there on read."""
    later = [frozenset[str]().union(*(rule.names for rule in when))]
    for rule in reversed(show_if):
        later.append(later[-1] | (rule.names if rule else frozenset()))
    return later[::-1]


def check_flow(checklist: Checklist) -> tuple[FlowProblem, ...]:
    """Return what is wrong with the rules: syntax, unknown names, paths without exactly one outcome, and questions or
    outcomes that no path reaches. Empty for a sound checklist."""
    problems = (*_name_problems(checklist), *_rule_problems(checklist))
    if problems:
        return problems
    try:
        flow = build_flow(checklist)
    except RuleError as error:
        return (FlowProblem(("questions",), str(error)),)
    return (*_path_problems(checklist, flow.root), *_reason_problems(checklist, flow))


def _name_problems(checklist: Checklist) -> Iterator[FlowProblem]:
    """Yield names that mean something else, and outcomes that nobody could tell apart."""
    for index, question in enumerate(checklist.questions):
        if question.id in RESERVED:
            message = f"question {question.id!r} has a word of the rules for its id; give it another"
            yield FlowProblem(("questions", index, "id"), message)
    titles: dict[str, str] = {}
    for index, outcome in enumerate(checklist.outcomes):
        other = titles.setdefault(outcome.title.casefold(), outcome.id)
        if other != outcome.id:
            message = f"outcome {outcome.id!r} has the title of {other!r}: nobody could tell them apart; reword one"
            yield FlowProblem(("outcomes", index, "title"), message)


def _reason_problems(checklist: Checklist, flow: Flow) -> Iterator[FlowProblem]:
    """Yield the reasons of numbers whose condition no answer between the bounds meets."""
    for index, question in enumerate(checklist.questions):
        samples = [found.sample for found in flow.classes[question.id].classes if isinstance(found.sample, float)]
        for key in reason_conditions(question):
            if not any(meets(Decimal(str(sample)), comparison_of(key)) for sample in samples):
                message = f"no answer to {question.id!r} is {key!r}; correct the reason, or minimum and maximum"
                yield FlowProblem(("questions", index, "reasons", key), message)


def _rule_problems(checklist: Checklist) -> Iterator[FlowProblem]:
    asked: list[Question] = []
    for index, question in enumerate(checklist.questions):
        if question.show_if is not None:
            yield from _one_rule(question.show_if, ("questions", index, "show_if"), asked)
        asked.append(question)
    for index, outcome in enumerate(checklist.outcomes):
        yield from _one_rule(outcome.when, ("outcomes", index, "when"), asked)


def _one_rule(source: str, path: tuple[str | int, ...], asked: list[Question]) -> Iterator[FlowProblem]:
    try:
        rule = compile_rule(source)
        if names := unknown_names(rule, [question.id for question in asked]):
            known = ", ".join(question.id for question in asked) or "no question, as this is the first"
            yield FlowProblem(path, f"rule {source!r} names {', '.join(names)}; it may name {known}")
            return
        yield from _strange_uses(rule, path, asked)
        rule.holds({question.id: 0.0 if question.kind == "number" else "" for question in asked})
    except RuleError as error:
        yield FlowProblem(path, str(error))


def _strange_uses(rule: Rule, path: tuple[str | int, ...], asked: list[Question]) -> Iterator[FlowProblem]:
    """Yield what a rule cannot do with the questions that it names: read a text, compare a number with a list, or
    compare a question with an answer that it does not have. Raises RuleError for another use of a number."""
    for question in asked:
        if question.id not in rule.names:
            continue
        if question.kind == "text":
            message = f"rule {rule.source!r} names {question.id}, a text; nobody can check what a rule makes of it"
            yield FlowProblem(path, f"{message}: ask with kind: choice")
        elif question.kind == "number":
            list(rule.comparisons(question.id))
        for text in rule.compared_texts(question.id):
            if text and text not in question.answers and question.kind != "text":
                known = ", ".join(question.answers)
                message = f"rule {rule.source!r} compares {question.id} with {text!r}, which is no answer to it"
                yield FlowProblem(path, f"{message}; there are: {known}")


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
