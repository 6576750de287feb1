"""Terms in an article: the first use of each is marked, where marking does no harm."""

import pytest

from playbook.library.glossary import mark_terms
from playbook.library.terms import Term

LORA = Term(slug="lora", term="LoRA", definition='Thin <matrices> & "more".')
RANK = Term(slug="rank", term="rank", aliases=("ranks",), definition="A width.")
BASE = Term(slug="base-model", term="base model", definition="The start.")
MODEL = Term(slug="model", term="model", definition="A model.")


def _marked(word: str, term: Term, definition: str) -> str:
    return (
        f'<span class="term"><span class="term-word" tabindex="0" aria-describedby="term:{term.slug}">{word}</span>'
        f'<span class="term-definition" role="tooltip" id="term:{term.slug}">{definition}</span></span>'
    )


def test_the_first_use_is_marked_with_its_definition() -> None:
    assert mark_terms("<p>LoRA, then LoRA again.</p>", (LORA,)) == (
        f"<p>{_marked('LoRA', LORA, 'Thin &lt;matrices&gt; &amp; &quot;more&quot;.')}, then LoRA again.</p>"
    )


@pytest.mark.parametrize(("text", "word"), [("Rank counts.", "Rank"), ("Two ranks.", "ranks"), ("a rank", "rank")])
def test_small_letters_match_a_capital_and_aliases(text: str, word: str) -> None:
    assert mark_terms(f"<p>{text}</p>", (RANK,)) == f"<p>{text.replace(word, _marked(word, RANK, 'A width.'))}</p>"


@pytest.mark.parametrize("text", ["lora", "LORA", "QLoRA", "LoRAs", "LoRA-like", "pre-LoRA", "x_LoRA"])
def test_other_words_are_left_alone(text: str) -> None:
    assert mark_terms(f"<p>{text}</p>", (LORA,)) == f"<p>{text}</p>"


@pytest.mark.parametrize(
    "html",
    [
        '<h2 id="lora">LoRA</h2>',
        '<a href="/x">on <em>LoRA</em></a>',
        "<code>LoRA</code>",
        '<pre tabindex="0"><span></span><code>LoRA</code></pre>',
        '<img alt="LoRA > rank" src="/x.png">',
        '<abbr title="LoRA">L</abbr>',
        "<math><mtext>LoRA</mtext></math>",
    ],
)
def test_headings_links_code_and_attributes_are_left_alone(html: str) -> None:
    assert mark_terms(html, (LORA,)) == html
    assert mark_terms(f"{html}<p>LoRA</p>", (LORA,)).endswith("</span></span></p>")


def test_the_longest_name_wins_and_spans_lines() -> None:
    assert (
        mark_terms("<p>a base\nmodel</p>", (MODEL, BASE))
        == "<p>a " + _marked("base\nmodel", BASE, "The start.") + "</p>"
    )


def test_without_terms_nothing_changes() -> None:
    assert mark_terms("<p>LoRA</p>", ()) == "<p>LoRA</p>"
