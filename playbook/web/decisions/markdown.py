"""A decision as a MADR 4 Markdown document: what the page shows, to keep in a repository or to send."""

from playbook.web.assessments.queries import checklist_of
from playbook.web.decisions.models import Decision, Signature
from playbook.web.decisions.signing import SignOff


def as_markdown(sign_off: SignOff) -> str:
    """Return the record; times are UTC. Signatures under an earlier content are listed as void."""
    decision = sign_off.decision
    chosen = checklist_of(decision.assessment).outcome(decision.chosen_outcome)
    parts = [
        _front_matter(decision),
        f"# D-{decision.number}: {decision.title}",
        f"## Context and Problem Statement\n\n{decision.context or 'Not stated.'}",
        f"## Considered Options\n\n{_titles(decision)}",
        f"## Decision Outcome\n\nChosen option: {chosen.title}",
        f"### Consequences\n\n{decision.consequences or 'Not stated.'}",
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
    names = ", ".join(f'"{_one_line(str(user))}"' for user in makers)
    return f"---\nstatus: {decision.status}\ndate: {decided:%Y-%m-%d}\ndecision-makers: [{names}]{replaced}\n---"


def _titles(decision: Decision) -> str:
    return "\n".join(f"* {_one_line(option['title'])}" for option in decision.options) or "None recorded."


def _pros_and_cons(decision: Decision) -> str:
    return "\n\n".join(
        "\n".join(
            [
                f"### {_one_line(option['title'])}\n",
                *([f"* Good, because {_one_line(option['pros'])}"] if option["pros"] else []),
                *([f"* Bad, because {_one_line(option['cons'])}"] if option["cons"] else []),
            ]
        ).strip()
        for option in decision.options
    )


def _criterion(decision: Decision) -> str:
    if decision.criterion is None:
        return "This decision promises nothing measurable."
    locked = f", locked {decision.criterion_locked_at:%Y-%m-%d %H:%M} UTC" if decision.criterion_locked_at else ""
    return f"Success criterion, fixed before the run{locked}: {decision.criterion.text}."


def _more(sign_off: SignOff) -> str:
    decision, assessment = sign_off.decision, sign_off.decision.assessment
    checklist = f"{assessment.checklist_slug} v{assessment.checklist_version}"
    lines = [
        f"* Use case: {_one_line(decision.use_case.name)}",
        f"* Checklist: {checklist} (sha256 {assessment.checklist_digest})",
        f"* Review on: {decision.review_on.isoformat() if decision.review_on else 'not set'}",
        f"* Digest of what the signatures cover (RFC 8785, SHA-256): {sign_off.digest}",
    ]
    return "\n".join(lines)


def _signatures(sign_off: SignOff) -> str:
    lines = [_signature(row) for row in sign_off.current]
    lines += [f"{_signature(row)} VOID: the decision changed afterwards." for row in sign_off.void]
    return "\n".join(lines) or "None yet."


def _signature(row: Signature) -> str:
    reason = f" Reason: {_one_line(row.reason)}" if row.reason else ""
    signed = f"{row.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    who = f"{_one_line(row.printed_name)}, {row.get_role_display()}"
    return f"* {who}, {signed}: “{row.meaning}”{reason} (sha256 {row.digest})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
