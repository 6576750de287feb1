"""Template filters: how numbers, times and states read on every page. A builtin of all templates."""

import re
from datetime import timedelta
from itertools import groupby

from django import template
from django.template.defaultfilters import linebreaksbr
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import normalize_newlines

register = template.Library()

#: The tone of each state or outcome word; `playbook.css` gives `.badge.<tone>` its colour.
TONES = {
    "queued": "neutral",
    "validating_files": "info",
    "running": "info",
    "cancelling": "warn",
    "succeeded": "good",
    "failed": "bad",
    "cancelled": "neutral",
    "draft": "neutral",
    "proposed": "info",
    "accepted": "good",
    "rejected": "bad",
    "deprecated": "neutral",
    "superseded": "neutral",
    "met": "good",
    "missed": "bad",
    "inconclusive": "warn",
    "adopted": "good",
    "more_data": "warn",
    "fresh": "good",
    "due_soon": "warn",
    "overdue": "bad",
}


#: Words of identifiers that no sentence writes in small letters.
ABBREVIATIONS = {"json": "JSON", "utf8": "UTF-8"}


@register.filter
def tone(word: str) -> str:
    """Return the tone (good, bad, warn, info, neutral) of a state word."""
    return TONES.get(str(word), "neutral")


@register.filter
def words(identifier: str) -> str:
    """`validating_files` → `validating files`, `not_json` → `not JSON`."""
    return " ".join(ABBREVIATIONS.get(word, word) for word in str(identifier).split("_"))


@register.filter
def paragraphs(text: str) -> SafeString:
    """Return plain text as HTML: empty lines part paragraphs, lines that begin with `- ` become a list."""
    parts = []
    for block in re.split(r"\n\s*\n", normalize_newlines(text).strip()):
        for is_list, lines in groupby(block.split("\n"), key=lambda line: line.startswith("- ")):
            if is_list:
                items = format_html_join("", "<li>{}</li>", ((line.removeprefix("- "),) for line in lines))
                parts.append(format_html('<ul class="bullets">{}</ul>', items))
            else:
                parts.append(format_html("<p>{}</p>", linebreaksbr("\n".join(lines))))
    return format_html_join("\n", "{}", ((part,) for part in parts))


@register.filter
def percent(share: float | None) -> str:
    """0.925 → `92.5 %`, 1 → `100 %`; None → `–`."""
    if share is None:
        return "–"
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


@register.filter
def duration(value: float | timedelta | None) -> str:
    """Seconds → `45 s`, `2 min 05 s`, `3 h 10 min`, from two days on `2 d 03 h`; None → `–`."""
    if value is None:
        return "–"
    seconds = round(value.total_seconds() if isinstance(value, timedelta) else value)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600:02d} h"


@register.filter
def bytesize(size: int | None) -> str:
    """19660800 → `19.7 MB` (powers of ten, as file managers count); None → `–`."""
    if size is None:
        return "–"
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("the loop returns at GB")


@register.filter
def of(unit: str, count: int) -> str:
    """The unit of so many things, which comes as a plural that ends in s: `rows`, of one `row`."""
    return unit.removesuffix("s") if count == 1 else unit


@register.filter
def short_digest(sha256: str) -> str:
    """The first 12 characters, enough to tell two files apart by eye."""
    return str(sha256)[:12]
