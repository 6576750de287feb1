"""The decision table of a checklist: every path with its outcome, for the page and for `manage.py print_checklist`."""

from dataclasses import dataclass
from itertools import islice

from playbook.library.checklist import decision_table, parts_of, path_count
from playbook.library.definition import Checklist, ChecklistOutcome, Question

#: A longer table is printed by the command alone.
MAX_ROWS = 500


@dataclass(frozen=True)
class TableRow:
    """One path. `cells`: for each question the answer in words, "" where the path does not ask it."""

    cells: tuple[str, ...]
    outcome: ChecklistOutcome


@dataclass(frozen=True)
class DecisionTable:
    """`total` counts all paths; `rows` are the first of them when there are too many for a page."""

    questions: tuple[Question, ...]
    rows: tuple[TableRow, ...]
    total: int

    @property
    def is_cut(self) -> bool:
        return self.total > len(self.rows)


def table_of(checklist: Checklist, *, limit: int | None = MAX_ROWS) -> DecisionTable:
    """Return the decision table, in the order of questions and answers; `limit` None: whole."""
    classes = parts_of(checklist).classes
    rows = []
    for path in islice(decision_table(checklist), limit):
        given = dict(path.answers)
        cells = (classes[q.id].label(given[q.id]) if q.id in given else "" for q in checklist.questions)
        rows.append(TableRow(tuple(cells), checklist.outcome(path.outcome_id)))
    return DecisionTable(checklist.questions, tuple(rows), path_count(checklist))
