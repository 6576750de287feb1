"""Whole runs on a tiny model, in this process: what a run leaves behind, and how each kind of bad input ends."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from playbook.contracts.events import CheckpointSaved, Configured, MetricPoint, Progress, StageStarted
from playbook.contracts.run_spec import Arm, Metric
from playbook.contracts.states import EndReason, Stage
from tests.trainer.conftest import TINY_ID, MakeRun, Train, ended, events_of, report_of, row, sample_rows, warnings_of


def test_a_run_leaves_events_report_adapter_and_checkpoint(make_run: MakeRun, train: Train) -> None:
    folder = make_run(evaluation={"arms": ["lora", "few_shot", "zero_shot"], "max_new_tokens": 4, "batch_size": 3})

    assert train(folder) == 0

    events = events_of(folder)
    stages = [event.stage for event in events if event.kind in ("stage_started", "stage_finished")]
    assert stages == ["data", "data", "training", "training", "evaluation", "evaluation"]
    assert [event.step for event in events if isinstance(event, MetricPoint) and "train_loss" in event.values] == [
        1, 2, 3, 4,
    ]  # fmt: skip
    assert [event.step for event in events if isinstance(event, MetricPoint) and "validation_loss" in event.values] == [
        2, 4,
    ]  # fmt: skip
    assert [event.name for event in events if isinstance(event, CheckpointSaved)] == ["step-000002", "step-000004"]
    progress = [event for event in events if isinstance(event, Progress)]
    assert (progress[-1].done, progress[-1].total, progress[-1].remaining_seconds) == (12, 12, 0.0)
    assert ended(folder).reason is EndReason.COMPLETED
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-000004"]

    report = report_of(folder)
    assert [arm.arm for arm in report.arms] == [Arm.LORA, Arm.FEW_SHOT, Arm.ZERO_SHOT]
    assert [[item.index for item in arm.items] for arm in report.arms] == [[0, 1, 2, 3]] * 3
    assert [comparison.arm for comparison in report.comparisons] == [Arm.FEW_SHOT, Arm.ZERO_SHOT, Arm.ZERO_SHOT]
    assert report.arms[1].mean_prompt_tokens > report.arms[2].mean_prompt_tokens
    assert report.arms[0].score(Metric.JSON_VALID).n == 4
    assert report.training is not None
    assert (report.training.steps, report.training.total_parameters > report.training.trainable_parameters) == (4, True)
    assert report.overlap.shared_rows == 0


def test_a_run_without_a_lora_arm_trains_nothing(make_run: MakeRun, train: Train) -> None:
    folder = make_run(evaluation={"arms": ["few_shot"], "max_new_tokens": 4, "few_shot_examples": 2})

    assert train(folder) == 0

    stages = [event.stage for event in events_of(folder) if event.kind == "stage_started"]
    assert stages == ["data", "evaluation"]
    assert ([arm.arm for arm in report_of(folder).arms], report_of(folder).training) == ([Arm.FEW_SHOT], None)
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "inputs", "report.json", "spec.json"]


def test_the_adapter_folder_is_complete_and_names_no_path_of_this_machine(make_run: MakeRun, train: Train) -> None:
    folder = make_run()
    train(folder)

    adapter = folder / "artifacts" / "adapter"
    names = {path.name for path in adapter.iterdir()}
    assert names >= {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "manifest.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == TINY_ID
    manifest = json.loads((adapter / "manifest.json").read_text())
    assert set(manifest["files"]) == names - {"manifest.json"}
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} <= {".json", ".jsonl", ".safetensors", ".md", ".jinja"}
    assert [path.name for path in adapter.iterdir() if str(folder).encode() in path.read_bytes()] == []


def test_the_configuration_shown_is_the_one_used(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playbook.trainer.prepacked.prepacking_pays", lambda dtype: False)
    folder = make_run(training={"max_length": 4096}, lora={"r": 4, "target_modules": ["q_proj", "v_proj"]})
    train(folder)

    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    assert (configured.effective["max_length"], configured.effective["target_modules"]) == (256, "q_proj, v_proj")
    assert "max_length 4096 exceeds the context of the base model; 256 is used." in warnings_of(folder)
    assert configured.effective["fused"] == "adapters, norms, rotation, attention"
    # Two layers; q: 64 → 64 and v: 64 → 32, each r (in + out).
    assert configured.trainable_parameters == 2 * 4 * (128 + 96)


LONG = [*sample_rows(3), row("tell me " + "y" * 300, "done"), *sample_rows(2, start=50)]


def test_a_long_row_is_refused_by_line(make_run: MakeRun, train: Train) -> None:
    folder = make_run(train=LONG, training={"max_length": 128})

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.ROW_TOO_LONG
    assert "train.jsonl: 1 row over 128 tokens: line 4 (" in ended(folder).message


@pytest.mark.parametrize(("rule", "rows"), [("drop", 5), ("truncate", 6)])
def test_a_long_row_is_dropped_or_truncated_and_counted(make_run: MakeRun, train: Train, rule: str, rows: int) -> None:
    folder = make_run(train=LONG, training={"max_length": 128, "over_length": rule, "max_steps": 1})

    assert train(folder) == 0

    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    counted = [configured.effective[key] for key in ("train_rows", "train_rows_dropped", "train_rows_truncated")]
    assert counted == [rows, 6 - rows, rows - 5]
    assert [warning for warning in warnings_of(folder) if "(line 4)" in warning and "tokens lost" in warning]


def test_a_test_row_beyond_the_context_is_refused_or_counts_as_wrong(make_run: MakeRun, train: Train) -> None:
    test = [*sample_rows(2), row("z" * 300, "1")]
    refused = make_run(test=test, name="refused")
    counted = make_run(test=test, name="counted", training={"over_length": "drop", "max_steps": 1})

    assert (train(refused), train(counted)) == (1, 0)

    assert ended(refused).reason is EndReason.ROW_TOO_LONG
    assert "test.jsonl, line 3" in ended(refused).message
    item = report_of(counted).arms[0].items[2]
    assert (item.correct, item.output, "leaves 252" in (item.error or "")) == (False, "", True)


@pytest.mark.parametrize(
    ("train_data", "reason", "words"),
    [
        (b'{"messages": [\n', EndReason.INVALID_DATASET, "train.jsonl: line 1, line: "),
        (b'\n{"messages": [{"content": "hi"}]}\n', EndReason.INVALID_DATASET, "line 2, messages[0].role: missing"),
        ([row("hi", " ")], EndReason.INVALID_DATASET, "line 1, messages[1].content"),
        (b"", EndReason.INVALID_DATASET, "no line with content"),
    ],
)
def test_a_bad_line_ends_the_run_with_its_number_and_the_fix(
    make_run: MakeRun, train: Train, train_data: Any, reason: EndReason, words: str
) -> None:
    folder = make_run(train=train_data)

    assert train(folder) == 1

    assert ended(folder).reason is reason
    assert words in ended(folder).message


def test_nothing_is_left_to_learn_when_every_row_is_dropped(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"max_length": 8, "over_length": "drop"})

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.NOTHING_TO_LEARN
    assert "every one of its 12 rows is longer than 8 tokens" in ended(folder).message


def test_folders_in_place_of_files_are_told(make_run: MakeRun, train: Train) -> None:
    spec, rows = make_run(name="spec"), make_run(name="rows")
    for file in (spec / "spec.json", rows / "inputs" / "train.jsonl"):
        file.unlink()
        file.mkdir()

    assert (train(spec), train(rows)) == (1, 1)

    assert [ended(folder).reason for folder in (spec, rows)] == [EndReason.INVALID_SPEC, EndReason.INPUT_MISMATCH]
    assert ended(rows).message.startswith("inputs/train.jsonl cannot be read")


def test_blank_lines_are_no_rows_of_the_measurement(make_run: MakeRun, train: Train) -> None:
    lines = [json.dumps(line).encode() for line in sample_rows(2)]
    folder = make_run(test=b"\n" + lines[0] + b"\n\n\n" + lines[1] + b"\n", training={"max_steps": 1})

    assert train(folder) == 0

    assert [[item.index for item in arm.items] for arm in report_of(folder).arms] == [[0, 1]] * 2


def test_a_changed_input_is_a_mismatch(make_run: MakeRun, train: Train) -> None:
    changed, missing = make_run(name="changed"), make_run(name="missing")
    (changed / "inputs" / "test.jsonl").write_bytes(b"{}\n")
    (missing / "inputs" / "test.jsonl").unlink()

    assert (train(changed), train(missing)) == (1, 1)

    assert [ended(folder).reason for folder in (changed, missing)] == [EndReason.INPUT_MISMATCH] * 2
    assert "inputs/test.jsonl" in ended(changed).message


def test_an_input_of_more_rows_than_the_spec_names_is_a_mismatch(make_run: MakeRun, train: Train) -> None:
    folder = make_run()
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    spec["inputs"][-1]["rows"] -= 1
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INPUT_MISMATCH
    assert "inputs/test.jsonl holds 4 rows, the spec names 3" in ended(folder).message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (None, "spec.json is not in the run folder"),
        ("{}", "base_model is missing: Field required."),
        ('{"base_model":' + "[" * 100_000, "spec.json: Invalid JSON: recursion limit exceeded"),
        ('{"seed": -1}', "seed is -1; it must be at least 0, below 4,294,967,296."),
    ],
)
def test_a_bad_spec_ends_the_run(make_run: MakeRun, train: Train, spec: str | None, words: str) -> None:
    folder = make_run()
    (folder / "spec.json").unlink()
    if spec is not None:
        (folder / "spec.json").write_text(spec)

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert words in ended(folder).message


def test_an_unknown_target_module_is_named_with_those_that_exist(make_run: MakeRun, train: Train) -> None:
    folder = make_run(lora={"target_modules": ["q_proj", "query"]})

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert "names 'query', which" in ended(folder).message
    assert "down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj" in ended(folder).message
    assert [event.stage for event in events_of(folder) if isinstance(event, StageStarted)] == [Stage.DATA]


def test_a_missing_base_model_is_named_with_those_present(make_run: MakeRun, train: Train) -> None:
    folder = make_run(base_model={"id": "no-such-model"})

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_MISSING
    assert f"'no-such-model' is neither in the models folder (which holds {TINY_ID})" in ended(folder).message


def test_pickled_weights_are_never_read(make_run: MakeRun, train: Train, own_models_dir: Path) -> None:
    (own_models_dir / TINY_ID / "model.safetensors").rename(own_models_dir / TINY_ID / "pytorch_model.bin")
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "holds only pytorch_model.bin, and loading a pickle can run code" in ended(folder).message


def test_cut_off_weights_are_unreadable(make_run: MakeRun, train: Train, own_models_dir: Path) -> None:
    weights = own_models_dir / TINY_ID / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE


def test_missing_tensors_are_not_replaced_by_random_ones(make_run: MakeRun, train: Train, own_models_dir: Path) -> None:
    weights = own_models_dir / TINY_ID / "model.safetensors"
    tensors = load_file(weights)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "lack 1 tensors, first 'model.layers.1.mlp.up_proj.weight'" in ended(folder).message


def test_weights_of_another_shape_than_the_configuration_are_named(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    weights = own_models_dir / TINY_ID / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.layers.0.mlp.up_proj.weight"] = torch.zeros(130, 64)
    save_file(tensors, weights, metadata={"format": "pt"})
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "'model.layers.0.mlp.up_proj.weight' is 130 x 64, not 128 x 64." in ended(folder).message


def test_a_tokenizer_of_another_model_is_refused_before_anything_is_loaded(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    path = own_models_dir / TINY_ID / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 90}))
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "has 259 tokens, and its config.json names 90 (vocab_size)" in ended(folder).message


def test_a_chat_template_that_is_no_template_is_the_base_model_s_fault(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    (own_models_dir / TINY_ID / "chat_template.jinja").write_text("{% for message in %}")
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "The chat template of the base model cannot be read (line 1: " in ended(folder).message


def test_a_loss_that_is_no_number_ends_the_run_as_diverged(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    weights = own_models_dir / TINY_ID / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("nan"))
    save_file(tensors, weights, metadata={"format": "pt"})
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.DIVERGED
    assert "train loss is nan on the rows of lines" in ended(folder).message
    assert "after 0 steps. Nothing was trained yet" in ended(folder).message


def test_a_stale_lease_ends_the_run(make_run: MakeRun, train: Train) -> None:
    folder = make_run()
    (folder / "lease").touch()

    assert train(folder, "--max-lease-age", "0") == 1

    assert ended(folder).reason is EndReason.LEASE_LOST


def test_a_test_row_that_train_has_too_is_a_warning(make_run: MakeRun, train: Train) -> None:
    folder = make_run(test=sample_rows(3, start=11), training={"max_steps": 1})
    train(folder)

    assert report_of(folder).overlap.shared_rows == 1
    assert [text for text in warnings_of(folder) if text.startswith("1 of 3 test rows is in the train split too")]


def test_events_on_a_full_disk_still_say_why(
    make_run: MakeRun, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run()
    (folder / "events.jsonl").symlink_to("/dev/full")

    assert train(folder) == 1

    assert capsys.readouterr().err.startswith("disk_full: The disk is full")


def test_a_schema_that_cannot_be_used_ends_the_run_before_training(make_run: MakeRun, train: Train) -> None:
    loops = {"metric": "json_schema", "json_schema": {"$ref": "#"}, "max_new_tokens": 4, "batch_size": 3}
    folder = make_run(evaluation=loops)

    train(folder)

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert ended(folder).message.startswith("json_schema loops: a $ref comes back to itself")
    assert not (folder / "checkpoints").exists() or not list((folder / "checkpoints").iterdir())


def test_expected_answers_that_no_model_can_reach_are_a_warning(make_run: MakeRun, train: Train) -> None:
    settings = {"metric": "label_accuracy", "label_field": "team", "max_new_tokens": 4, "batch_size": 3}
    folder = make_run(evaluation=settings)

    train(folder)

    assert [
        text for text in warnings_of(folder) if "rows 1, 2, 3, 4 has no label at 'team'; correct label_field" in text
    ]
    assert report_of(folder).arms[0].scores[0].successes == 0
