"""What the data stage says before training: statistics, the mask token by token, and the memory estimate."""

from pathlib import Path

import pytest
from transformers import AutoConfig, LlamaForCausalLM

from playbook.contracts.dataset import Split
from playbook.contracts.events import Configured, Log, Predicted, Preflight, SplitTokens
from playbook.contracts.run_spec import BaseModelRef, LoraSettings, Method, RunSpec
from playbook.trainer.data import PreparedRows, Row
from playbook.trainer.layout import Layout
from playbook.trainer.memory import Pass, Shape, estimate_memory, pass_of
from playbook.trainer.model import load_for_training, resolve
from playbook.trainer.preflight import split_tokens
from playbook.trainer.prompt import Encoded
from tests.trainer.conftest import TINY_ID, MakeRun, Train, events_of, report_of, row, sample_rows


def preflight_of(folder: Path) -> Preflight:
    return next(event for event in events_of(folder) if isinstance(event, Preflight))


def test_statistics_are_of_tokens_and_count_what_was_lost() -> None:
    rows = tuple(Row(n, Encoded(input_ids=(1,) * n, prompt_length=n - 2)) for n in range(3, 23))

    found = split_tokens(PreparedRows(rows, dropped_lines=(30,), truncated_lines=(4, 5), lost_tokens=17))

    assert found == SplitTokens(
        rows=20, tokens=250, supervised_tokens=40, shortest=3, median=12, p95=21, longest=22,
        dropped_rows=1, truncated_rows=2, lost_tokens=17, lost_lines=(4, 5, 30),
    )  # fmt: skip


def test_the_preflight_shows_the_template_with_its_mask_before_training(make_run: MakeRun, train: Train) -> None:
    folder = make_run(train=[row("say hi", "ok"), *sample_rows(3)], training={"max_steps": 1})
    train(folder)

    kinds = [event.kind for event in events_of(folder)]
    found = preflight_of(folder)
    first = found.samples[0]
    assert kinds.index("preflight") < kinds.index("stage_finished")
    assert "".join(token.text for token in first.tokens) == (
        "<|im_start|>user\nsay hi<|im_end|>\n<|im_start|>assistant\nok<|im_end|>"
    )
    assert [token.text for token in first.tokens if token.learned] == ["o", "k", "<|im_end|>"]
    assert (first.split, first.line, first.ends_turn) == (Split.TRAIN, 1, True)
    assert [(sample.split, sample.line) for sample in found.samples[3:5]] == [(Split.VALIDATION, 1), (Split.TEST, 1)]
    assert {split: found.splits[split].rows for split in Split} == {
        Split.TRAIN: 4, Split.VALIDATION: 4, Split.TEST: 4,
    }  # fmt: skip
    assert set(found.memory_bytes) == {
        "base_weights", "prepacked_weights", "adapter", "gradients", "optimizer", "activations", "logits", "runtime",
    }  # fmt: skip


def test_a_long_sample_shows_its_beginning_and_its_end(make_run: MakeRun, train: Train) -> None:
    long = row("tell " + "y" * 5000, "done")
    folder = make_run(train=[*sample_rows(3), long], training={"max_steps": 1, "over_length": "truncate"})
    train(folder)

    found = preflight_of(folder)
    longest = found.samples[-1]
    assert (longest.line, len(longest.tokens), longest.tokens[-1].learned) == (4, 256, True)
    assert found.splits[Split.TRAIN].lost_lines == (4,)
    assert found.splits[Split.TRAIN].lost_tokens > 4700


def test_the_shape_counts_the_parameters_that_the_model_has(tiny_models_dir: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_models_dir / TINY_ID)
    model = LlamaForCausalLM(config)
    lora = LoraSettings(r=4, use_dora=True)
    source = resolve(BaseModelRef(id=TINY_ID), tiny_models_dir)

    adapted = load_for_training(source, lora, seed=0, longest=16, compute_dtype="float32")

    assert Shape.of(config).parameters == sum(parameter.numel() for parameter in model.parameters())
    assert Shape.of(config).adapter_parameters(lora) == adapted.trainable_parameters


