"""Cells of a CSV that a spreadsheet would compute are told from text that only begins like one."""

import csv
import io

from tests.datasets.conftest import Importing
from tests.datasets.test_checks import check

FORMULAS = [
    "=SUM(A1:A5)",
    "= SUM(A1)",
    "+SUM(A1)",
    "-SUM(A1)",
    "@SUM(1)",
    "=LOG10(5)",
    "=_xlfn.CONCAT(1)",
    "=1+1",
    "=2.5*3",
    "=(1+2)*3",
    "+1+1",
    "=5",
    "=$A$1",
    "=-A1",
    "=Sheet1!A1",
    "='My sheet'!A1",
    "=[Book1.xlsx]Sheet1!A1",
    '="a"&B1',
    "={1,2}",
    "\t=1+1",
    "=cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
]
TEXT = [
    "- print(x) shows it",
    "-flag(x)",
    "+49 30 1234",
    "+1",
    "-5 degrees",
    "-1/2",
    "= Title (part)",
    "== Heading ==",
    "=> next",
    "a = b",
    "@anna hello",
    "- Anna (see below)",
]


def test_formulas_are_found_in_every_column_and_text_is_left_alone(importing: Importing) -> None:
    out = io.StringIO()
    csv.writer(out).writerows(
        [
            ("question", "answer", "note"),
            *((cell, f"answer {n}", "") for n, cell in enumerate(FORMULAS)),
            *((f"question {n}", cell, "") for n, cell in enumerate(TEXT)),
            ("a question", "an answer", "=A1"),
        ]
    )
    found = check(importing(("rows.csv", out.getvalue().encode())), "formula")
    notes = {group.note for group in found.groups}
    assert notes == {cell.rstrip() for cell in FORMULAS} | {"=A1"}
    assert found.rows == len(FORMULAS) + 1
