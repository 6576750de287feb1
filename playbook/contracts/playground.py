"""A playground session: a unit of work that a worker claims like a job, and that answers turns until it ends.

The site hands turns out (`GET /jobs/{id}/turns`), the worker appends them to `RUN_DIR/turns.jsonl`, the trainer answers
in events (`events.Said`), a few tokens at a time. Nothing is trained and there is no report.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from playbook.contracts.dataset import Message
from playbook.contracts.model import Frozen, Sha256
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.run_spec import BaseModelRef

#: A session ends at so many turns; each is asked with all that was said before.
MAX_TURNS = 50
MAX_QUESTION_CHARACTERS = 8_000


def _is_empty(value: tuple[int, ...]) -> bool:
    return not value


class Side(StrEnum):
    """Who answers: the base model, or the same with the adapter."""

    BASE = "base"
    TUNED = "tuned"


class AdapterFile(Frozen):
    """The adapter of a job, as it was handed over: `adapter.zip`, unpacked to `RUN_DIR/inputs/adapter/`."""

    sha256: Sha256 = Field(description="of adapter.zip; checked before anything is loaded")
    size_bytes: int = Field(ge=1, description="of adapter.zip")


class PlaygroundSpec(Frozen):
    """What a session answers with, and when it ends by itself: so that no waiting job waits for ever."""

    kind: Literal["playground"] = Field(default="playground", description="tells a session from a run")
    base_model: BaseModelRef = Field(description="what answers")
    adapter: AdapterFile | None = Field(default=None, description="what answers beside it; none: the base alone")
    prompt: PromptSettings = Field(default=PromptSettings(), description="what stands around what people write")
    max_new_tokens: int = Field(default=256, ge=1, le=1024, description="an answer is cut after so many tokens")
    idle_seconds: int = Field(default=120, ge=1, le=600, description="the session ends when nobody wrote for so long")
    max_seconds: int = Field(default=1800, ge=1, le=7200, description="it ends after so long in any case")

    @property
    def sides(self) -> tuple[Side, ...]:
        return (Side.BASE, Side.TUNED) if self.adapter else (Side.BASE,)


class ChatTurn(Frozen):
    """One question. `chats`: for each side what was said before, by its own earlier answers, and the question last."""

    number: int = Field(ge=1, le=MAX_TURNS)
    chats: dict[Side, tuple[Message, ...]]


class Turns(Frozen):
    """The turns that wait for an answer, in order. `closed`: nobody will write any more. `stopped`: numbers of those
    whose answer is to end with what was said; only for a worker that asks with `stops=true`."""

    turns: tuple[ChatTurn, ...] = ()
    closed: bool = False
    stopped: tuple[int, ...] = Field(default=(), exclude_if=_is_empty)
