"""Reads on decisions: the log with its filters, and one decision."""

from collections.abc import Collection

from django.db.models import QuerySet

from playbook.web.accounts.models import User
from playbook.web.decisions.models import Decision, Status
from playbook.web.decisions.signing import for_signing
from playbook.web.usecases.models import UseCase
from playbook.web.usecases.permissions import get_visible


def decision_log(user: User, *, status: str, use_cases: Collection[UseCase]) -> QuerySet[Decision]:
    """Return the decisions that the user may see, newest first. An unknown status does not filter."""
    decisions = Decision.objects.visible_to(user).select_related("use_case", "proposed_by", "created_by")
    if status in Status.values:
        decisions = decisions.filter(status=status)
    return decisions.filter(use_case__in=use_cases)


def get_decision(user: User, number: int) -> Decision:
    """Return a decision with everything that its page and its signatures need. Raises Http404 for a stranger."""
    return get_visible(user, for_signing(Decision.objects.all()), number=number)
