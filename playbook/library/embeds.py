"""Live parts of an article: `/// checklist | should-we-fine-tune` and its kin name something that the site shows.

The library checks that what is named exists and leaves the place; the site fills it in. Knows nothing of rendering.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

EmbedKind = Literal["checklist", "job", "evidence", "calculator", "measured"]
EMBED_KINDS: tuple[EmbedKind, ...] = get_args(EmbedKind)
#: The calculators of the site, by the name in their address.
CALCULATORS = ("lora-memory", "break-even", "test-rows")
#: `lora-memory` or `lora-memory?rank=16&batch=8`: the name, and inputs to begin with.
_ARGUMENT = re.compile(r"(?P<ref>[A-Za-z0-9][\w-]{0,99})(?:\?(?P<query>[\w=&.,%+-]{1,500}))?", re.ASCII)
_WHAT = {
    "checklist": "checklist",
    "job": "recipe",
    "evidence": "claim",
    "calculator": "calculator",
    "measured": "shipped report",
}


@dataclass(frozen=True)
class Embed:
    """A place in an article for a live part. `ref`: the slug of a checklist, recipe or report, a claim id, or the name
    of a calculator. `query`: inputs to begin with, as in an address ("rank=16&batch=8"); empty for none."""

    kind: EmbedKind
    ref: str
    query: str = ""


def parse_embed(kind: str, argument: str, known: Mapping[EmbedKind, Collection[str]]) -> Embed:
    """Return the embed that a block names. Raises ValueError, saying what is known, when there is no such thing.

    >>> parse_embed("calculator", "test-rows?rows=200", {"calculator": ["test-rows"]})
    Embed(kind='calculator', ref='test-rows', query='rows=200')
    """
    name = next(known_kind for known_kind in EMBED_KINDS if known_kind == kind)
    found = _ARGUMENT.fullmatch(argument.strip())
    if not found:
        raise ValueError(f"/// {kind} | {argument[:80]!r}: name one {_WHAT[kind]} after the bar")
    if found["ref"] not in known[name]:
        choice = ", ".join(list(known[name])[:12]) or "none"
        raise ValueError(f"/// {kind} names {found['ref']!r}, which is no {_WHAT[kind]}; there are: {choice}")
    return Embed(name, found["ref"], found["query"] or "")