def spec(make_run: MakeRun, **settings: object) -> RunSpec:
    return RunSpec.model_validate_json((make_run(**settings) / "spec.json").read_bytes())


def test_the_estimate_follows_method_precision_and_checkpointing(make_run: MakeRun, tiny_models_dir: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_models_dir / TINY_ID)
    made = spec(make_run)
    one = Pass(positions=400, width=100, learned=40)
    parameters, trained = Shape.of(config).parameters, Shape.of(config).adapter_parameters(made.lora)

    def estimate(
        method: Method = Method.LORA, *, checkpointing: bool = False, one: Pass = one, prepack: bool = False
    ) -> dict[str, int]:
        return estimate_memory(
            config, made.model_copy(update={"method": method}), one=one, compute_dtype="bfloat16", attention="eager",
            device="cpu", checkpointing=checkpointing, prepack=prepack,
        )  # fmt: skip

    lora, full = estimate(), estimate(Method.FULL)
    assert (lora["base_weights"], lora["gradients"], lora["optimizer"]) == (2 * parameters, 4 * trained, 8 * trained)
    assert (full["adapter"], full["gradients"], full["optimizer"]) == (0, 4 * parameters, 8 * parameters)
    assert estimate(Method.QLORA)["base_weights"] < lora["base_weights"]
    assert estimate(checkpointing=True)["activations"] < lora["activations"]
    assert estimate(one=Pass(800, 100, 80))["activations"] == 2 * lora["activations"]
    in_layers = Shape.of(config).layers * sum(wide * out for wide, out in Shape.of(config).linear.values())
    assert (lora["prepacked_weights"], estimate(prepack=True)["prepacked_weights"]) == (0, 2 * 2 * in_layers)
    assert estimate(Method.FULL, prepack=True)["prepacked_weights"] == 0


def test_packed_rows_are_one_wide_row() -> None:
    rows = [Row(n, Encoded(input_ids=(1,) * n, prompt_length=2)) for n in (5, 9)]

    padded, packed = (pass_of(rows, layout) for layout in (Layout.PADDED, Layout.PACKED))

    assert (padded, packed) == (Pass(18, 9, 10), Pass(14, 14, 10))


def test_gradient_checkpointing_comes_on_when_the_estimate_exceeds_what_is_free(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playbook.trainer.preflight.free_memory_bytes", lambda device: 0)
    folder = make_run()

    assert train(folder) == 0

    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    said = [event.message for event in events_of(folder) if isinstance(event, Log)]
    assert configured.effective["gradient_checkpointing"] is True
    assert [text for text in said if "gradient_checkpointing is switched on" in text]


def test_memory_that_suffices_leaves_gradient_checkpointing_off(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"max_steps": 1})
    train(folder)

    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    assert configured.effective["gradient_checkpointing"] is False


def test_three_steps_foretell_the_end_and_the_report_says_what_came(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"max_steps": 6})
    train(folder)

    predicted = [event for event in events_of(folder) if isinstance(event, Predicted)]
    training = report_of(folder).training
    assert training is not None
    assert training.forecast is not None
    assert [event.after_steps for event in predicted] == [3]
    assert (training.forecast.predicted_seconds, training.forecast.predicted_peak_memory_bytes) == (
        predicted[0].seconds, predicted[0].peak_memory_bytes,
    )  # fmt: skip
    assert training.forecast.peak_memory_bytes == training.peak_memory_bytes
    assert training.forecast.seconds is not None
    assert training.forecast.seconds > 0
    estimate = preflight_of(folder).memory_bytes
    assert training.forecast.estimated_peak_memory_bytes == sum(estimate.values())


def test_a_run_too_short_to_foretell_predicts_nothing(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"max_steps": 2})
    train(folder)

    training = report_of(folder).training
    assert training is not None
    assert training.forecast is None
    assert not [event for event in events_of(folder) if isinstance(event, Predicted)]
