"""How a model is asked: the prompt around a row, the examples before it, the passages found for it.

Part of the run spec. Training, evaluation and playground all build their prompts from these values
(`trainer.prompt`), and the digest names a version of a prompt wherever one is shown.
"""

import hashlib
import json
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from playbook.contracts.model import Frozen, Sha256

#: Stand-ins in templates; anything else in braces is text, so JSON can be written in a prompt as it is.
INPUT, PASSAGES = "{input}", "{passages}"
MAX_PROMPT_CHARACTERS = 20_000
#: Of a documents file. 50 MB of text make about 70,000 passages: some ten seconds to index, a few hundred MB to hold.
MAX_DOCUMENTS_BYTES = 50_000_000


class WrittenExample(Frozen):
    """A solved example that a person wrote, for the few-shot arm."""

    user: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS, description="what the user says")
    assistant: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS, description="the answer to it")


class PromptSettings(Frozen):
    """What stands around a row's own text, the same in training and in every arm."""

    system: str | None = Field(
        default=None,
        max_length=MAX_PROMPT_CHARACTERS,
        description="system message in place of the rows' own; none: each row keeps its own",
    )
    user_template: str = Field(
        default=INPUT,
        max_length=MAX_PROMPT_CHARACTERS,
        description="what the user says; {input} stands for the last user message of the row",
    )
    examples: tuple[WrittenExample, ...] = Field(
        default=(),
        max_length=64,
        description="solved examples that the few_shot arm shows; without any it takes rows of the train split",
    )

    @field_validator("user_template")
    @classmethod
    def _holds_the_row(cls, value: str) -> str:
        return _require(value, INPUT)

    @property
    def changes_rows(self) -> bool:
        """Whether a row is asked otherwise than it stands in the dataset."""
        return self != PromptSettings()

    @property
    def digest(self) -> str:
        """The SHA-256 that names this version of the prompt: of its fields as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class Retriever(StrEnum):
    """How passages are found. `bm25`: by words (Robertson and Zaragoza 2009). `embedding`: by cosine similarity of a
    local sentence-embedding model."""

    BM25 = "bm25"
    EMBEDDING = "embedding"


class RetrievalSettings(Frozen):
    """How the arms rag and rag_lora find passages in the documents, and how these are put before the question."""

    retriever: Retriever = Field(default=Retriever.BM25, description="how passages are found: by words or by meaning")
    top_k: int = Field(default=3, ge=1, le=50, description="passages put before the question")
    passage_words: int = Field(
        default=120, ge=10, le=2000, description="documents are cut at sentence ends into passages of at most so many"
    )
    embedding_model: str | None = Field(
        default=None,
        max_length=200,
        description="folder of a sentence-embedding model in the worker's models folder, for retriever: embedding",
    )
    passages_template: str = Field(
        default=f"{PASSAGES}\n\n{INPUT}",
        max_length=MAX_PROMPT_CHARACTERS,
        description="user message of the arms that retrieve; {passages} and {input} stand for what was found and asked",
    )
    in_training: bool = Field(
        default=False,
        description="train rows carry retrieved passages too, as the rag_lora arm is asked; off: trained without",
    )

    @field_validator("passages_template")
    @classmethod
    def _holds_both(cls, value: str) -> str:
        return _require(_require(value, INPUT), PASSAGES)

    @model_validator(mode="after")
    def _embedding_names_a_model(self) -> Self:
        if self.retriever is Retriever.EMBEDDING and self.embedding_model is None:
            raise ValueError(
                "retriever: embedding needs embedding_model, the folder of a sentence-embedding model in the worker's "
                "models folder; bm25 needs none"
            )
        return self


class DocumentsFile(Frozen):
    """The documents of a use case, named by content. The file lies in `RUN_DIR/inputs/documents.jsonl`."""

    sha256: Sha256 = Field(description="of the file's bytes; checked before the run")
    size_bytes: int = Field(ge=1, le=MAX_DOCUMENTS_BYTES, description="of the file")
    documents: int = Field(ge=1, description="one a line")

    @property
    def name(self) -> str:
        return "documents.jsonl"


def _require(template: str, stand_in: str) -> str:
    if stand_in not in template:
        raise ValueError(f"the template must hold {stand_in}; add it where that text belongs")
    return template
