"""The plot of a flow: where its lines and labels lie."""

import re

import pytest

from playbook.web.common.plots_flow import LABEL_LETTERS, LETTER_WIDTH, FlowLink, FlowNode, flow_plot


@pytest.mark.parametrize("label", ["Yes", "under 50 rows, Unknown", "W" * (LABEL_LETTERS + 10)])
def test_no_line_to_an_outcome_runs_through_a_label(label: str) -> None:
    nodes = [
        FlowNode(0, "Rows?"),
        FlowNode(1, "Good?"),
        FlowNode(2, "Collect", tone="wait"),
        FlowNode(3, "Go", tone="go"),
    ]
    links = [FlowLink(0, 1, "50 or more rows"), FlowLink(0, 2, label), FlowLink(1, 3, "Yes"), FlowLink(1, 2, label)]
    plot = flow_plot(nodes, links, summary="")
    to_outcomes = [line for line in plot.lines if line.link.target > 1]
    # Down from the box, right along the lane below the label, then up or down in the channel of the outcome.
    channels = [float(re.findall(r"H([\d.]+)", line.path)[0]) for line in to_outcomes]
    assert max(line.x + LETTER_WIDTH * len(line.label) for line in to_outcomes) <= min(channels)
    assert max(channels) < min(box.x for box in plot.boxes if box.node.is_outcome)
    assert max(box.x + box.width for box in plot.boxes) < plot.width
