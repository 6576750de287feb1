"""What a run goes on from: the very files that it saved, of the very run that it is, or it says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from playbook.contracts.events import CheckpointSaved, Log
from playbook.contracts.run_spec import RunSpec
from playbook.contracts.states import EndReason
from playbook.trainer.model_folder import fingerprint
from playbook.trainer.prepare import trained_with
from tests.trainer.conftest import TINY_ID, MakeRun, Train, ended, events_of, warnings_of
from tests.trainer.test_process import curve

#: With dropout, so that the random state counts, and the weights of the best validation kept.
TRAINING = {"learning_rate": 0.01, "load_best_model_at_end": True}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _change_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("weights.safetensors", _cut),
        ("optimizer.safetensors", _cut),
        ("weights.safetensors", _change_a_bit),
        ("optimizer.safetensors", _change_a_bit),
        ("best.safetensors", _empty),
        ("rng.safetensors", _remove),
        ("state.json", _empty),
        ("digests.json", _cut),
    ],
)
def test_a_checkpoint_that_is_not_as_it_was_saved_is_told_and_training_starts_as_it_first_did(
    make_run: MakeRun, train: Train, file: str, damage: Callable[[Path], None]
) -> None:
    folder = make_run(training=TRAINING, lora={"lora_dropout": 0.1})
    assert train(folder) == 0
    first = curve(folder)
    path = folder / "checkpoints" / "step-000004" / file
    assert path.is_file()
    damage(path)

    assert train(folder) == 0

    (said,) = [text for text in warnings_of(folder) if "step-000004" in text]
    assert said.endswith("Training starts again from step 0.")
    assert curve(folder) == first


def test_a_checkpoint_for_which_there_is_no_memory_keeps_its_steps(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    assert train(folder) == 0

    def no_memory(*_: object, **__: object) -> None:
        raise SafetensorError("Error while deserializing: Cannot allocate memory (os error 12)")

    monkeypatch.setattr("playbook.trainer.checkpoint.load_file", no_memory)
    assert train(folder) == 1

    assert ended(folder).reason is EndReason.OUT_OF_MEMORY
    monkeypatch.undo()
    assert not [text for text in warnings_of(folder) if "starts again" in text]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000004"]


def test_a_later_checkpoint_that_cannot_be_read_makes_way_for_those_of_the_new_start(
    make_run: MakeRun, train: Train
) -> None:
    folder = make_run(training={"max_steps": 6, "save_steps": 2})
    assert train(folder) == 0
    _cut(folder / "checkpoints" / "step-000006" / "optimizer.safetensors")
    late = folder / "checkpoints" / "step-000008"
    (folder / "checkpoints" / "step-000006").rename(late)

    assert train(folder) == 0

    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000006"]
    saved = [event.name for event in events_of(folder) if isinstance(event, CheckpointSaved)]
    assert saved == ["step-000002", "step-000004", "step-000006"] * 2


def _change(folder: Path, **changes: Any) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    for part, values in changes.items():
        spec[part] = spec[part] | values if isinstance(values, dict) else values
    (folder / "spec.json").write_text(json.dumps(spec))


def test_to_train_with_passages_or_without_is_another_run_either_way(make_run: MakeRun) -> None:
    document = json.dumps({"id": "a", "text": "The answer is one."}).encode()
    asked = {"documents": document, "evaluation": {"arms": ["rag", "rag_lora"]}}
    without, with_passages = (
        trained_with(
            RunSpec.model_validate_json(
                (make_run(name=str(on), retrieval={"in_training": on}, **asked) / "spec.json").read_bytes()
            ),
            base="digest",
        )
        for on in (False, True)
    )

    assert (without["retrieval.in_training"], with_passages["retrieval.in_training"]) == ("false", "true")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"learning_rate": 0.02}}, "(training.learning_rate 0.0005, now 0.02)"),
        (
            {"seed": 2, "lora": {"r": 4, "lora_alpha": 8}},
            "(seed 1, now 2; lora.r 16, now 4; lora.lora_alpha 32.0, now 8",
        ),
        ({"prompt": {"system": "Be brief."}}, '(prompt.system null, now "Be brief.")'),
    ],
)
def test_a_run_with_other_settings_never_goes_on_from_a_checkpoint(
    make_run: MakeRun, train: Train, changes: dict[str, Any], words: str
) -> None:
    folder = make_run()
    assert train(folder) == 0
    kept = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}
    _change(folder, **changes)

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert ended(folder).message.startswith("checkpoints/step-000004 is of a run with other settings than this one")
    assert words in ended(folder).message
    assert "Give this run a folder of its own" in ended(folder).message
    assert {path: path.read_bytes() for path in folder.rglob("*.safetensors")} == kept


def test_a_base_model_that_was_replaced_meanwhile_is_found_out(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    folder = make_run()
    assert train(folder, models_dir=own_models_dir) == 0
    weights = own_models_dir / TINY_ID / "model.safetensors"
    save_file({name: 1.01 * tensor for name, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert "base_model.files" in ended(folder).message


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "chat_template.jinja", "special_tokens_map.json", "spiece.model", "config.json"]
)
def test_a_base_model_of_another_tokenizer_alone_is_another(own_models_dir: Path, name: str) -> None:
    before = fingerprint(own_models_dir / TINY_ID)
    with (own_models_dir / TINY_ID / name).open("ab") as file:
        file.write(b" ")

    assert fingerprint(own_models_dir / TINY_ID) != before


def test_what_is_measured_may_change_between_two_starts(make_run: MakeRun, train: Train) -> None:
    folder = make_run()
    assert train(folder) == 0
    _change(folder, evaluation={"arms": ["lora"], "max_new_tokens": 6})
    weights = load_file(folder / "artifacts" / "adapter" / "adapter_model.safetensors")

    assert train(folder) == 0

    said = [event.message for event in events_of(folder) if isinstance(event, Log)]
    assert "Going on from step-000004; 0 steps left." in said
    again = load_file(folder / "artifacts" / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(weights[name], again[name]) for name in weights)
