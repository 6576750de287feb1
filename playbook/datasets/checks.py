"""What is suspicious about rows that are valid. Each check counts all rows concerned and lists the first of them.

`CHECKS` says in words what each one looks for, why it matters and what to do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Split
from playbook.datasets import measures, pairs
from playbook.datasets.clusters import groups_of
from playbook.datasets.gathering import Gathered
from playbook.datasets.measures import OneClass
from playbook.datasets.spec import Check, CheckGroup, RowRef
from playbook.datasets.splits import LEFT_OUT, SPLITS, Assignment, places
from playbook.datasets.text import Hashes

_MAX_GROUPS = 200
_ROWS_SHOWN = 5
_TRAIN, _TEST = SPLITS.index(Split.TRAIN), SPLITS.index(Split.TEST)


@dataclass(frozen=True)
class About:
    """A check in words. `is_warning`: rows that it finds deserve a look. `is_measure`: nothing is wrong with its rows;
    they stand behind a plot."""

    title: str
    text: str
    is_warning: bool = True
    is_measure: bool = False


CHECKS = {
    **{code: About(title, text) for code, title, text in pairs.in_words()},
    "duplicate": About(
        "Exact duplicates",
        "Rows that repeat an earlier prompt and answer, white space and case aside. They weigh double.",
    ),
    "near_duplicate": About(
        "Near duplicates", "Rows nearly equal to an earlier row (MinHash, four fifths). They narrow what is learned."
    ),
    "conflict": About(
        "Conflicting answers", "One prompt with different answers: the model can only learn their average."
    ),
    "ungrouped": About(
        "Rows without the field that others are kept together by",
        "Nothing but an equal prompt keeps them in one split with rows that they belong to. Fill in the field.",
    ),
    "class_gap": About(
        "Classes that test or train lacks",
        "Values of the answers with no row in test, of which no score speaks, or none in train, which nothing teaches. "
        "Bring more such rows, or split again with another seed.",
    ),
    "empty_answer": About(
        "Empty answers",
        "The answer says nothing: a dash, “n/a”, “null”, “TODO”. A row without any answer is refused as a problem.",
    ),
    "refusal": About("Refusals", "The answer declines. A few percent can make a model decline what it should do."),
    "secret": About(
        "Secrets",
        "Keys, tokens or passwords. A model can repeat what it was trained on: replace them, and revoke them.",
    ),
    "personal": About(
        "Personal data", "E-mail addresses, phone, card or account numbers. Check the consent, or replace them."
    ),
    "long_row": About(
        "Very long rows", "Over 32,000 characters, some 8,000 tokens: more than the sample base model reads."
    ),
    "formula": About(
        "Spreadsheet formulas",
        "Cells that begin like a formula. They were read as text and never computed; export values instead.",
    ),
    "tools": About(
        "Rows with tools",
        "Tools and calls are kept. Whether the model sees them depends on the base model's chat template.",
        is_warning=False,
    ),
    "class": About("Rows of each class", "The first rows of each value of the answers.", is_measure=True),
    "length": About("Longest and shortest rows", "Where cut, empty or pasted text shows first.", is_measure=True),
}


class Places:
    """Turns row numbers of the import into references that a page can open."""

    def __init__(self, rows: Gathered, assignment: Assignment) -> None:
        self._lines, self._assignment, self._places = rows.lines, assignment, places(assignment)

    def group(self, rows: Iterable[int], note: str = "") -> CheckGroup:
        return CheckGroup(
            rows=tuple(
                RowRef(split=SPLITS[self._assignment[row]], row=int(self._places[row]), line=int(self._lines[row]))
                for row in rows
                if self._assignment[row] != LEFT_OUT
            ),
            note=note,
        )


def run_checks(rows: Gathered, assignment: Assignment, classes: list[list[OneClass]]) -> tuple[Check, ...]:
    """Return every check of `CHECKS`, in its order, also those that found nothing."""
    placed = Places(rows, assignment)
    found = {check.code: check for check in _all_checks(rows, assignment, placed)}
    found |= {check.code: check for check in _of_measures(rows, assignment, classes, placed)}
    return tuple(found[code] for code in CHECKS)


def _all_checks(rows: Gathered, assignment: Assignment, placed: Places) -> Iterator[Check]:
    used = np.flatnonzero(assignment != LEFT_OUT)
    same_row = rows.columns["row"]
    first_of_each = used[np.sort(np.unique(same_row[used], return_index=True)[1])]
    yield _repeats("duplicate", (used[group] for group in groups_of(same_row[used])), placed)
    yield _conflicts(rows, used, placed)
    near = rows.near.clusters(first_of_each).roots
    near_groups = (first_of_each[group] for group in groups_of(near[first_of_each]))
    yield _repeats("near_duplicate", near_groups, placed)
    del first_of_each
    _join_repeats(near, same_row, used)
    yield from _across(rows, assignment, near, placed)
    for code, finds in rows.finds.items():
        left_out = sum(assignment[row] == LEFT_OUT for row, _ in finds.listed)
        groups = tuple(placed.group([row], note) for row, note in finds.listed if assignment[row] != LEFT_OUT)
        yield Check(code=code, rows=finds.total - int(left_out), groups=groups)


def _join_repeats(near: NDArray[np.int32], same_row: Hashes, used: NDArray[np.int64]) -> None:
    """Put each row into the cluster of the first one that says the same: it may stand in another split."""
    order = used[np.argsort(same_row[used], kind="stable")]
    ordered = same_row[order]
    is_first = np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(order)]
    near[order] = near[order[is_first]][np.cumsum(is_first, dtype=np.int32) - 1]


def _of_measures(
    rows: Gathered, assignment: Assignment, classes: list[list[OneClass]], placed: Places
) -> Iterator[Check]:
    gaps = list(measures.gaps(classes))
    lacking = np.unique(np.concatenate([one.rows for one in gaps])) if gaps else ()
    yield Check(code="class_gap", rows=len(lacking), groups=_groups_of_classes(gaps, placed))
    every = [one for field in classes for one in field]
    yield Check(code="class", rows=0, groups=_groups_of_classes(every, placed))
    ends = tuple(placed.group(found.tolist(), note) for note, found in measures.ends_of_lengths(rows, assignment))
    yield Check(code="length", rows=0, groups=ends)


def _groups_of_classes(found: list[OneClass], placed: Places) -> tuple[CheckGroup, ...]:
    return tuple(placed.group(one.rows[: measures.SHOWN].tolist(), str(one)) for one in found[:_MAX_GROUPS])


def _repeats(code: str, groups: Iterable[NDArray[np.int64]], placed: Places) -> Check:
    """Count the rows beyond the first of each group."""
    total, listed = 0, list[CheckGroup]()
    for group in groups:
        total += len(group) - 1
        if len(listed) < _MAX_GROUPS:
            listed.append(_shown(group, placed))
    return Check(code=code, rows=total, groups=tuple(listed))


def _shown(group: NDArray[np.int64], placed: Places) -> CheckGroup:
    return placed.group(group[:_ROWS_SHOWN].tolist(), f"{len(group):,} rows")


def _conflicts(rows: Gathered, used: NDArray[np.int64], placed: Places) -> Check:
    prompts, answers = rows.columns["prompt"][used], rows.columns["answer"][used]
    total, listed = 0, list[CheckGroup]()
    for group in groups_of(prompts):
        _, firsts = np.unique(answers[group], return_index=True)
        if len(firsts) < 2:
            continue
        total += len(group)
        if len(listed) < _MAX_GROUPS:
            different = used[group[np.sort(firsts)]][:_ROWS_SHOWN].tolist()
            listed.append(placed.group(different, f"{len(firsts)} different answers in {len(group):,} rows"))
    return Check(code="conflict", rows=total, groups=tuple(listed))


def _across(rows: Gathered, assignment: Assignment, near: NDArray[np.int32], placed: Places) -> Iterator[Check]:
    """Compare each pair of splits in each way."""
    same = [pairs.shared_prompts(rows, assignment, pair) for pair in pairs.PAIRS]
    found = {
        "exact": pairs.exact_prompts(same),
        "near": pairs.near_rows(near, assignment, same),
        "13": pairs.long_runs(rows, assignment),
    }
    for measure, of_pairs in found.items():
        for pair, alike in zip(pairs.PAIRS, of_pairs, strict=True):
            groups = tuple(placed.group(listed, note) for listed, note in alike.listed)
            yield Check(code=pairs.code_of(measure, pair), rows=alike.rows, groups=groups)


def template_counts(rows: Gathered, assignment: Assignment) -> tuple[int | None, int | None]:
    """Return (templates that train and test share, templates of test); None where a row names none."""
    templates = rows.columns["template"]
    train, test = templates[assignment == _TRAIN], templates[assignment == _TEST]
    if not (test != 0).all():
        return None, None
    of_test = np.unique(test)
    if not (train != 0).all():
        return None, len(of_test)
    return int(np.isin(of_test, train).sum()), len(of_test)
