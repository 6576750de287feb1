"""Adapter and base as one model, on demand: measured again, and loaded by transformers alone."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from playbook.trainer.merge import main
from tests.trainer.conftest import MakeRun, Train, report_of
from tests.trainer.test_methods import FEW, logits_of


def test_the_merged_model_answers_as_the_adapter_and_is_measured_again(
    make_run: MakeRun, train: Train, tiny_models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(training=FEW)
    train(folder)
    capsys.readouterr()

    assert main([str(folder), "--models-dir", str(tiny_models_dir)]) == 0

    merged = folder / "artifacts" / "merged"
    said = capsys.readouterr().out
    check = json.loads((merged / "manifest.json").read_text())["merge_check"]
    right = sum(item.correct for item in report_of(folder).arms[1].items)
    assert check == {
        "metric": "exact_match", "rows": 4, "adapter_right": right, "merged_right": right, "differing": 0,
    }  # fmt: skip
    assert "exact_match: adapter 0 of 4, merged 0 of 4; 0 of 4 answers differ." in said
    assert not list(merged.glob("adapter*"))
    card = (merged / "README.md").read_text()
    assert "base_model_relation: finetune" in card
    assert "library_name: transformers" in card
    assert card.count("answers differ") == 1


def test_transformers_loads_the_merged_model_by_itself(make_run: MakeRun, train: Train, tiny_models_dir: Path) -> None:
    folder = make_run(training=FEW)
    train(folder)
    main([str(folder), "--models-dir", str(tiny_models_dir)])

    merged, base = folder / "artifacts" / "merged", tiny_models_dir / "tiny-llama"
    tuned, untuned = (logits_of(AutoModelForCausalLM.from_pretrained(path), base) for path in (merged, base))
    assert (tuned - untuned).abs().max() > 0.01
    assert torch.isfinite(tuned).all()


@pytest.mark.parametrize("given", [{"method": "full"}, {"evaluation": {"arms": ["zero_shot"], "max_new_tokens": 4}}])
def test_a_run_without_an_adapter_has_nothing_to_merge(
    make_run: MakeRun, train: Train, tiny_models_dir: Path, capsys: pytest.CaptureFixture[str], given: dict[str, str]
) -> None:
    folder = make_run(training={"max_steps": 1}, **given)
    train(folder)

    assert main([str(folder), "--models-dir", str(tiny_models_dir)]) == 1

    assert "artifacts/adapter is not there: only a run that completed with an adapter" in capsys.readouterr().err
