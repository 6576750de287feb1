"""Packed rows do not see each other: their logits are those of each row alone, and so is the whole run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AttentionInterface

from playbook.contracts.events import Configured, MetricPoint
from playbook.trainer.layout import Layout
from playbook.trainer.loss import logits_of, loss_sum, make_batch, pack_batch, packs_exactly
from tests.trainer.conftest import MakeRun, Train, events_of, warnings_of
from tests.trainer.test_train import job, rows

CPU = torch.device("cpu")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_rows_give_the_logits_that_each_gives_alone(
    tiny_models_dir: Path, tmp_path: Path, attention: str
) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()
    made.loaded.model.set_attn_implementation(attention)
    made.loaded.model.eval()
    some = rows(5)
    everywhere = torch.ones_like(pack_batch(some, pad_id=0, device=CPU).input_ids, dtype=torch.bool)
    with torch.inference_mode():
        packed = logits_of(made.loaded, pack_batch(some, pad_id=0, device=CPU), everywhere)
        alone = [
            logits_of(made.loaded, batch, torch.ones_like(batch.input_ids, dtype=torch.bool))
            for batch in (make_batch([row], pad_id=0, device=CPU) for row in some)
        ]

    assert packed.shape[0] == sum(len(row.encoded.input_ids) for row in some)
    assert (packed - torch.cat(alone)).abs().max() < 1e-4
    assert packs_exactly(made.loaded, some, pad_id=0)


def test_the_loss_of_packed_rows_is_that_of_padded_ones(tiny_models_dir: Path, tmp_path: Path) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()
    padded, packed = (
        loss_sum(made.loaded, rows(6), pad_id=0, layout=layout).item() for layout in (Layout.PADDED, Layout.PACKED)
    )

    assert packed == pytest.approx(padded, rel=1e-5)


def test_a_run_with_packing_has_the_loss_curve_of_one_without(make_run: MakeRun, train: Train) -> None:
    curves = []
    for packing in (False, True):
        folder = make_run(name=f"packing-{packing}", training={"packing": packing})
        assert train(folder) == 0
        points = [event for event in events_of(folder) if isinstance(event, MetricPoint)]
        curves.append([point.values["train_loss"] for point in points if "train_loss" in point.values])
        configured = next(event for event in events_of(folder) if isinstance(event, Configured))
        assert configured.effective["packing"] is packing

    # In bfloat16, where this machine prefers it, another order of additions moves the third digit.
    assert curves[1] == pytest.approx(curves[0], rel=0.01)


def _sees_everything_before(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _mask: object, **_: object
) -> tuple[torch.Tensor, None]:
    """Attention of a model's own that knows no block mask: every token sees all before it."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    found = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    return found.transpose(1, 2), None


def test_a_model_whose_attention_knows_no_block_mask_is_found_out(tiny_models_dir: Path, tmp_path: Path) -> None:
    AttentionInterface.register("sees_everything_before", _sees_everything_before)
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()
    made.loaded.model.config._attn_implementation = "sees_everything_before"

    assert not packs_exactly(made.loaded, rows(4), pad_id=0)


def test_packing_that_would_change_a_logit_is_switched_off_and_said(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    AttentionInterface.register("sees_everything_before", _sees_everything_before)
    monkeypatch.setattr("playbook.trainer.model.choose_attention", lambda device, **_: "sees_everything_before")
    folder = make_run(training={"packing": True, "max_steps": 1})

    assert train(folder) == 0

    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    assert configured.effective["packing"] is False
    assert [text for text in warnings_of(folder) if text.startswith("packing is switched off")]
