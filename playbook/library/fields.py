"""Field types that several kinds of content file share."""

import datetime
import re
import unicodedata
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

from playbook.contracts.model import Frozen

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
#: "<area>/<slug>", optionally with a heading: "decide/what-is-fine-tuning#cost".
ArticleRef = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+(#[\w-]+)?$")]
#: A former name of an article: "<area>/<slug>", or "<slug>" where the area is the same.
FormerName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+/)?[a-z0-9]+(-[a-z0-9]+)*$", max_length=200)]
ClaimId = Annotated[str, StringConstraints(pattern=r"^C[0-9]{2}$")]
#: All but tab and line feed.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _readable(value: str) -> str:
    """Refuse what no page and no feed can show: control characters, which XML forbids, and a text without a mark."""
    if found := _CONTROL.search(value):
        raise ValueError(f"holds the character U+{ord(found[0]):04X}, which cannot be shown; remove it")
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in value):
        raise ValueError("holds nothing that can be seen; write some words")
    return value


def _on_one_line(value: str) -> str:
    return " ".join(value.split())


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000), AfterValidator(_readable)
]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300),
    AfterValidator(_on_one_line),
    AfterValidator(_readable),
]
#: A day that somebody may have meant; sums of it with a span of days stay dates.
Day = Annotated[datetime.date, Field(ge=datetime.date(1990, 1, 1), le=datetime.date(2199, 12, 31))]


def _days(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    # A bare number would be taken for seconds: 90 for no day at all.
    if not isinstance(value, str) or not (found := re.fullmatch(r"([1-9][0-9]{0,3})d", value)):
        raise ValueError("write a number of days, for example 90d")
    return timedelta(days=int(found[1]))


#: A span of whole days, written "90d" in files and in JSON.
Days = Annotated[
    timedelta,
    BeforeValidator(_days),
    PlainSerializer(lambda value: f"{value.days}d", return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,3}d$", "examples": ["90d"]}),
]


def _known_url(value: object) -> object:
    if isinstance(value, str) and not re.match(r"https?://[^\s]+$", value):
        raise ValueError("write the whole address, beginning with https:// or http://")
    return value


Url = Annotated[str, BeforeValidator(_known_url), StringConstraints(max_length=1_000)]


class Source(Frozen):
    """Where a figure or claim was read. `date` is as exact as the source states it ("2021", "2024-05" or a day); None
    for pages that state none, where `accessed` says what was read."""

    title: Line
    author: Line
    date: Annotated[str, BeforeValidator(str), Field(pattern=r"^\d{4}(-\d{2}){0,2}$")] | None = None
    accessed: Day
    url: Url | None = None
    expires: Day | None = None
