"""Markdown → plain text and sections, and a typed string → words."""

from pathlib import Path

import pytest

from playbook.library.content import load_library
from playbook.library.markdown import render
from playbook.library.search_documents import changed_documents
from playbook.library.search_text import Section, plain_text, sections
from playbook.library.search_words import MAX_QUERY_CHARACTERS, MAX_WORDS, Word, joined_compounds, read_words

CONTENT = Path(__file__).resolve().parents[2] / "content"

MARKDOWN = """Begin with a [prompt](../decide/x.md) and an ![image of a curve](curve.png).

## What **LoRA** changes

| rank | loss |
|:-----|-----:|
| `8`  | 0.4[^1] |

```python
## no heading
rank = 8
```

### Closing marks ##

/// note | Read this
- [ ] see [[train/lora|the article]] and [[glossary]]
///

## What LoRA changes
> A <b>quoted</b> line &amp; snake_case, _emphasis_.
"""


def test_sections_have_the_words_of_the_article() -> None:
    assert sections(MARKDOWN) == (
        Section("", "Begin with a prompt and an image of a curve."),
        Section("What LoRA changes", "rank · loss. 8 · 0.4. ## no heading rank = 8"),
        Section("Closing marks", "Read this see the article and glossary"),
        Section("What LoRA changes", "A quoted line & snake_case, emphasis."),
    )


def test_every_heading_of_the_real_articles_has_the_anchor_that_its_page_has() -> None:
    library = load_library(CONTENT)
    changed, _ = changed_documents(library, {})
    found = {
        document.key: document.title
        for documents in changed.values()
        for document in documents
        if document.kind == "heading"
    }
    assert found == {
        f"{article.key}#{heading.id}": heading.title
        for article in library.articles.values()
        for heading in render(article, lambda path: f"/{path}", library).headings
    }


@pytest.mark.parametrize(
    "piece",
    ["*", "[", "[[", "<a", "_", "`", ">", "#", "![", " ", "[^", "- ", "/", "a_", "\n", " \n", "|", "# x #y", "1. "],
)
def test_half_a_megabyte_of_one_mark_is_read_in_linear_time(piece: str) -> None:
    """Quadratic time would be hours here: the suite's own time-out is the limit."""
    assert sections(piece * (500_000 // len(piece)))


def test_plain_text_keeps_the_words_of_a_table_apart() -> None:
    assert plain_text("a|b\n-|-\nc|d") == "a b c d"


def test_words_are_cut_and_folded_as_the_index_cuts_them() -> None:
    assert read_words("Naïve Trainings, (what").words == (
        Word("naive", "naiv", whole=True, stop=False),
        Word("trainings", "train", whole=True, stop=False),
        Word("what", "what", whole=False, stop=True),
    )


def test_a_space_at_the_end_ends_the_last_word() -> None:
    assert [word.whole for word in read_words("lora rank ").words] == [True, True]


def test_stop_words_are_asked_for_when_there_is_nothing_else() -> None:
    assert [word.text for word in read_words("what is it ").asked] == ["what", "is", "it"]
    assert [word.text for word in read_words("what is lora ").asked] == ["lora"]


def test_a_query_is_bounded() -> None:
    words = read_words("ab " * 20_000)
    assert len(words.text) <= MAX_QUERY_CHARACTERS
    assert len(words.words) == MAX_WORDS


def test_compounds_are_also_written_as_one_word() -> None:
    assert joined_compounds("Fine-tuning, a pre-trained model - twice.") == "Finetuning pretrained"


def test_a_wikilink_without_a_label_reads_as_words() -> None:
    assert (
        plain_text("See [[train/what-is-lora#cost]], [[go|the *list*]] and [[a]].")
        == "See what is lora, the list and a."
    )


def test_the_address_of_a_live_part_is_not_among_the_words() -> None:
    assert (
        plain_text("Try it.\n\n/// calculator | lora-memory?targets=q_proj\n///\n\nThen go on.")
        == "Try it. Then go on."
    )
    assert plain_text("/// note | Mind this\nRank is cheap.\n///") == "Mind this Rank is cheap."


def test_plain_text_reads_a_formula_as_a_person_does() -> None:
    assert plain_text(r"A matrix of $n \times n$ holds $2nr$, not $n^{2}$.") == "A matrix of n × n holds 2nr, not n^2."
    assert plain_text("Then\n\n$$ W' = W + \\frac{\\alpha}{r} B A $$\n\nis added.") == "Then is added."
    assert plain_text("It costs $5 and $10.") == "It costs $5 and $10."
