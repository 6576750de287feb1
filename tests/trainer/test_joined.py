"""Joined rows, whose common beginning is computed once, train a model as rows by themselves do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from playbook.contracts.events import Configured, Log
from playbook.contracts.run_spec import LoraSettings, Method
from playbook.trainer.data import Row
from playbook.trainer.decode import attend_in_groups
from playbook.trainer.fused import fuse
from playbook.trainer.layout import Layout, joined_tokens, shared_tokens
from playbook.trainer.loss import IGNORED, join_batch, joins_exactly, loss_sum
from playbook.trainer.memory import estimate_memory, expected_layout, pass_of
from playbook.trainer.model import LoadedModel, ModelSource, compute_activations_twice, load_for_training
from playbook.trainer.prompt import Encoded
from playbook.trainer.schedule import Pace
from playbook.trainer.train import train as train_steps
from tests.trainer.conftest import MakeRun, Train, events_of, report_of, row
from tests.trainer.test_memory_kept import SHAPE, bytes_kept, spec_of
from tests.trainer.test_train import job

SYSTEM = tuple(range(100, 123))


def rows(*asked: int, system: tuple[int, ...] = SYSTEM) -> list[Row]:
    """A row for each number of tokens asked; answers differ in length."""
    return [
        Row(n, Encoded((*system, *(30 + (7 * n + at) % 50 for at in range(size)), *range(5, 9 + n), 2), 23 + size))
        for n, size in enumerate(asked)
    ]


def load(folder: Path, kind: str, *, dtype: str = "float32", lora: Any = None, **config: Any) -> LoadedModel:
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE | config)).save_pretrained(folder)
    loaded = load_for_training(
        ModelSource(str(folder), None, is_local=True), LoraSettings.model_validate(lora or {}), seed=1, longest=60,
        compute_dtype=dtype, method=Method.LORA,
    )  # fmt: skip
    fuse(loaded)
    with torch.no_grad():  # a new adapter's second matrix is zero, so that nothing would flow through the first
        for name, parameter in loaded.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    loaded.model.train()
    return loaded


def loss_and_gradients(loaded: LoadedModel, some: list[Row], layout: Layout) -> tuple[float, torch.Tensor]:
    loaded.model.zero_grad()
    loss = loss_sum(loaded, some, pad_id=0, layout=layout)
    loss.backward()  # type: ignore[no-untyped-call]
    found = [parameter.grad.flatten() for parameter in loaded.model.parameters() if parameter.grad is not None]
    return loss.item(), torch.cat(found)


def test_what_rows_begin_with_ends_before_what_is_learned_or_predicts_it() -> None:
    assert shared_tokens(rows(5, 3, 9)) == 23
    assert shared_tokens(rows(5)) == 27  # the last token of its prompt predicts the answer
    assert shared_tokens([*rows(5), *rows(5)]) == 27
    assert shared_tokens([*rows(5), *rows(4, system=(1,))]) == 0
    text = Row(1, Encoded(SYSTEM, 1))  # all of it is learned
    assert shared_tokens([text, text]) == 0
    earlier = Row(1, Encoded((*SYSTEM, 5, 6, 7), 24, earlier=((10, 12),)))
    assert shared_tokens([earlier, *rows(5)]) == 9


def test_joined_rows_stand_once_and_learn_what_each_learns() -> None:
    one, other = Row(1, Encoded((7, 8, 9, 11, 2), 3)), Row(2, Encoded((7, 8, 9, 12, 13, 2), 3))
    batch = join_batch([one, other], pad_id=0)

    assert batch.input_ids[0, :9].tolist() == [7, 8, 9, 11, 2, 9, 12, 13, 2]
    assert batch.input_ids[0, 9:].tolist() == [0] * 7
    assert batch.position_ids[0, :9].tolist() == [0, 1, 2, 3, 4, 2, 3, 4, 5]
    assert batch.labels[0, :9].tolist() == [IGNORED, IGNORED, 11, 2, IGNORED, 12, 13, 2, IGNORED]
    assert batch.labels.shape == (1, joined_tokens([5, 6], 2)) == (1, 16)
    assert batch.places is not None
    assert batch.places.of_rows.tolist() == [[0, 1, 2, 3, 4, 15, 15, 15], [0, 1, 5, 6, 7, 8, 15, 15]]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma3_text", "phi3", "cohere", "gpt_neox"])
def test_joined_rows_have_the_loss_and_the_gradients_of_padded_ones(tmp_path: Path, kind: str) -> None:
    loaded, some = load(tmp_path, kind), rows(9, 2, 14, 1)
    assert joins_exactly(loaded, some, pad_id=0, longest=42)

    (padded, expected), (joined, found) = (
        loss_and_gradients(loaded, some, layout) for layout in (Layout.PADDED, Layout.JOINED)
    )

    assert joined == pytest.approx(padded, rel=1e-5)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize(
    "some", [rows(3), rows(3, 3), [*rows(3), *rows(8, system=(1,) * 23)], [Row(n, Encoded(SYSTEM, 1)) for n in (1, 2)]]
)
def test_rows_that_share_little_or_all_are_joined_as_well(tmp_path: Path, some: list[Row]) -> None:
    loaded = load(tmp_path, "llama")
    (padded, expected), (joined, found) = (
        loss_and_gradients(loaded, some, layout) for layout in (Layout.PADDED, Layout.JOINED)
    )

    assert joined == pytest.approx(padded, rel=1e-5)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_joined_rows_train_with_checkpointing(tmp_path: Path, dtype: str) -> None:
    loaded, some = load(tmp_path, "llama", dtype=dtype), rows(9, 2, 14, 1)
    once, expected = loss_and_gradients(loaded, some, Layout.JOINED)
    compute_activations_twice(loaded)

    twice, found = loss_and_gradients(loaded, some, Layout.JOINED)

    assert twice == pytest.approx(once, rel=1e-6)
    assert float((found - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3_text", "gpt_neox"])
def test_the_estimate_of_joined_rows_is_near_what_is_kept(make_run: MakeRun, tmp_path: Path, kind: str) -> None:
    """Shared by the rows are a third of their tokens."""
    loaded, some = load(tmp_path / "model", kind), rows(*[40] * 8)
    spec = spec_of(make_run())
    layout = expected_layout(loaded.model.config, spec, attention=loaded.attention, device="cpu", longest=80)

    said = estimate_memory(
        loaded.model.config, spec, one=pass_of(some, layout), compute_dtype="float32", attention=loaded.attention,
        device="cpu", checkpointing=False, prepack=False,
    )  # fmt: skip

    assert layout is Layout.JOINED
    kept = bytes_kept(loaded, some, layout=layout)
    assert 0.85 < (said["activations"] + said["logits"]) / kept < 1.15
    assert kept < 0.9 * bytes_kept(loaded, some)


@pytest.mark.parametrize(
    ("kind", "asked", "config"),
    [
        ("gemma2", {}, {}),
        ("stablelm", {}, {}),
        ("llama", {"lora": {"lora_dropout": 0.1}}, {}),
        ("llama", {}, {"attention_dropout": 0.1}),
        ("llama", {"method": "full"}, {}),
        ("mistral", {}, {"sliding_window": 40}),
    ],
)
def test_rows_that_will_not_be_joined_are_not_estimated_so(
    make_run: MakeRun, kind: str, asked: Any, config: Any
) -> None:
    spec = spec_of(make_run(**asked))
    made = AutoConfig.for_model(kind, **SHAPE | config)

    assert expected_layout(made, spec, attention="eager", device="cpu", longest=80) is Layout.PADDED
    plain = spec_of(make_run(name="plain"))
    llama = AutoConfig.for_model("llama", **SHAPE)
    assert expected_layout(llama, plain, attention="sdpa", device="cpu", longest=80) is Layout.PADDED
    assert expected_layout(llama, plain, attention="eager", device="cuda", longest=80) is Layout.PADDED


def test_a_run_says_what_is_computed_once_and_counts_it(make_run: MakeRun, train: Train) -> None:
    asked = [row(f"say {n}", f"{n}", system="Say the number and nothing else.") for n in range(40)]
    folder = make_run(training={"max_steps": 4}, train=asked[:24], validation=asked[24:32], test=asked[32:])

    assert train(folder) == 0

    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    assert configured.effective["rows"] == "joined"
    said = [event.message for event in events_of(folder) if isinstance(event, Log)]
    assert [text for text in said if "computed once for the rows of a batch" in text]
    training = report_of(folder).training
    assert training is not None
    assert training.computed_tokens is not None
    assert 0.4 * training.tokens < training.computed_tokens < 0.8 * training.tokens


def test_a_model_with_a_window_shorter_than_the_rows_is_not_joined(tmp_path: Path) -> None:
    some = rows(9, 2, 14)
    windows = {size: load(tmp_path / str(size), "mistral", sliding_window=size) for size in (20, 60)}

    assert not joins_exactly(windows[20], some, pad_id=0, longest=42)
    assert joins_exactly(windows[60], some, pad_id=0, longest=42)


def test_a_model_that_draws_by_chance_is_not_joined(tmp_path: Path) -> None:
    some = rows(9, 2, 14)
    assert not joins_exactly(load(tmp_path / "model", "gpt_neox", hidden_dropout=0.1), some, pad_id=0, longest=42)
    assert not joins_exactly(
        load(tmp_path / "adapter", "llama", lora={"lora_dropout": 0.1}), some, pad_id=0, longest=42
    )


@pytest.mark.parametrize("kind", ["gemma2", "bloom", "stablelm"])
def test_a_model_that_attends_in_its_own_way_is_not_joined(tmp_path: Path, kind: str) -> None:
    assert not joins_exactly(load(tmp_path, kind), rows(9, 2, 14), pad_id=0, longest=42)


def test_the_time_left_is_told_by_the_tokens_that_are_computed(tiny_models_dir: Path, tmp_path: Path) -> None:
    noted: list[int] = []

    class Noted(Pace):
        def step_done(self, *, tokens: int, seconds: float) -> None:
            noted.append(tokens)
            super().step_done(tokens=tokens, seconds=seconds)

    some = tuple(rows(9, 9, 9, 9))
    made = job(tiny_models_dir, tmp_path / "run", max_steps=1, per_device_train_batch_size=4)
    assert attend_in_groups(made.loaded.model)
    state = train_steps(replace(made, rows=some, validation_rows=some, layout=Layout.JOINED, pace=Noted()), resume=None)
    made.emitter.close()

    assert shared_tokens(some) == 23
    assert noted == [state.tokens - 3 * 23] == [state.computed_tokens]


@pytest.mark.parametrize("error", [TypeError, ValueError, IndexError, RuntimeError])
def test_a_model_that_fails_on_joined_rows_is_trained_as_before(tmp_path: Path, error: type[Exception]) -> None:
    loaded, some = load(tmp_path, "llama"), rows(9, 2, 14)

    def own_way(_: torch.nn.Module, __: tuple[Any, ...], named: dict[str, Any]) -> None:
        if "places" in named:
            raise error("of a kind that is not known")

    loaded.model.base_model.model.model.register_forward_pre_hook(own_way, with_kwargs=True)

    assert not joins_exactly(loaded, some, pad_id=0, longest=42)
    assert loaded.model.training
    assert loss_sum(loaded, some, pad_id=0).isfinite()


def test_logits_that_joining_would_change_are_found(tmp_path: Path) -> None:
    loaded, some = load(tmp_path, "llama"), rows(9, 2, 14)
    first = loaded.model.base_model.model.model.layers[0]

    def mixes(_: torch.nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor:
        """A layer that looks at its neighbour, as convolutions and states do."""
        return out + out.roll(1, dims=1)

    first.register_forward_hook(mixes)

    assert not joins_exactly(loaded, some, pad_id=0, longest=42)
