"""The flow of a checklist as a plot, with the path that some answers take lit."""

from collections.abc import Callable, Mapping

from playbook.library.checklist import parts_of, steps
from playbook.library.definition import Checklist
from playbook.library.flow import Ask, Leaf, Node, distinct_nodes
from playbook.web.common.plots_flow import FlowLink, FlowNode, FlowPlot, flow_plot

#: More boxes than this are no picture any more; the decision table then says the same.
MAX_NODES = 60


def plot_of(
    checklist: Checklist,
    answers: Mapping[str, str] | None = None,
    *,
    url_of: Callable[[str], str] = "#{}".format,
) -> FlowPlot | None:
    """Return the plot, None when it would have more than MAX_NODES boxes. Without `answers` no path is lit.

    `url_of`: question id → where its box leads.
    """
    flow = parts_of(checklist)
    found = [node for node, _ in distinct_nodes(flow.root)]
    if len(found) > MAX_NODES:
        return None
    path = steps(checklist, answers) if answers is not None else ()
    lit = {id(step.node): step.key for step in path}
    visible = {id(step.node) for step in path}
    asks = sorted((node for node in found if isinstance(node, Ask)), key=lambda node: _place(checklist, node))
    leaves = [node for node in found if isinstance(node, Leaf)]
    numbers = {id(node): number for number, node in enumerate([*asks, *leaves])}

    def state(node: Node) -> str:
        if answers is None:
            return ""
        if id(node) not in visible:
            return "off"
        return "lit" if lit[id(node)] is not None else "here"

    nodes = [
        *(
            FlowNode(
                numbers[id(node)],
                checklist.question(node.question_id).text,
                url=url_of(node.question_id) if answers is None or id(node) in visible else "",
                state=state(node),
            )
            for node in asks
        ),
        *(
            FlowNode(numbers[id(node)], outcome.title, tone=outcome.tone, state=state(node))
            for node in leaves
            for outcome in [checklist.outcome(node.outcome_ids[0])]
        ),
    ]
    links = [
        FlowLink(
            numbers[id(node)],
            numbers[target],
            ", ".join(flow.classes[node.question_id].label(key) for key in keys),
            state="" if answers is None else "lit" if lit.get(id(node)) in keys else "off",
        )
        for node in asks
        for target, keys in _by_target(node).items()
    ]
    return flow_plot(nodes, links, summary=_summary(checklist, path_words(checklist, answers)))


def path_words(checklist: Checklist, answers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Return the path of the answers in words: question and answer, then the outcome or the open question with ""."""
    if answers is None:
        return []
    found = []
    for step in steps(checklist, answers):
        if isinstance(step.node, Leaf):
            found.append((checklist.outcome(step.node.outcome_ids[0]).title, ""))
        else:
            question = checklist.question(step.node.question_id)
            found.append((question.text, question.words(answers[question.id]) if step.key is not None else ""))
    return found


def _summary(checklist: Checklist, path: list[tuple[str, str]]) -> str:
    """Say what the picture shows, for those who do not look."""
    size = f"The flow from {len(checklist.questions)} questions to {len(checklist.outcomes)} outcomes."
    if not path:
        return size
    said = " ".join(f"{text} {answer}." if answer else f"Then: {text}" for text, answer in path)
    return f"{size} The path so far: {said}"


def _place(checklist: Checklist, node: Ask) -> int:
    return [question.id for question in checklist.questions].index(node.question_id)


def _by_target(node: Ask) -> dict[int, list[str]]:
    """Return the nodes that follow, each with the classes of answers that lead there."""
    found: dict[int, list[str]] = {}
    for key, child in node.following.items():
        found.setdefault(id(child), []).append(key)
    return found
