"""What is measured is the artifact as its files have it, and its difference from the model in memory is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from playbook.contracts.events import Log
from playbook.contracts.report import ExportCheck
from playbook.trainer import run
from playbook.trainer.artifacts import save_tuned
from tests.trainer.conftest import MakeRun, Train, events_of, report_of
from tests.trainer.test_methods import FEW


def export_of(folder: Path) -> ExportCheck:
    training = report_of(folder).training
    assert training is not None
    assert training.export is not None
    return training.export


def test_a_sound_export_differs_by_rounding_alone(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training=FEW)
    train(folder)

    assert (export_of(folder).rows, export_of(folder).rows_differing) == (4, 0)
    assert export_of(folder).largest_logit_difference < 0.1
    said = [event.message for event in events_of(folder) if isinstance(event, Log)]
    assert [text for text in said if text.startswith("The exported artifact, read back, gives another most likely")]


def test_an_export_that_is_not_the_trained_model_shows_in_the_difference(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_and_damage(folder: Any, **saved: Any) -> None:
        save_tuned(folder, **saved)
        file = folder.adapter / "adapter_model.safetensors"
        save_file({name: -8 * tensor for name, tensor in load_file(file).items()}, file)

    monkeypatch.setattr(run, "save_tuned", save_and_damage)
    folder = make_run(training=FEW)

    assert train(folder) == 0

    assert export_of(folder).largest_logit_difference > 0.5


def test_card_and_manifest_say_what_was_measured(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={**FEW, "max_steps": 6})
    train(folder)

    adapter = folder / "artifacts" / "adapter"
    manifest = json.loads((adapter / "manifest.json").read_text())
    report = report_of(folder)
    assert report.training is not None
    assert report.training.forecast is not None
    assert manifest["spec"] == report.spec.model_dump(mode="json")
    assert manifest["inputs"] == {str(file.split): file.sha256 for file in report.spec.inputs}
    assert set(manifest["seeds"].values()) == {1}
    assert set(manifest["base_model"]["files"]) == {
        "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert manifest["predicted_and_actual"] == report.training.forecast.model_dump(mode="json")
    assert manifest["training"]["export"]["rows"] == 4
    assert manifest["versions"] == report.versions
    assert manifest["hardware"]["cpu_cores"] > 0
    assert len(manifest["commit"] or "0" * 40) == 40
    assert len(manifest["spec_sha256"]) == 64
    card = (adapter / "README.md").read_text()
    for line in ("base_model: tiny-llama", "library_name: peft", "pipeline_tag: text-generation", "model-index:"):
        assert line in card
    assert "0 of 4 test rows (0.000, 95 % interval 0.000 to" in card


def test_the_hub_reads_the_model_card(make_run: MakeRun, train: Train, own_models_dir: Path) -> None:
    (own_models_dir / "tiny-llama" / "README.md").write_text("---\nlicense: apache-2.0\n---\nA model.\n")
    folder = make_run(training={"max_steps": 1})
    train(folder, models_dir=own_models_dir)

    card = ModelCard.load(folder / "artifacts" / "adapter" / "README.md").data

    assert (card.license, card.base_model, card.library_name) == ("apache-2.0", "tiny-llama", "peft")
    assert (card.to_dict()["base_model_relation"], card.pipeline_tag) == ("adapter", "text-generation")
    results = card.eval_results
    assert results is not None
    test = report_of(folder).spec.inputs[2]
    assert {(found.metric_type, found.metric_value, found.dataset_revision) for found in results} == {
        ("exact_match", 0.0, test.sha256), ("json_valid", 0.0, test.sha256),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "license_keys"),
    [
        (
            "README.md",
            "---\nlicense: other\nlicense_name: own\nlicense_link: LICENSE\n---\n",
            {"license": "other", "license_name": "own", "license_link": "LICENSE"},
        ),
        ("README.md", "---\nlicense: [\n---\n", {}),
        ("manifest.json", '{"licence": "Apache-2.0"}', {"license": "apache-2.0"}),
        ("manifest.json", "[1]", {}),
    ],
)
def test_the_license_is_that_of_the_base_model(
    make_run: MakeRun, train: Train, own_models_dir: Path, name: str, content: str, license_keys: dict[str, str]
) -> None:
    """The sample model has no card but the manifest of its conversion."""
    (own_models_dir / "tiny-llama" / name).write_text(content)
    folder = make_run(training={"max_steps": 1})
    train(folder, models_dir=own_models_dir)

    card = ModelCard.load(folder / "artifacts" / "adapter" / "README.md").data.to_dict()

    assert {key: value for key, value in card.items() if key.startswith("license")} == license_keys


def test_what_events_and_saving_cost_is_counted(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training=FEW)
    train(folder)

    training = report_of(folder).training
    assert training is not None
    assert training.event_seconds is not None
    assert training.save_seconds is not None
    assert 0 < training.event_seconds < training.seconds
    assert training.save_seconds > 0
