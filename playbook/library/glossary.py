"""Marks the first use of each glossary term in the HTML of an article, with its definition beside it.

Works on sanitised HTML alone, where `<` of the text is written `&lt;` and attributes stand in double quotes. The
markup, styled by the site (`.term-definition` hidden until `.term` is hovered or holds the focus), needs no script:

    <span class="term"><span class="term-word" tabindex="0" aria-describedby="term:lora">LoRA</span>
    <span class="term-definition" role="tooltip" id="term:lora">Low-rank adaptation. …</span></span>
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from playbook.library.terms import Term

_TAG = re.compile(r'<(?P<close>/?)(?P<name>\w+)(?:[^">]|"[^"]*")*>')
#: No term is marked inside these: it would change what is clicked, copied or listed.
_SKIPPED = frozenset(
    {"a", "abbr", "button", "code", "h1", "h2", "h3", "h4", "h5", "h6", "kbd", "label", "math", "pre", "sup"}
)


@dataclass(frozen=True)
class _Names:
    """All names of a glossary as one expression; `slugs` has them in small letters unless they hold capitals."""

    pattern: re.Pattern[str]
    slugs: Mapping[str, str]


def mark_terms(clean: str, terms: tuple[Term, ...]) -> str:
    """Return sanitised HTML with the first use of each of `terms` marked."""
    if not terms:
        return clean
    names = _names(tuple((term.slug, term.names) for term in terms))
    waiting = {term.slug: term for term in terms}
    written: list[str] = []
    place = depth = 0
    for tag in _TAG.finditer(clean):
        text = clean[place : tag.start()]
        written += (_mark(text, names, waiting) if waiting and not depth and not text.isspace() else text, tag[0])
        place = tag.end()
        if tag["name"] in _SKIPPED:
            depth += -1 if tag["close"] else 1
    return "".join((*written, clean[place:]))


def _mark(text: str, names: _Names, waiting: dict[str, Term]) -> str:
    def marked(found: re.Match[str]) -> str:
        word = " ".join(found[0].split())
        slug = names.slugs.get(word) or names.slugs.get(word.lower())
        term = waiting.pop(slug, None) if slug else None
        return found[0] if term is None else _markup(found[0], term)

    return names.pattern.sub(marked, text)


def _markup(word: str, term: Term) -> str:
    name, definition = f"term:{term.slug}", html.escape(term.definition)
    return (
        f'<span class="term"><span class="term-word" tabindex="0" aria-describedby="{name}">{word}</span>'
        f'<span class="term-definition" role="tooltip" id="{name}">{definition}</span></span>'
    )


@lru_cache(maxsize=8)
def _names(named: tuple[tuple[str, tuple[str, ...]], ...]) -> _Names:
    """Return the expression for `named`, slugs with their names. Longer names come first, so that "base model" is
    not found as "model"."""
    slugs = {
        html.escape(name, quote=False): slug for slug, names in named for name in names if name == name.strip() and name
    }
    written = sorted(slugs, key=lambda name: (-len(name), name))
    return _Names(
        pattern=re.compile(
            rf"(?<![\w-])(?=[{_first_letters(written)}])(?:{'|'.join(map(_expression, written))})(?![\w-])"
        ),
        slugs=slugs,
    )


def _expression(name: str) -> str:
    """A name in small letters is also found with a capital, as at the beginning of a sentence."""
    words = r"\s+".join(re.escape(word) for word in name.split())
    if name != name.lower() or not name[0].isalpha():
        return words
    return f"[{name[0]}{name[0].upper()}]{words[len(re.escape(name[0])) :]}"


def _first_letters(names: Iterable[str]) -> str:
    return "".join(sorted({re.escape(letter) for name in names for letter in (name[0], name[0].upper())}))
