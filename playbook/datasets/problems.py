"""Every problem of an import in one pass: all are counted, the first 1,000 are kept, and the first of each kind."""

import json
from collections import Counter
from itertools import groupby

from playbook.contracts.dataset_problems import Problem
from playbook.datasets.spec import Finding, FindingGroup

MAX_LISTED = 1_000
_SHOWN_ROW = 300


class UnreadableFile(Exception):
    """The file as a whole, or from one line on, cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class ProblemLog:
    """Collects problems in the order in which they are found."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._listed: list[Finding] = []
        self._ending: set[str] = set()

    @property
    def total(self) -> int:
        return self._totals.total()

    def add(self, file: str, problem: Problem, *, row: object = None, number: int = 0) -> None:
        """Count the problem; keep it, with the beginning of its row, while fewer than 1,000 are kept.

        `number`: of the row, in files whose rows are counted.

        Of a kind that only comes after them the first is kept too, for a total alone mends nothing."""
        self._totals[problem.code.value] += 1
        if len(self._listed) < MAX_LISTED or self._totals[problem.code.value] == 1:
            self._listed.append(_finding(file, problem, row, number))

    def add_end(self, file: str, problem: Problem, *, last: str, row: object = None) -> None:
        """Count and keep what ended the file, however many are kept: nothing else says that rows were not read.

        `last`: where the last row that was read begins; "" when none was. `row`: the first, where nobody knows what the
        rows mean.
        """
        self._totals[problem.code.value] += 1
        self._ending.add(problem.code.value)
        if last:
            told = f"{problem.fix} Rows after {last} were not read, so no total counts them."
            problem = problem.model_copy(update={"fix": told})
        self._listed.append(_finding(file, problem, row, 0))

    def groups(self) -> tuple[FindingGroup, ...]:
        """Return the problems by code: first what ended a file, then in the order in which the codes first appeared."""
        codes = sorted(self._totals, key=lambda code: code not in self._ending)
        order = {code: position for position, code in enumerate(codes)}
        listed = sorted(self._listed, key=lambda finding: order[finding.code])
        by_code = {code: tuple(found) for code, found in groupby(listed, key=lambda finding: finding.code)}
        return tuple(FindingGroup(code=code, total=self._totals[code], listed=by_code.get(code, ())) for code in codes)


def _finding(file: str, problem: Problem, row: object, number: int) -> Finding:
    return Finding(
        file=file,
        line=problem.line,
        number=number,
        field=_written(problem.field[:200]),
        value=_written(problem.value),
        code=problem.code.value,
        fix=problem.fix,
        row="" if row is None else _excerpt(row),
    )


def _excerpt(row: object) -> str:
    text = _written(json.dumps(row, ensure_ascii=False, default=str))
    return text if len(text) <= _SHOWN_ROW else f"{text[: _SHOWN_ROW - 1]}…"


def _written(text: str) -> str:
    """Return the text with a question mark for half a character, which no report can hold."""
    return text.encode(errors="replace").decode()
