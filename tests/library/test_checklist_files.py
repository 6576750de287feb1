"""Checklist files that were written badly, or by somebody who means ill: each is a problem with its line, and the rest
of the library stays up."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from playbook.library.content import load_library
from playbook.library.definition import Checklist
from playbook.library.problems import ContentError
from playbook.library.rules import RuleError, compile_rule
from playbook.library.yaml_text import read_yaml
from tests.library.kinds import every_kind, outcome, question

NESTED = "[1, 2].all(a, " * 25 + "true" + ")" * 25
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def problems_of(folder: Path, text: str) -> list[str]:
    """Return what is wrong with the one checklist of a library, beside a sound one that must stay."""
    checklists = folder / "checklists"
    checklists.mkdir()
    (checklists / "kinds.yaml").write_text(text)
    sound = every_kind().model_dump(mode="json", exclude_defaults=True) | {"slug": "sound"}
    (checklists / "sound.yaml").write_text(yaml.safe_dump(sound))
    library = load_library(folder)
    assert library.checklists.keys() >= {"sound"}
    return [str(problem) for problem in library.problems if problem.path == "checklists/kinds.yaml"]


def written(**changes: Any) -> str:
    return yaml.safe_dump(every_kind().model_dump(mode="json", exclude_defaults=True) | changes, sort_keys=False)


def test_a_file_that_is_sound_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert (
        problems_of(tmp_path, written())
        == ["checklists/kinds.yaml:10: article 'decide/x' does not exist; correct it or write it"] * 4
    )
    assert load_library(tmp_path).checklists["kinds"] == Checklist.model_validate(every_kind())


def test_one_mistake_is_one_problem(tmp_path: Path) -> None:
    """The list of questions is not called too short as well, because its only entry was refused."""
    wrong = question("a", show="x")
    assert problems_of(tmp_path, written(questions=[wrong], outcomes=[outcome("x", "true")])) == [
        "checklists/kinds.yaml:12: unknown field 'questions.0.show'; remove it or correct its name"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "checklists/kinds.yaml:1: anchors and aliases (& and *) are refused; write the value out"),
        ("[" * 10_000, "checklists/kinds.yaml:1: nested more than 20 deep; flatten it"),
        ("!!python/object/apply:os.system ['id']", "checklists/kinds.yaml:1: not YAML: could not determine a construc"),
        (
            written(outcomes=[outcome("a", NESTED)]),
            f"checklists/kinds.yaml:60: rule {NESTED!r} has a loop inside a loop; write two rules",
        ),
        (
            written(questions=[question("a")], outcomes=[outcome("a", "a.__class__.__mro__.size() > 0")]),
            "checklists/kinds.yaml:16: rule 'a.__class__.__mro__.size() > 0' reads the attribute '__class__'",
        ),
        (
            written(questions=[question("a")], outcomes=[outcome("x", 'a == "yes" || b == "no"')]),
            'checklists/kinds.yaml:16: rule \'a == "yes" || b == "no"\' names b; it may name a',
        ),
        (
            written(questions=[question("a")], outcomes=[outcome("x", 'a == "yes"')]),
            "checklists/kinds.yaml:12: the path a=no ends in no outcome; exactly one `when` must hold there",
        ),
        (
            written(questions=[question("a", kind="number")], outcomes=[outcome("x", "true")]),
            "question 'a' is a number; give its unit, for example unit: rows",
        ),
        (written(slug="other"), "slug 'other' differs from the file's name; write 'kinds'"),
        (written(version=0), "version: Input should be greater than or equal to 1 (got 0)"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    found = problems_of(tmp_path, text)

    assert [problem for problem in found if expected in problem], found
    assert "kinds" not in load_library(tmp_path).checklists


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("a:\n\t- b", "indent with spaces, not with tabs"),
        ("a: Note: b", "put a text that holds a colon and a space in quotes"),
        ("a:\n  - b: 1\n c: 2", "begin this line in the same column as the lines above it"),
    ],
)
def test_a_slip_of_yaml_is_explained_to_who_does_not_program(text: str, fix: str) -> None:
    with pytest.raises(ContentError, match=fix):
        read_yaml(text)


@pytest.mark.parametrize("source", ["1 / 0 == 1", "size(a) / 0 == 1", "1 % 0 == 1", "[][0] == 1"])
def test_a_rule_that_cannot_be_computed_is_a_fault_of_the_rule(source: str) -> None:
    with pytest.raises(RuleError, match="fails: "):
        compile_rule(source).holds({"a": "yes"})


def test_a_contradiction_that_only_numbers_show_is_found_in_a_file(tmp_path: Path) -> None:
    rows = question("rows", kind="number", unit="rows")
    ends = [outcome("few", "rows <= 50"), outcome("many", 'rows >= 50 || rows == "unknown"')]

    assert problems_of(tmp_path, written(questions=[rows], outcomes=ends))[0].endswith(
        "the path rows==50 ends in 2 outcomes (few, many); exactly one `when` must hold there"
    )
