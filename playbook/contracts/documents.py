"""Documents that the retrieving arms search: one JSON object a line, `{"id", "title", "text"}`.

The site writes such files from what people bring, the trainer reads them: one reader, one set of messages.
"""

import json
from collections.abc import Iterable

from pydantic import Field, ValidationError

from playbook.contracts.model import Frozen
from playbook.contracts.prompting import MAX_DOCUMENTS_BYTES

#: Documents beyond this are refused: each is a row of its own in every list of sources.
MAX_DOCUMENTS = 100_000
_SHOWN_PROBLEMS = 5


class Document(Frozen):
    id: str = Field(min_length=1, max_length=200)
    title: str = Field(default="", max_length=1000)
    text: str = Field(max_length=MAX_DOCUMENTS_BYTES)


class BadDocuments(ValueError):
    """The file cannot be used; the message names the first lines that are wrong, and the fix."""


def read_documents(lines: Iterable[bytes]) -> tuple[Document, ...]:
    """Parse JSONL lines into documents. Blank lines are skipped.

    Raises BadDocuments: no document at all, a line that is none, one without text, an id twice, too many.
    """
    documents: list[Document] = []
    problems: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(documents) == MAX_DOCUMENTS:
            raise BadDocuments(f"more than {MAX_DOCUMENTS:,} documents; join short ones, or bring fewer")
        found = _read(line)
        if isinstance(found, str):
            problems.append(f"line {number}: {found}")
        elif found.id in seen:
            problems.append(f"line {number}: the id {found.id!r} was used before; give each document its own")
        else:
            seen.add(found.id)
            documents.append(found)
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        raise BadDocuments("; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else ""))
    if not documents:
        raise BadDocuments("the file holds no document; write one JSON object with id, title and text a line")
    return tuple(documents)


def _read(line: bytes) -> Document | str:
    """Return the document of a line, or what is wrong with it."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({str(error)[:100]}); write one object with id, title and text"
    try:
        document = Document.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}; write id, title and text as strings"
    if not document.text.strip():
        return f"document {document.id!r} has no text; write some, or leave the document out"
    return document
