"""A decision as a MADR 4 Markdown document: what the page shows, to keep in a repository or to send."""

import json
import re

from playbook.web.decisions.criterion import two_places
from playbook.web.decisions.measured import Measured
from playbook.web.decisions.models import Decision, Signature
from playbook.web.decisions.queries import chosen_outcome
from playbook.web.decisions.signing import SignOff

#: What begins a heading, underlines one, or opens code, at most three blanks from the margin.
_BLOCK = re.compile(r"(?m)^( {0,3})(#|-{2,}[ \t]*$|=+[ \t]*$|`{3,}|~{3,})")


def as_markdown(sign_off: SignOff) -> str:
    """Return the record; times are UTC. Signatures under an earlier content are listed as void."""
    decision = sign_off.decision
    chosen = chosen_outcome(decision)
    parts = [
        _front_matter(decision),
        f"# D-{decision.number}: {_one_line(decision.title)}",
        f"## Context and Problem Statement\n\n{_body(decision.context)}",
        f"## Considered Options\n\n{_titles(decision)}",
        f"## Decision Outcome\n\n{_chosen(decision, chosen.title if chosen else decision.chosen_outcome)}",
        f"### Consequences\n\n{_body(decision.consequences)}",
        f"### Confirmation\n\n{_criterion(decision)}",
        f"## Pros and Cons of the Options\n\n{_pros_and_cons(decision)}",
        f"## More Information\n\n{_more(sign_off)}",
        f"### Signatures\n\n{_signatures(sign_off)}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(decision: Decision) -> str:
    decided = decision.decided_at or decision.proposed_at or decision.created_at
    makers = [decision.proposed_by] if decision.proposed_by else [decision.created_by]
    replaced = f'\nsuperseded-by: "D-{decision.superseded_by.number}"' if decision.superseded_by else ""
    names = ", ".join(json.dumps(_one_line(str(user)), ensure_ascii=False) for user in makers)
    earlier = ", ".join(f'"D-{row.number}"' for row in decision.superseded_decisions.order_by("number"))
    replaces = f"\nsupersedes: [{earlier}]" if earlier else ""
    return (
        f"---\nstatus: {decision.status}\ndate: {decided:%Y-%m-%d}\ndecision-makers: [{names}]{replaced}{replaces}\n---"
    )


def _chosen(decision: Decision, title: str) -> str:
    """`Chosen option: "Tune", because …`, with what speaks for it where it is among the options."""
    because = next((option["pros"] for option in decision.options if option["title"] == title), "")
    reason = f", because {_one_line(because)}" if because else ""
    return f'Chosen option: "{_one_line(title)}"{reason}'


def _titles(decision: Decision) -> str:
    return "\n".join(f"* {_one_line(option['title'])}" for option in decision.options) or "None recorded."


def _pros_and_cons(decision: Decision) -> str:
    measured = [Measured.of(row) for row in decision.measured]
    options = "\n\n".join(
        "\n".join(
            [
                f"### {_one_line(option['title'])}\n",
                *([f"* Good, because {_one_line(option['pros'])}"] if option["pros"] else []),
                *([f"* Bad, because {_one_line(option['cons'])}"] if option["cons"] else []),
                *(_measured(row) for row in measured if row.arm == option.get("arm")),
            ]
        ).strip()
        for option in decision.options
    )
    named = {option.get("arm") for option in decision.options}
    others = "\n".join(_measured(row) for row in measured if row.arm not in named)
    return f"{options}\n\n### Measured beside them\n\n{others}".strip() if others else options


def _measured(row: Measured) -> str:
    return (
        f"* Measured, {row.arm_name}: {row.text}; job {row.job}, test set sha256 {row.test_set}, "
        f"report sha256 {row.report_sha256}"
    )


def _criterion(decision: Decision) -> str:
    if decision.criterion is None:
        return "This decision promises nothing measurable."
    locked = f", locked {decision.criterion_locked_at:%Y-%m-%d %H:%M} UTC" if decision.criterion_locked_at else ""
    parts = [f"Success criterion, fixed before the run{locked}: {decision.criterion.text}."]
    if decision.test_set:
        parts.append(f"Test set: sha256 {decision.test_set}.")
    if decision.forecast_probability is not None and decision.forecast_value is not None:
        parts.append(
            f"Forecast, made before the run: met with a probability of {two_places(decision.forecast_probability)}; "
            f"expected value {two_places(decision.forecast_value)}."
        )
    return "\n\n".join(parts)


def _more(sign_off: SignOff) -> str:
    decision, assessment = sign_off.decision, sign_off.decision.assessment
    checklist = f"{assessment.checklist_slug} v{assessment.checklist_version}"
    lines = [
        f"* Use case: {_one_line(decision.use_case.name)}",
        f"* Checklist: {checklist} (sha256 {assessment.checklist_digest})",
        f"* Owner: {_one_line(str(decision.owner)) if decision.owner else 'nobody'}",
        f"* Budget: {decision.budget_gpu_minutes} GPU minutes"
        if decision.budget_gpu_minutes is not None
        else "* Budget: not set",
        f"* Kill criterion: {_one_line(decision.kill_criterion) or 'none'}",
        f"* Review on: {decision.review_on.isoformat() if decision.review_on else 'not set'}",
        f"* Digest of what the signatures cover (RFC 8785, SHA-256): {sign_off.digest}",
    ]
    return "\n".join(lines)


def _signatures(sign_off: SignOff) -> str:
    lines = [_signature(row) for row in sign_off.current]
    lines += [f"{_signature(row)} COUNTS NO MORE: the role was taken away afterwards." for row in sign_off.lapsed]
    lines += [f"{_signature(row)} VOID: the decision changed afterwards." for row in sign_off.void]
    return "\n".join(lines) or "None yet."


def _signature(row: Signature) -> str:
    reason = f" Reason: {_one_line(row.reason)}" if row.reason else ""
    signed = f"{row.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    whom = f" for {_one_line(str(row.on_behalf_of))}" if row.on_behalf_of else ""
    who = f"{_one_line(row.printed_name)}, {row.get_role_display()}{whom}"
    return f"* {who}, {signed}: “{_one_line(row.meaning)}”{reason} (sha256 {row.digest})"


def _body(text: str) -> str:
    """Return what people wrote, without headings, code blocks and HTML of its own: else a context could pretend to
    hold signatures, or hide those that follow behind a comment that never ends."""
    return _BLOCK.sub(r"\1\\\2", text.replace("\r\n", "\n").replace("<", "&lt;")) or "Not stated."


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")
