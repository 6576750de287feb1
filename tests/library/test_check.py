"""The check: everything that an author can get wrong, with file and line."""

from datetime import date
from pathlib import Path

import pytest

from playbook.library.check import check_library
from playbook.library.content import load_library
from tests.library.conftest import ARTICLE, CHECKLIST, PNG, Write

TODAY = date(2026, 11, 24)
LORA = "articles/train/lora.md"


def _check(content: Path, severity: str = "error") -> list[str]:
    return [str(found) for found in check_library(load_library(content), today=TODAY) if found.severity == severity]


def _body(write: Write, text: str) -> None:
    write(LORA, ARTICLE.replace("Little.", text))


def test_a_sound_folder_has_nothing_to_mend(content: Path) -> None:
    assert (_check(content), _check(content, "warning")) == ([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "See [x](gone.md).",
            "link 'gone.md' leads nowhere: no file 'articles/train/gone.md' in the content folder; "
            "correct the relative path",
        ),
        (
            "See [x](../../../etc/passwd).",
            "link '../../../etc/passwd' leads nowhere: it leaves the content folder; correct the relative path",
        ),
        ("[[gone]]", "[[gone]] leads nowhere: no article has this slug; correct it, or write the article"),
        ("[x](#nowhere)", f"link '#nowhere' names a heading that {LORA} lacks; it has #answer"),
        ("[[lora#nowhere]]", f"link '[[lora#nowhere]]' names a heading that {LORA} lacks; it has #answer"),
        ("[x](lora.md#nowhere)", f"link 'lora.md#nowhere' names a heading that {LORA} lacks; it has #answer"),
        ("[x]: gone.md\n", "link 'gone.md' leads nowhere: no file 'articles/train/gone.md' in the content folder; "
                           "correct the relative path"),
        ('<a href="gone.md">x</a>', "link 'gone.md' leads nowhere: no file 'articles/train/gone.md' in the content "
                                    "folder; correct the relative path"),
        ("$\\nope$", "formula '\\\\nope' cannot be read: unknown command \\nope"),
        ("![](x.png)", "image 'x.png' has no text; say what it shows between [ and ]"),
        ("![a](../../checklists/go.yaml)", "'../../checklists/go.yaml' is no image; link to it without the !"),
        (
            "![a](https://example.org/x.png)",
            "image 'https://example.org/x.png' is elsewhere; put the file into the content folder",
        ),
        ("/// checklist | nope\n///", "/// checklist names 'nope', which is no checklist; there are: go"),
        ("/// job | nope\n///", "/// job names 'nope', which is no recipe; there are: quick"),
        ("/// evidence | C99\n///", "/// evidence names 'C99', which is no claim; there are: none"),
        (
            "/// calculator | nope\n///",
            "/// calculator names 'nope', which is no calculator; there are: lora-memory, break-even, test-rows",
        ),
        (
            "/// notee\n///",
            "/// notee is no block; there are: admonition, attention, calculator, caution, checklist, danger, "
            "disagree, error, evidence, figure, hint, job, measured, note, tab, tip, warning",
        ),
        ("/// tab\n///", "/// tab has no title; write it after a bar: /// tab | Title"),
        ("/// job\n///", "/// job | '': name one recipe after the bar"),
        ("/// job | quick", "/// job is opened here and never closed; write /// where it ends"),
        ("   ## Lead", "shown as text, not as a heading: there is a space before #; remove it"),
        ("# Lead", "a heading with one # is shown as text, for the title is above it; write ## or more"),
        ("Lead\n====", "a heading with one # is shown as text, for the title is above it; write ## or more"),
        ("##", "a heading needs words for the table of contents; write some, or remove the #"),
        ("## ![A drawing](x.png)", "a heading needs words for the table of contents; write some, or remove the #"),
        ("- item\n---", "shown as a heading, for --- stands below it; put an empty line between"),
        ("$$\na\n\nb\n$$", "shown as text, not as a formula: $$ is not closed before the next empty line"),
        ("Said so.[^x]", "[^x] has no footnote; write a line [^x]: with it"),
        ("[^x]: Unused.", "no text has the mark of footnote [^x]; set it, or remove this"),
        ("A.[^x] [^x]: B.", "[^x] has no footnote; write a line [^x]: with it"),
        ("<script>alert(1)</script>", "<script> is not shown; remove it, or write it between backticks"),
        ("Name the <model> here.", "<model> is not shown; remove it, or write it between backticks"),
        ("<svg/onload=alert(1)>", "<svg> is not shown; remove it, or write it between backticks"),
        (
            "[x](javascript:alert(1))",
            "link 'javascript:alert(1)' is not shown; an address begins with http:, https:, mailto:",
        ),
        (
            '<a href="data:text/html,x">x</a>',
            "link 'data:text/html,x' is not shown; an address begins with http:, https:, mailto:",
        ),
        ("[[#]]", "a wikilink names nothing; write the slug of an article between [[ and ]]"),
        ("[[|x]]", "a wikilink names nothing; write the slug of an article between [[ and ]]"),
        ("```\nopen", "code fence ``` is opened here and never closed"),
        ("> " * 21 + "x", "quotes nested more than 20 deep; flatten them"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_text_is_named_with_its_line(content: Path, write: Write, text: str, expected: str) -> None:
    write("articles/train/x.png", PNG)
    _body(write, f"First.\n\n{text}")

    assert _check(content) == [f"{LORA}:12: {expected}"]


def test_footnotes_that_are_there_twice_or_oddly_named_are_told(content: Path, write: Write) -> None:
    _body(write, "First.[^x] Then.[^a b]\n\n[^x]: One.\n[^x]: Two.\n\n[^a b]: Three.")

    assert _check(content) == [
        f"{LORA}:10: footnote [^a b]: write its name without spaces and marks",
        f"{LORA}:13: footnote [^x] is there twice, and the last is shown; rename one",
        f"{LORA}:15: footnote [^a b]: write its name without spaces and marks",
    ]


def test_footnotes_in_quotes_notes_tables_and_headings_are_well(content: Path, write: Write) -> None:
    text = "/// note\nA.[^1]\n\n[^1]: One.\n///\n\n| a[^2] |\n|---|\n| b |\n\n## Head[^3]\n\n`[^4]` \\[^5]\n\n"
    _body(write, f"{text}[^2]: Two,\n\n    and more.\n\n[^3]: Three.[^1]")

    assert _check(content) == []


def test_an_ambiguous_name_says_which_it_could_mean(content: Path, write: Write) -> None:
    write("articles/decide/lora.md", ARTICLE.replace("Little.", "[[lora]]"))

    assert "articles/decide/lora.md:10: [[lora]] could mean train/lora or decide/lora; write the area too" in _check(
        content
    )


def test_former_names_work_with_a_warning(content: Path, write: Write) -> None:
    write("articles/train/rank.md", ARTICLE.replace("owner:", "aliases: [width]\nowner:"))
    write(
        LORA,
        ARTICLE.replace("owner:", "related: [train/width]\nowner:").replace(
            "Little.", "[[width]], [x](width.md#answer), [[rank]], [y](rank.md)."
        ),
    )

    assert _check(content) == []
    assert _check(content, "warning") == [
        f"{LORA}:4: 'train/width' is a former name; the article is now train/rank",
        f"{LORA}:11: link '[[width]]' uses a former name; the article is now train/rank",
        f"{LORA}:11: link 'width.md#answer' uses a former name; the article is now train/rank",
    ]


def test_an_article_to_which_nothing_leads_is_an_orphan(content: Path, write: Write) -> None:
    write("articles/train/alone.md", ARTICLE)

    assert _check(content) == [
        "articles/train/alone.md:1: no other article, `related` or checklist leads here; link to it from one"
    ]


def test_an_expired_source_is_named(content: Path, write: Write) -> None:
    source = "sources:\n  - {title: Prices, author: Vendor, accessed: 2026-01-01, expires: 2026-11-23}\n"
    write(LORA, ARTICLE.replace("owner:", f"{source}owner:"))

    assert _check(content) == [
        f"{LORA}:5: source 'Prices' expired on 2026-11-23; read it again, or remove what it supports"
    ]


def test_unknown_claims_are_named_where_a_list_of_claims_exists(content: Path, write: Write) -> None:
    write(LORA, ARTICLE.replace("owner:", "claims: [C01, C99]\nowner:"))
    write("checklists/go.yaml", CHECKLIST.replace("settles:", "claims: [C98]\n    settles:"))
    assert _check(content) == []

    write("claims.yaml", "claims:\n  - {id: C01, text: A claim.}\n")

    assert _check(content) == [
        f"{LORA}:4: claim C99 is not in claims.yaml; correct it or add it",
        "checklists/go.yaml:11: claim C98 is not in claims.yaml; correct it or add it",
    ]


def test_anchors_in_front_matter_checklists_and_glossary_are_checked(content: Path, write: Write) -> None:
    write("articles/train/rank.md", ARTICLE.replace("owner:", "related: [train/lora#no]\nowner:"))
    write(LORA, ARTICLE.replace("owner:", "related: [train/rank#answer]\nowner:"))
    write("checklists/go.yaml", CHECKLIST.replace("train/lora", "train/lora#away"))
    write(
        "glossary.yaml",
        "terms:\n  - slug: lora\n    term: LoRA\n    definition: Thin.\n    article: train/lora#off\n"
        "  - {slug: rank, term: lora, definition: Wide., article: train/none}\n",
    )

    fix = "correct or remove the part after #"
    assert _check(content) == [
        f"articles/train/rank.md:4: 'train/lora#no' names a heading that {LORA} lacks; {fix}",
        f"checklists/go.yaml:9: 'train/lora#away' names a heading that {LORA} lacks; {fix}",
        f"glossary.yaml:5: 'train/lora#off' names a heading that {LORA} lacks; {fix}",
        "glossary.yaml:6: article 'train/none' does not exist; correct it or write it",
        "glossary.yaml:6: term 'lora' is also in the entry 'lora'; keep one",
    ]


def test_problems_of_other_files_are_part_of_the_check(content: Path, write: Write) -> None:
    write("glossary.yaml", "- no\n")
    write("claims.yaml", "claims:\n  - {id: X, text: A claim.}\n  - {id: C01, text: Another.}\n")

    assert _check(content) == [
        "claims.yaml:2: id: String should match pattern '^C[0-9]{2}$' (got 'X')",
        "glossary.yaml:1: expected one field, 'terms:', with a list of entries",
    ]
    assert list(load_library(content).claims) == ["C01"]


def test_an_area_that_is_a_page_of_the_site_is_named(content: Path, write: Write) -> None:
    entry = "  - slug: review\n    title: Review\n    summary: Nothing.\n"
    write("articles/areas.yaml", (content / "articles/areas.yaml").read_text() + entry)
    write("articles/tags/lost.md", ARTICLE.replace("owner:", "aliases: [glossary/found]\nowner:"))

    found = [line for line in _check(content) if "cannot be reached" in line]

    line = (content / "articles/areas.yaml").read_text().count("\n", 0, -len(entry)) + 1
    assert found == [
        f"articles/{path}: area {area!r} cannot be reached: /library/{area}/ is a page of the site; "
        "give the folder another name"
        for path, area in ((f"areas.yaml:{line}", "review"), ("tags/lost.md:1", "tags"), ("tags/lost.md:4", "glossary"))
    ]


def test_a_review_to_come_is_named(content: Path, write: Write) -> None:
    write(LORA, ARTICLE.replace("reviewed: 2026-11-20", "reviewed: 2026-11-26"))

    assert _check(content) == [f"{LORA}:5: reviewed on 2026-11-26, which is to come; write the day of the last review"]


def test_an_id_that_two_entries_have_is_named(content: Path, write: Write) -> None:
    write(
        "claims.yaml", "claims:\n  - {id: C01, text: One.}\n  - {id: C02, text: Two.}\n  - {id: 'C01', text: Again.}\n"
    )
    models = (content / "models.yaml").read_text()
    write("models.yaml", models + models.replace("id: small", "id: small-b") + models)

    assert _check(content) == [
        "claims.yaml:4: id 'C01' is listed twice; keep one entry",
        "models.yaml:15: id 'small' is listed twice; keep one entry",
    ]
