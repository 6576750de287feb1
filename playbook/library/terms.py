"""The glossary and the numbered claims: `content/glossary.yaml` and `content/claims.yaml` → typed values."""

from pydantic import Field

from playbook.contracts.model import Frozen
from playbook.library.fields import ArticleRef, ClaimId, Line, Slug, Text


class Term(Frozen):
    """A word that readers may not know. `aliases` are other ways to write it; `article` explains it at length."""

    slug: Slug
    term: Line
    definition: Text = Field(description="one or two sentences, plain text")
    aliases: tuple[Line, ...] = ()
    article: ArticleRef | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.term, *self.aliases)


class Claim(Frozen):
    """A statement about fine-tuning that articles explain and jobs can test. `live`: a reader can test it here."""

    id: ClaimId
    text: Text
    live: bool = False
