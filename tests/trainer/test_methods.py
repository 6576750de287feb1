"""Each way to tune: what it trains, what it leaves behind, and that other programs load it unchanged."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from playbook.contracts.events import Configured, MetricPoint
from playbook.contracts.run_spec import Arm, LoraSettings
from playbook.contracts.states import EndReason
from playbook.trainer.adapters import with_lora
from tests.trainer.conftest import TINY_ID, MakeRun, Train, ended, events_of, report_of

PROMPT = "<|im_start|>user\nsay 7<|im_end|>\n<|im_start|>assistant\n"
FEW = {"max_steps": 3, "eval_steps": 3, "save_steps": 3, "learning_rate": 0.01}


def logits_of(model: Any, folder: Path) -> torch.Tensor:
    ids = AutoTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(input_ids=ids).logits
    return found


@pytest.mark.parametrize(
    ("lora", "scale"),
    [({"r": 4, "lora_alpha": 8}, 2.0), ({"r": 4, "lora_alpha": 8, "use_rslora": True}, 4.0), ({"use_dora": True}, 2.0)],
    ids=["lora", "rslora", "dora"],
)
def test_peft_loads_the_adapter_unchanged_with_the_scale_of_its_method(
    make_run: MakeRun, train: Train, tiny_models_dir: Path, monkeypatch: pytest.MonkeyPatch, lora: Any, scale: float
) -> None:
    folder = make_run(lora=lora, training=FEW)
    assert train(folder) == 0
    monkeypatch.chdir(tiny_models_dir)  # the adapter names its base model by id, and that is a folder here

    adapter = folder / "artifacts" / "adapter"
    with warnings.catch_warnings():
        # peft asks transformers for a name that transformers has just deprecated.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        loaded = AutoPeftModelForCausalLM.from_pretrained(str(adapter))

    layer = loaded.base_model.model.model.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == scale
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"]) == (bool(lora.get("use_dora")), bool(lora.get("use_rslora")))
    base = AutoModelForCausalLM.from_pretrained(tiny_models_dir / TINY_ID)
    tuned, untuned = logits_of(loaded, adapter), logits_of(base, adapter)
    assert (tuned - untuned).abs().max() > 0.01
    saved = load_file(adapter / "adapter_model.safetensors")
    kept = {name.replace(".default", ""): value for name, value in loaded.named_parameters() if "lora_" in name}
    assert {name: torch.equal(saved[name], kept[name]) for name in saved if name in kept}
    assert all(torch.equal(saved[name], kept[name]) for name in saved if name in kept)


@pytest.mark.parametrize("lora", [{}, {"lora_dropout": 0.2}, {"use_dora": True}], ids=["lora", "dropout", "dora"])
def test_activations_computed_twice_change_no_step(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch, lora: Any
) -> None:
    """In bfloat16 peft's own layers would cast their input the second time, and torch would refuse the other dtype."""
    monkeypatch.setattr("playbook.trainer.preflight.faster_dtype", lambda device: "bfloat16")
    curves = []
    for twice in (False, True):
        folder = make_run(name=f"twice-{twice}", lora=lora, training={**FEW, "gradient_checkpointing": twice})
        assert train(folder) == 0
        points = [event.values for event in events_of(folder) if isinstance(event, MetricPoint)]
        curves.append([values["train_loss"] for values in points if "train_loss" in values])

    assert curves[0] == pytest.approx(curves[1], abs=1e-4)


def test_dora_learns_a_magnitude_for_each_output(make_run: MakeRun, train: Train) -> None:
    folder = make_run(lora={"use_dora": True}, training=FEW)
    train(folder)

    names = load_file(folder / "artifacts" / "adapter" / "adapter_model.safetensors")
    assert [name for name in names if "lora_magnitude_vector" in name]


def test_qlora_without_cuda_is_refused_with_the_reason(make_run: MakeRun, train: Train) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device, so there is nothing to refuse")
    folder = make_run(method="qlora")

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert ended(folder).message.startswith("method: qlora needs a CUDA device, and this worker has none")
    assert "Use method: lora" in ended(folder).message


def test_full_tuning_trains_every_weight_and_leaves_a_whole_model(
    make_run: MakeRun, train: Train, tiny_models_dir: Path
) -> None:
    folder = make_run(method="full", training={**FEW, "learning_rate": 1e-3})
    assert train(folder) == 0

    model = folder / "artifacts" / "model"
    before = AutoModelForCausalLM.from_pretrained(tiny_models_dir / TINY_ID)
    after = AutoModelForCausalLM.from_pretrained(model)
    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    assert configured.trainable_parameters == configured.total_parameters == sum(p.numel() for p in after.parameters())
    assert (logits_of(before, model) - logits_of(after, model)).abs().max() > 0.01
    assert not (folder / "artifacts" / "adapter").exists()
    assert {path.name for path in model.iterdir()} >= {
        "config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "README.md", "manifest.json",
    }  # fmt: skip
    report = report_of(folder)
    assert [arm.arm for arm in report.arms] == [Arm.ZERO_SHOT, Arm.LORA]
    assert report.training is not None
    assert report.training.export is not None
    assert report.training.export.rows == 4


def test_full_tuning_compares_with_the_untuned_model(make_run: MakeRun, train: Train) -> None:
    """The base arm answers with the base weights, which full tuning has overwritten in memory."""
    full, lora = make_run(method="full", name="full", training=FEW), make_run(name="lora", training=FEW)
    train(full)
    train(lora)

    answers = [[item.output for item in report_of(folder).arms[0].items] for folder in (full, lora)]
    assert answers[0] == answers[1]


def test_layers_that_hold_their_weights_the_other_way_round_are_adapted_by_name() -> None:
    """Those of GPT-2, which are no linear modules for torch; peft would warn about each."""
    sizes = {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2}
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **sizes))

    adapted = with_lora(base, LoraSettings(target_modules=("c_attn",)), seed=1)

    assert [name for name, _ in adapted.named_parameters() if "lora_A" in name and ".c_attn." in name]
    assert adapted.peft_config["default"].fan_in_fan_out is True
