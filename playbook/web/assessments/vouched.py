"""What the audit log says of answers: each entry about one holds what the answer said, so `verify_audit` compares them.

Answers and entries of an assessment are appended in one order, under the lock of its row, so the n-th entry is about
the n-th answer.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from django.db.models import TextField
from django.db.models.functions import Cast
from pydantic import ValidationError

from playbook.web.assessments.evidence import digest_of, read_evidence
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.common.models import AuditEntry
from playbook.web.common.verify import also_verifies

CHUNK = 2000
_ACTIONS = ("answered", "added evidence", "removed evidence")
#: An entry is written in the transaction of its answer, a moment later.
SAME_MOMENT = timedelta(minutes=1)


class _Said(NamedTuple):
    """An answer as it is kept; its moment and its JSON as text, which most answers need not have read."""

    assessment: int
    pk: int
    question: str
    revision: int
    value: str
    comment: str
    evidence: str
    measurement: str | None
    author: int
    at: str


class _Recorded(NamedTuple):
    """An entry about an answer; `detail` is the canonical text that its hash covers."""

    assessment: int
    number: int
    author: int | None
    detail: str
    at: str


@also_verifies
def answers_are_as_recorded() -> Iterator[str]:
    """Yield every answer that is not what its audit entry says, that has none, or that is gone."""
    entries = groupby(_entries(), key=lambda row: row.assessment)
    answers = groupby(_answers(), key=lambda row: row.assessment)
    recorded, said = next(entries, None), next(answers, None)
    while recorded is not None or said is not None:
        first = min(group[0] for group in (recorded, said) if group is not None)
        here = list(recorded[1]) if recorded is not None and recorded[0] == first else []
        kept = list(said[1]) if said is not None and said[0] == first else []
        yield from _compared(first, here, kept)
        recorded = next(entries, None) if here else recorded
        said = next(answers, None) if kept else said


def _compared(assessment: int, entries: list[_Recorded], answers: list[_Said]) -> Iterator[str]:
    entries.reverse()  # read newest first, in the order of their index
    if len(entries) == len(answers) and all(map(_agrees, entries, answers, _earlier(answers))):
        return
    left = [(entry, _detail(entry)) for entry in entries]
    for answer in answers:
        named = f"Answer {answer.pk} to {answer.question!r} in assessment {assessment}, revision {answer.revision},"
        place = next((at for at, (_, said) in enumerate(left) if said.get("question") == answer.question), None)
        if place is None:
            yield f"{named} has no audit entry: nobody gave it."
            continue
        entry, said = left.pop(place)
        if wrong := list(_differences(answer, entry, said)):
            yield f"{named} was altered: audit entry {entry.number} recorded another {' and '.join(wrong)}."
    for entry, said in left:
        yield (
            f"The answer to {said.get('question')!r} in assessment {assessment} that audit entry {entry.number} "
            "recorded is gone."
        )


def _agrees(entry: _Recorded, answer: _Said, earlier: _Said | None) -> bool:
    """Return whether an answer is what an entry recorded. Most are by their text, which costs a tenth of reading it."""
    plain = answer.evidence == "[]" and answer.measurement is None
    if plain and answer.author == entry.author and answer.at[:16] == entry.at[:16]:
        before = f'"before":{_text(earlier.value)},"before_comment":{_text(earlier.comment)},' if earlier else ""
        written = f'"comment":{_text(answer.comment)},"question":{_text(answer.question)}'
        if entry.detail == f'{{"after":{_text(answer.value)},{before}{written}}}':
            return True
    said = _detail(entry)
    return said.get("question") == answer.question and not any(_differences(answer, entry, said))


def _differences(answer: _Said, entry: _Recorded, said: dict[str, Any]) -> Iterator[str]:
    """Yield what of an answer is not what was recorded. An entry of earlier days may not have recorded all."""
    if answer.value != said.get("after"):
        yield "value"
    if answer.comment != said.get("comment", answer.comment):
        yield "comment"
    if _digests(answer.evidence) != said.get("evidence", []):
        yield "evidence"
    if (json.loads(answer.measurement) if answer.measurement else None) != said.get("measurement"):
        yield "measurement"
    if answer.author != entry.author:
        yield "author"
    if not _is_same_moment(answer.at, entry.at):
        yield "time"


def _earlier(answers: list[_Said]) -> Iterator[_Said | None]:
    """Yield for each answer the one before it to the same question."""
    newest: dict[str, _Said] = {}
    for answer in answers:
        yield newest.get(answer.question)
        newest[answer.question] = answer


def _text(value: str) -> str:
    """Return a text in canonical JSON; one that no JSON has for what is no text, which SQLite lets into a column."""
    return encode_basestring(value) if isinstance(value, str) else "?"


def _digests(evidence: str) -> list[str] | None:
    try:
        return [digest_of(piece) for piece in read_evidence(json.loads(evidence))]
    except ValidationError:
        return None


def _detail(entry: _Recorded) -> dict[str, Any]:
    try:
        found = json.loads(entry.detail)
    except ValueError:
        return {}  # altered: the chain names the entry
    return found if isinstance(found, dict) else {}


def _is_same_moment(one: str, other: str) -> bool:
    try:
        return abs(datetime.fromisoformat(one) - datetime.fromisoformat(other)) <= SAME_MOMENT
    except (TypeError, ValueError):
        return False


def _entries() -> Iterator[_Recorded]:
    rows = AuditEntry.objects.filter(subject=Assessment._meta.label_lower)
    rows = rows.filter(action__in=_ACTIONS).order_by("subject_id", "-id")
    texts = (Cast("detail", TextField()), Cast("at", TextField()))
    return map(_Recorded._make, rows.values_list("subject_id", "number", "actor", *texts).iterator(chunk_size=CHUNK))


def _answers() -> Iterator[_Said]:
    rows = Answer.objects.order_by("assessment_id", "id").values_list(
        "assessment_id",
        "id",
        "question_id",
        "revision",
        "value",
        "comment",
        Cast("evidence", TextField()),
        Cast("measurement", TextField()),
        "author_id",
        Cast("answered_at", TextField()),
    )
    return map(_Said._make, rows.iterator(chunk_size=CHUNK))
