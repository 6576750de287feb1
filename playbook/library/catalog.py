"""Base models and sample datasets, as the files under `content/` describe them."""

from typing import Literal

from pydantic import Field

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen
from playbook.contracts.run_spec import BaseModelRef, Sha256
from playbook.library.fields import Line, Slug, Text


class BaseModelEntry(Frozen):
    """A base model that jobs may start from, one entry of `content/models.yaml`."""

    id: str = Field(min_length=1, max_length=200, description="as the worker resolves it")
    revision: str | None = None
    title: Line
    parameters: int = Field(ge=1)
    licence: Line
    context_length: int = Field(ge=1, description="tokens")
    size_bytes: int = Field(ge=1, description="of the weights on disk, as the worker keeps them")
    source: Text
    status: Literal["active", "superseded", "retired"] = "active"
    superseded_by: str | None = None

    @property
    def ref(self) -> BaseModelRef:
        return BaseModelRef(id=self.id, revision=self.revision)


class CardSplit(Frozen):
    """What the card says of one split file."""

    rows: int = Field(ge=1)
    size_bytes: int = Field(ge=1)
    sha256: Sha256


class CardOverlap(Frozen):
    """What train and test share."""

    shared_rows: int = Field(ge=0)
    shared_templates: int = Field(ge=0)
    test_templates: int = Field(ge=0)
    test_rows_from_unseen_templates: int = Field(ge=0)


class CardFrontMatter(Frozen):
    """The fields at the top of `content/datasets/<slug>/card.md`."""

    slug: Slug
    title: Line
    summary: Line
    licence: Line
    owner: Line
    source: Text
    consent: Text
    splits: dict[Split, CardSplit]
    overlap: CardOverlap | None = None


class DatasetCard(CardFrontMatter):
    """A sample dataset. `body` is the card's Markdown; `path` is the card, relative to the content folder."""

    path: str
    body: str = Field(repr=False)

    def split_path(self, split: Split) -> str:
        """Return the path of a split file, relative to the content folder."""
        return f"datasets/{self.slug}/{split.value}.jsonl"
