"""Evaluation and validation keep no logits: a test split of any size needs the memory of one batch."""

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from playbook.trainer.decode import attend_in_groups
from playbook.trainer.layout import Layout
from playbook.trainer.loss import loss_sum
from tests.trainer.test_train import job, rows


def test_logits_of_a_batch_are_gone_before_the_next_one(tiny_models_dir: Path, tmp_path: Path) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()
    seen: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def count(_: Any, __: Any, logits: torch.Tensor) -> None:
        alive.append(sum(kept() is not None for kept in seen))
        seen.append(weakref.ref(logits))

    made.loaded.model.get_output_embeddings().register_forward_hook(count)
    with torch.inference_mode():
        losses = [loss_sum(made.loaded, rows(16)[at : at + 4], pad_id=0).item() for at in range(0, 16, 4)]

    assert len(losses) == 4
    assert alive == [0, 0, 0, 0]


@pytest.mark.parametrize("layout", Layout)
def test_logits_are_computed_at_learned_tokens_alone(tiny_models_dir: Path, tmp_path: Path, layout: Layout) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()
    shapes: list[tuple[int, ...]] = []
    head = made.loaded.model.get_output_embeddings()
    head.register_forward_hook(lambda _, __, logits: shapes.append(tuple(logits.shape)))

    assert attend_in_groups(made.loaded.model)
    loss_sum(made.loaded, rows(6), pad_id=0, layout=layout)

    learned = sum(row.encoded.supervised_tokens for row in rows(6))
    assert shapes == [(1, learned, head.out_features)]


def test_few_widths_of_batches_are_met_and_little_is_padding(tiny_models_dir: Path, tmp_path: Path) -> None:
    """A CPU compiles and keeps a kernel for each shape; padding is computed like any token."""
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()
    widths: list[int] = []
    made.loaded.model.get_input_embeddings().register_forward_hook(lambda _, ids, __: widths.append(ids[0].shape[1]))
    longest = [len(row.encoded.input_ids) for row in rows(12)]

    for row in rows(12):
        loss_sum(made.loaded, [row], pad_id=0)

    assert len(set(widths)) < len(set(longest))
    assert all(0 <= width - length < 4 for width, length in zip(widths, longest, strict=True))
