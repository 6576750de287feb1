"""What is wrong with the marks of a block is said with its line: the renderer says nothing."""

import pytest

from playbook.library.blocks import BlockMark
from playbook.library.outline import read_outline


@pytest.mark.parametrize(
    ("body", "mistakes"),
    [
        ("/// note\nx\n\nthe rest", [(5, "/// note is opened here and never closed; write /// where it ends")]),
        ("/// job | quick\n\nthe rest\n\nmore", [
            (5, "/// job is opened here and never closed; write /// where it ends"),
            (7, "text inside /// job is not shown; write /// in the line below it, and the text after that"),
        ]),
        ("x\n\n///", [(7, "/// closes no block; remove it, or open one above")]),
        ("/// note\nx\n///\n///", [(8, "/// closes no block; remove it, or open one above")]),
        ("/// note\nx\n////", [
            (5, "/// note is opened here and never closed; write /// where it ends"),
            (7, "//// closes no block; remove it, or open one above"),
        ]),
        ("//// note\n/// tip\nx\n////", [
            (6, "/// tip is opened here and never closed; write /// where it ends"),
        ]),
        ("/// job: quick\n///", [(5, "/// job: quick is no block; write /// kind, or /// kind | title")]),
        ("/// note\n    type: tip\nx\n///", [
            (6, "indented lines below /// note are read as its options, of which there are none; unindent them"),
        ]),
    ],
)  # fmt: skip
def test_a_mistake_in_the_marks_is_named(body: str, mistakes: list[tuple[int, str]]) -> None:
    assert list(read_outline(body, 5).mistakes) == mistakes


@pytest.mark.parametrize(
    "body",
    [
        "/// note | a | b\nx\n///",
        "//// note\n/// tip\nx\n///\n////",
        "/// note\n/// tip\nx\n///\n///",
        "> /// note\n> x\n> ///",
        "- /// note\n  x\n  ///",
        "1. a\n\n    /// job | quick\n    ///",
        "/// note\n```\n///\n    code\n```\n///",
        "```\n/// note\n```",
        "/// note\n\n    not an option\n///",
        "`/// note` and https:///x",
    ],
)
def test_sound_blocks_have_no_mistake(body: str) -> None:
    assert read_outline(body, 5).mistakes == ()


def test_a_block_is_known_in_any_case_of_letters() -> None:
    assert read_outline("/// Job | quick\n///", 5).blocks == (BlockMark(5, "job", "quick"),)
