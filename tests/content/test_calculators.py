"""Every calculator in an article opens with inputs that can be calculated."""

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from playbook.library.content import load_library
from playbook.library.embeds import Embed, parse_embed
from playbook.web.wiki.calculators import CALCULATORS

LIBRARY = load_library(Path(__file__).parent.parent.parent / "content")
EMBEDS = {
    f"{article.key}, line {block.line}": parse_embed("calculator", block.argument, LIBRARY.embeddable())
    for article in LIBRARY.articles.values()
    for block in article.outline.blocks
    if block.kind == "calculator"
}


@pytest.mark.parametrize("embed", EMBEDS.values(), ids=EMBEDS.keys())
def test_a_calculator_in_an_article_has_a_result(embed: Embed) -> None:
    given = dict(parse_qsl(embed.query))
    form = CALCULATORS[embed.ref].form(given)

    assert form.errors == {}
    assert given.keys() <= form.fields.keys()
