"""A content folder of any size: articles with front matter, headings, links in every form, formulas and code.

Written to disk, because reading files is part of what is measured. The same for the same number of articles.
"""

import random
from pathlib import Path

AREAS = (
    "start-here",
    "decide",
    "data",
    "train",
    "evaluate",
    "operate",
    "reference",
    "case-notes",
    "methods",
    "questions",
)
_TEXT = """
model prompt answer row adapter rank token batch split test train measure result loss weight format label criterion
decision review owner retrieval context system message example schema field value step memory cost small large often
rarely before after within between because although unless every several
"""
_WORDS = _TEXT.split()
_SENTENCES = 14
_CODE = "```python\ndef score(rows: list[str]) -> float:\n    return sum(map(len, rows)) / max(len(rows), 1)\n```"


def write_content(folder: Path, articles: int) -> None:
    """Write `articles` sound articles and what they refer to below `folder`."""
    chance = random.Random(articles)  # noqa: S311 - a corpus, not a secret
    files = {
        "articles/areas.yaml": "areas:\n"
        + "".join(f"  - {{slug: {area}, title: {area.title()}, summary: About {area}.}}\n" for area in AREAS),
        "claims.yaml": "claims:\n  - {id: C01, text: A claim.}\n",
        "glossary.yaml": "terms:\n  - {slug: token, term: token, definition: A piece of text.}\n",
        "models.yaml": "[]\n",
    }
    for number in range(articles):
        files[f"articles/{_key(number)}.md"] = _article(chance, number, articles)
    for area in AREAS:
        (folder / "articles" / area).mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).write_text(text)


def _key(number: int) -> str:
    return f"{AREAS[number % len(AREAS)]}/article-{number}"


def _article(chance: random.Random, number: int, articles: int) -> str:
    others = [chance.randrange(articles) for _ in range(5)] + [(number + 1) % articles]
    area, other = _key(others[0]).split("/")
    return f"""---
title: Article {number}
summary: {_sentence(chance)}
owner: Playbook editors
reviewed: 2026-11-20
claims: [C01]
sources:
  - title: A study of {number}
    author: Someone et al.
    date: 2024-05
    url: https://example.org/{number}
    accessed: 2026-11-20
related: [{_key(others[1])}]
tags: [generated]
---

{_text(chance)} See [one](../{area}/{other}.md#why-it-matters) and [[article-{others[2]}]].

## Why it matters

{_text(chance)} It follows [[{_key(others[3])}#what-it-costs|the costs]] and `code` of $n = \\frac{{a}}{{b}}$.

| measure | value |
|---|--:|
| exact match | {chance.random():.2f} |

## What it costs

{_text(chance)} Read [the next](../{_key(others[5])}.md).

{_CODE}

/// note | Mind this
{_text(chance)}
///

## What to do next

{_text(chance)} Then [[article-{others[4]}]].
"""


def _text(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(_SENTENCES // 4 + chance.randrange(_SENTENCES // 2)))


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randrange(6, 20))).capitalize() + "."
