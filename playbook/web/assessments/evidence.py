"""Evidence of an answer: an article at its commit, a job's report and arm, a file, a link. Values kept with the answer.

Each piece carries the digest of what was looked at, so that a signature that covers it covers that and nothing else.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import rfc8785
from django.urls import reverse
from pydantic import Field, StringConstraints, TypeAdapter

from playbook.contracts.model import Frozen
from playbook.contracts.run_spec import Sha256
from playbook.library.fields import Line, Url
from playbook.web.common.measurements import Measurement

MAX_PIECES = 20


class ArticleEvidence(Frozen):
    """An article as it read. `commit` is "" when its text was in no commit yet; `digest` is that of the text."""

    kind: Literal["article"] = "article"
    key: str
    title: Line
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]
    digest: str


class ReportEvidence(Frozen):
    """What one arm of a job's report measured."""

    kind: Literal["report"] = "report"
    measurement: Measurement


class FileEvidence(Frozen):
    """A file that somebody brought; its bytes lie in `common.blobs` under `sha256`."""

    kind: Literal["file"] = "file"
    name: str = Field(min_length=1, max_length=200)
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class LinkEvidence(Frozen):
    """An address elsewhere. Nobody can promise what stands there later."""

    kind: Literal["link"] = "link"
    url: Url
    label: Line


Evidence = Annotated[
    ArticleEvidence | ReportEvidence | FileEvidence | LinkEvidence,
    Field(discriminator="kind"),
]
_LIST: TypeAdapter[tuple[Evidence, ...]] = TypeAdapter(tuple[Evidence, ...])


def read_evidence(kept: list[object]) -> tuple[Evidence, ...]:
    """Return the pieces that an answer keeps as JSON values."""
    return _LIST.validate_python(kept)


def digest_of(piece: Evidence) -> str:
    """Return the SHA-256 of the piece's canonical JSON (RFC 8785). It names the piece in forms and in what a signature
    covers."""
    return hashlib.sha256(rfc8785.dumps(piece.model_dump(mode="json"))).hexdigest()


@dataclass(frozen=True)
class Piece:
    """A piece of evidence as a page shows it. `digest` names it in forms; `detail` says what exactly was looked at;
    `stale`: why that does not stand any more."""

    kind: str
    title: str
    detail: str
    url: str
    digest: str
    stale: tuple[str, ...] = ()


def piece_of(evidence: Evidence, assessment_id: int, *, stale: tuple[str, ...] = ()) -> Piece:
    """Return a piece of evidence with its title, its detail and where it leads; an article leads to its commit."""
    digest = digest_of(evidence)
    match evidence:
        case ArticleEvidence():
            at = (
                f"at commit {evidence.commit[:12]}" if evidence.commit else f"text {evidence.digest[:12]}, in no commit"
            )
            page = f"{reverse('wiki:index')}{evidence.key}/"
            url = f"{page}history/?commit={evidence.commit}" if evidence.commit else page
            return Piece("Article", evidence.title, at, url, digest)
        case ReportEvidence():
            found = evidence.measurement
            arm = f"{found.metric} of {found.arm}".replace("_", " ")
            detail = f"{arm} {found.text}, report {found.report_sha256[:12]}, test set {found.test_set_sha256[:12]}"
            return Piece("Job report", f"{found.title} (job {found.job})", detail, found.url, digest, stale)
        case FileEvidence():
            url = reverse("assessments:evidence_file", args=[assessment_id, evidence.sha256])
            return Piece("File", evidence.name, f"SHA-256 {evidence.sha256[:12]}", url, digest)
        case LinkEvidence():
            return Piece("Link", evidence.label, evidence.url, evidence.url, digest)
