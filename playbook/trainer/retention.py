"""The general set: what the model could say before it was tuned, and what is left of it afterwards.

`retention.jsonl` was written for this project: 60 easy questions whose answer is begun for the model, and 40 plain
sentences. Nothing is generated; one pass over some 3,000 tokens gives the loss of what is expected, and whether the
model would have said it: a question's answer, a sentence's last word.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playbook.contracts.dataset import Message
from playbook.contracts.report import Estimate, RetentionItem, RetentionSummary
from playbook.contracts.run_spec import EvaluationSettings
from playbook.scoring.bootstrap import bca_interval, clusters_of, mean_interval
from playbook.scoring.figures import percent, points, points_between
from playbook.trainer.data import Row
from playbook.trainer.likelihood import likelihoods
from playbook.trainer.model import LoadedModel
from playbook.trainer.prompt import Encoded, PromptBuilder
from playbook.trainer.stop import Stop

FILE = Path(__file__).with_name("retention.jsonl")


@dataclass(frozen=True)
class GeneralRow:
    """A row of the set as tokens. `judged`: (start, end) of the tokens that must all be the most likely ones."""

    row: Row
    judged: tuple[int, int]


@dataclass(frozen=True)
class Recalled:
    """One row: `nats` is the negative log-likelihood of its expected tokens, summed."""

    tokens: int
    nats: float
    correct: bool


def set_sha256() -> str:
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


def general_rows(builder: PromptBuilder, *, context_length: int) -> tuple[GeneralRow, ...]:
    """Return the set in this model's tokens, without rows longer than its context."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    rows = [_row(number, json.loads(line), builder) for number, line in enumerate(lines, start=1)]
    return tuple(row for row in rows if len(row.row.encoded.input_ids) <= context_length)


def _row(number: int, entry: dict[str, str], builder: PromptBuilder) -> GeneralRow:
    if "text" in entry:
        text = entry["text"]
        ids = builder.ids(text)
        judged = (len(builder.ids(text[: text.rindex(" ")])), len(builder.ids(text.rstrip("."))))
        return GeneralRow(Row(number, Encoded(ids, prompt_length=1)), judged)
    asked = builder.prompt_ids([Message(role="user", content=entry["question"])], where=f"{FILE.name}, line {number}")
    begun = asked + builder.ids(entry["begin"])
    ids = begun + builder.ids(entry["answer"])
    return GeneralRow(Row(number, Encoded(ids, prompt_length=len(begun))), (len(begun), len(ids)))


def recall(loaded: LoadedModel, rows: Sequence[GeneralRow], *, pad_id: int, stop: Stop) -> list[Recalled]:
    """Return how well the model recalls each row, as it stands: adapters merged or switched off by the caller."""
    found = likelihoods(loaded, [row.row for row in rows], pad_id=pad_id, stop=stop)
    return [
        Recalled(
            tokens=len(one.nats),
            nats=sum(one.nats),
            correct=all(one.likeliest[place - row.row.encoded.prompt_length] for place in range(*row.judged)),
        )
        for row, one in zip(rows, found, strict=True)
    ]


def summarise(
    rows: Sequence[GeneralRow], before: Sequence[Recalled], after: Sequence[Recalled], settings: EvaluationSettings
) -> RetentionSummary:
    """Return what tuning did to the general set: changes with paired 95 % intervals, and a warning over a limit."""
    items = tuple(
        RetentionItem(
            index=row.row.line - 1,
            tokens=old.tokens,
            nats_before=old.nats,
            nats_after=new.nats,
            correct_before=old.correct,
            correct_after=new.correct,
        )
        for row, old, new in zip(rows, before, after, strict=True)
    )
    tokens = sum(item.tokens for item in items)
    found = RetentionSummary(
        set_sha256=set_sha256(),
        items=items,
        loss_before=sum(item.nats_before for item in items) / tokens,
        loss_after=sum(item.nats_after for item in items) / tokens,
        loss_change=_loss_change(items),
        accuracy_before=sum(item.correct_before for item in items) / len(items),
        accuracy_after=sum(item.correct_after for item in items) / len(items),
        accuracy_change=_accuracy_change(items),
        loss_limit=settings.retention_loss_limit,
        accuracy_limit=settings.retention_accuracy_limit,
    )
    return found.model_copy(update={"warning": _warning(found)})


def _loss_change(items: Sequence[RetentionItem]) -> Estimate:
    changes = [item.nats_after - item.nats_before for item in items]
    clusters = clusters_of(changes, weights=[float(item.tokens) for item in items])
    low, high = bca_interval(clusters) or (clusters.ratio, clusters.ratio)
    return Estimate(value=clusters.ratio, low=low, high=high)


def _accuracy_change(items: Sequence[RetentionItem]) -> Estimate:
    changes = [float(item.correct_after) - float(item.correct_before) for item in items]
    low, high = mean_interval(changes, low=-1.0)
    return Estimate(value=sum(changes) / len(changes), low=low, high=high)


def _warning(found: RetentionSummary) -> str | None:
    lost, risen = found.accuracy_change, found.loss_change
    parts = []
    if -lost.value > found.accuracy_limit:
        parts.append(
            f"right on {percent(found.accuracy_before)} % before and {percent(found.accuracy_after)} % after "
            f"({points(lost.value, signed=True)}, 95 % interval {points_between(lost.low, lost.high)}; the limit is "
            f"{points(-found.accuracy_limit, signed=True)})"
        )
    if risen.value > found.loss_limit:
        parts.append(
            f"loss {found.loss_before:.2f} before and {found.loss_after:.2f} after ({risen.value:+.2f}, "
            f"{risen.low:+.2f} to {risen.high:+.2f} nats per token; the limit is +{found.loss_limit:.2f})"
        )
    if not parts:
        return None
    return (
        f"The model forgot general knowledge: {'; '.join(parts)}. Train fewer steps, at a lower learning rate or rank, "
        "or mix general rows into the train split."
    )
