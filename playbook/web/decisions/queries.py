"""Reads on decisions: one decision, the outcome that it chooses, and the test sets that it may name."""

from playbook.contracts.dataset import Split
from playbook.library.definition import ChecklistOutcome
from playbook.web.accounts.models import User
from playbook.web.assessments.queries import checklist_of
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.models import Decision
from playbook.web.decisions.signing import for_signing
from playbook.web.usecases.permissions import get_visible


def get_decision(user: User, number: int) -> Decision:
    """Return a decision with everything that its page and its signatures need. Raises Http404 for a stranger."""
    return get_visible(user, for_signing(Decision.objects.all()), number=number)


def chosen_outcome(decision: Decision) -> ChecklistOutcome | None:
    """Return the chosen option; None when the assessment was moved to a version of its checklist without it."""
    outcomes = checklist_of(decision.assessment).outcomes
    return next((outcome for outcome in outcomes if outcome.id == decision.chosen_outcome), None)


def promised_test_sets(decision: Decision) -> list[tuple[str, str]]:
    """Return the test sets that a promise may name, as hash and label: of the newest versions of the datasets that a
    job of the use case may take, and the one that is named already. Three queries."""
    datasets = Dataset.objects.for_use_case(decision.use_case).prefetch_related("versions__files")
    latest = [version for dataset in datasets if (version := dataset.latest)]
    found = {
        file.sha256: f"{version}, {file.rows} rows ({file.sha256[:12]})"
        for version in latest
        for file in version.files.all()
        if file.split == Split.TEST
    }
    if decision.criterion_test_set:
        found.setdefault(decision.criterion_test_set, f"{decision.criterion_test_set[:12]}, of an earlier version")
    return list(found.items())
