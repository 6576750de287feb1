"""Signatures that are due, for the letter of the day (`common.reminders`)."""

from collections.abc import Iterator
from datetime import date

from playbook.web.common.reminders import Due, due_source
from playbook.web.decisions.models import Decision, Status
from playbook.web.decisions.signing import SignOff, for_signing


@due_source
def signatures_due(day: date) -> Iterator[Due]:
    """Yield who may fill a seat that is still open under a proposal whose day to sign is `day` or before it."""
    proposals = Decision.objects.filter(status=Status.PROPOSED, sign_by__lte=day).order_by("sign_by", "pk")
    for decision in for_signing(proposals):
        sign_off = SignOff(decision)
        people = {member.user for member in decision.use_case.memberships.all() if member.user.is_active}
        for person in sorted(people, key=lambda one: one.pk):
            if decision.sign_by is not None and sign_off.open_capacities(person):
                text = f"Sign D-{decision.number}: {decision.title}"
                yield Due(person, decision.sign_by, text, f"{decision.get_absolute_url()}#sign")
