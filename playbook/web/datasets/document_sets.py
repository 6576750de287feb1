"""Document sets: files that people bring become one JSONL file of documents; pages read them back."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from django.db import transaction

from playbook.contracts.documents import MAX_DOCUMENTS, BadDocuments, Document, read_documents
from playbook.contracts.prompting import MAX_DOCUMENTS_BYTES
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import record
from playbook.web.datasets.models import DocumentSet
from playbook.web.usecases.models import UseCase

JSON_LINES = (".jsonl", ".ndjson")
PLAIN_TEXT = (".txt", ".md")
MAX_FILES = 2000


@dataclass(frozen=True)
class BroughtFile:
    """A file that somebody brought, by name."""

    name: str
    content: bytes


def documents_in(files: Sequence[BroughtFile]) -> tuple[Document, ...]:
    """Return the documents in the files: each line of a JSONL file, each text file as a whole.

    Raises BadDocuments naming the file and, of JSONL, the lines that are wrong.
    """
    require_size(sum(len(file.content) for file in files))
    found: dict[str, Document] = {}
    brought_in: dict[str, str] = {}
    for file in files:
        for document in _documents_of(file):
            if document.id in found:
                raise BadDocuments(_brought_twice(file.name, brought_in[document.id], document.id))
            found[document.id], brought_in[document.id] = document, file.name
        if len(found) > MAX_DOCUMENTS:
            raise BadDocuments(f"more than {MAX_DOCUMENTS:,} documents; join short ones, or bring fewer")
    if not found:
        raise BadDocuments("no file was brought; choose at least one")
    return tuple(found.values())


def _documents_of(file: BroughtFile) -> tuple[Document, ...]:
    suffix = PurePath(file.name).suffix.lower()
    if suffix in PLAIN_TEXT:
        return (_of_text(file),)
    if suffix not in JSON_LINES:
        raise BadDocuments(f"{file.name}: convert it to one of {', '.join((*JSON_LINES, *PLAIN_TEXT))}")
    try:
        return read_documents(file.content.splitlines())
    except BadDocuments as error:
        raise BadDocuments(f"{file.name}: {error}") from error


def _brought_twice(name: str, first: str, found: str) -> str:
    if name == first:
        return f"{name}: two files have this name, and a document is known by the name of its file; rename one of them"
    return f"{name}: the document {found!r} is in {first} as well; give one of them another id"


def require_size(size_bytes: int) -> None:
    """Raise BadDocuments when so many bytes are over the limit of a document set."""
    if size_bytes > MAX_DOCUMENTS_BYTES:
        raise BadDocuments(
            f"the documents have {size_bytes / 1e6:.1f} MB together, over {MAX_DOCUMENTS_BYTES / 1e6:.0f} MB. "
            "Leave out what no question is about"
        )


def _of_text(file: BroughtFile) -> Document:
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDocuments(f"{file.name}: not UTF-8 text (byte {error.start:,}); save it as UTF-8") from error
    if "\x00" in text:
        raise BadDocuments(f"{file.name}: holds NUL characters, so it is no text; bring the text of the document")
    if not text.strip():
        raise BadDocuments(f"{file.name}: has no text; write some, or leave the file out")
    return Document(id=file.name[:200], title=PurePath(file.name).stem[:1000], text=text)


def _lines(documents: Iterable[Document]) -> Iterable[bytes]:
    return (json.dumps(document.model_dump(), ensure_ascii=False).encode() + b"\n" for document in documents)


def add_document_set(*, use_case: UseCase, name: str, documents: Sequence[Document], created_by: User) -> DocumentSet:
    """Store a document set. Who may is the view's question. Raises BadDocuments when it is too large."""
    content = b"".join(_lines(documents))
    require_size(len(content))
    blob = blobs.store([content])
    with transaction.atomic():
        made = DocumentSet.objects.create(
            use_case=use_case,
            name=name,
            sha256=blob.sha256,
            size_bytes=blob.size_bytes,
            documents=len(documents),
            created_by=created_by,
        )
        record("added documents", made, actor=created_by, name=name, sha256=blob.sha256, documents=len(documents))
    return made


def import_sample_documents(path: Path, *, name: str) -> DocumentSet:
    """Bring a shipped `documents.jsonl` into the site. Idempotent: a new set only when the file changed.

    Raises BadDocuments, FileNotFoundError.
    """
    content = path.read_bytes()
    documents = read_documents(content.splitlines())
    blob = blobs.store([content])
    with transaction.atomic():
        made, created = DocumentSet.objects.get_or_create(
            is_sample=True,
            name=name,
            sha256=blob.sha256,
            defaults={"size_bytes": blob.size_bytes, "documents": len(documents)},
        )
        if created:
            record("added documents", made, actor=None, name=name, sha256=blob.sha256, documents=len(documents))
    return made


@lru_cache(maxsize=4)
def documents_of(sha256: str) -> tuple[Document, ...]:
    """Return the documents of a stored set; a blob never changes, so the newest few are kept."""
    with blobs.open_blob(sha256) as file:
        return read_documents(file)
