"""Base models and sample datasets, as the files under `content/` describe them."""

import datetime
from typing import Literal

from pydantic import Field

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen, Sha256
from playbook.contracts.run_spec import BaseModelRef
from playbook.library.calculators import ModelShape, Precision, RunShape, Target, lora_memory
from playbook.library.fields import Line, Slug, Text, Url

#: The training step for which the memory of a base model is stated: the same for all, so that they can be compared.
REFERENCE_RANK = 16
REFERENCE_BATCH = 4
REFERENCE_TOKENS = 1024


class Shape(Frozen):
    """The sizes of a base model, under the names and with the values of its `config.json` (shortened)."""

    hidden_size: int = Field(ge=1)
    layers: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    tied_embeddings: bool

    @property
    def model_shape(self) -> ModelShape:
        return ModelShape(**self.model_dump())


class BaseModelEntry(Frozen):
    """A base model that jobs may start from, one entry of `content/models.yaml`."""

    id: str = Field(min_length=1, max_length=200, description="as the worker resolves it")
    revision: str | None = Field(default=None, description="commit at which its configuration was read")
    title: Line
    parameters: int = Field(ge=1)
    licence: Line
    context_length: int = Field(ge=1, description="tokens")
    size_bytes: int | None = Field(default=None, ge=1, description="of the weights on disk, where the worker has them")
    shape: Shape | None = None
    chat_template: Line | None = Field(default=None, description="format of the tokenizer's template; None: not read")
    source: Text
    url: Url | None = None
    accessed: datetime.date | None = None
    status: Literal["active", "superseded", "retired"] = "active"
    superseded_by: str | None = None
    bundled: bool = Field(default=False, description="installed with the demo, so that it runs without a download")

    @property
    def ref(self) -> BaseModelRef:
        return BaseModelRef(id=self.id, revision=self.revision)

    @property
    def lora_bytes(self) -> float | None:
        """Memory of the reference step over 16-bit weights, in bytes; None without a shape."""
        return self._memory(Precision.BF16)

    @property
    def qlora_bytes(self) -> float | None:
        """Memory of the reference step over 4-bit weights, in bytes; None without a shape."""
        return self._memory(Precision.NF4)

    def _memory(self, precision: Precision) -> float | None:
        """All linear layers adapted, gradient checkpointing on, logits at every token; see `lora_memory`."""
        if self.shape is None:
            return None
        run = RunShape(
            batch=REFERENCE_BATCH,
            sequence=REFERENCE_TOKENS,
            precision=precision,
            checkpointing=True,
            logit_tokens=REFERENCE_TOKENS,
        )
        parts = lora_memory(self.shape.model_shape, run, rank=REFERENCE_RANK, targets=tuple(Target))
        return sum(part.size_bytes for part in parts)


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
