"""Checkpoints of a run: safetensors and JSON alone, because loading a pickle can run code.

A checkpoint is written beside its final name and renamed, so a folder called `step-000010` is always complete. Data
order is a function of the step (`data.rows_of_step`), so the step is also the data position and the scheduler's.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from playbook.contracts.model import Frozen

ADAPTER_FILE = "adapter_model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
RNG_FILE = "rng.safetensors"
STATE_FILE = "state.json"
KEPT = 1


class TrainingState(Frozen):
    """Everything about a run's progress that is not a tensor. Sums cover all attempts.

    `train_losses`: those since the last validation. `train_means`: their mean at each validation.
    """

    settings_digest: str
    compute_dtype: str
    step: int = 0
    seconds: float = 0.0
    seconds_to_first_step: float = 0.0
    tokens: int = 0
    supervised_tokens: int = 0
    final_train_loss: float = 0.0
    train_losses: tuple[float, ...] = ()
    train_means: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()
    peak_memory_bytes: int = 0


def save_checkpoint(
    folder: Path, *, state: TrainingState, model: Any, optimizer: torch.optim.Optimizer, device: torch.device
) -> str:
    """Write `folder/step-NNNNNN`, remove older ones, and return the name. Raises OSError when the disk is full."""
    name = f"step-{state.step:06d}"
    partial = folder / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(_contiguous(get_peft_model_state_dict(model, save_embedding_layers=False)), partial / ADAPTER_FILE)
    save_file(_optimizer_tensors(optimizer), partial / OPTIMIZER_FILE)
    save_file(_rng_tensors(device), partial / RNG_FILE)
    (partial / STATE_FILE).write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for file in partial.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    shutil.rmtree(folder / name, ignore_errors=True)
    partial.rename(folder / name)
    for old in _names(folder)[KEPT:]:
        shutil.rmtree(folder / old)
    return name


def find_checkpoint(folder: Path, *, settings_digest: str) -> tuple[Path, TrainingState] | None:
    """Return the newest complete checkpoint of these very settings, or None.

    A folder that is damaged or of other settings is passed over: starting again is slower but right.
    """
    for name in _names(folder):
        path = folder / name
        try:
            state = TrainingState.model_validate_json((path / STATE_FILE).read_bytes())
        except (OSError, ValidationError):
            continue
        files = (ADAPTER_FILE, OPTIMIZER_FILE, RNG_FILE)
        if state.settings_digest == settings_digest and all((path / file).is_file() for file in files):
            return path, state
    return None


def restore_checkpoint(path: Path, *, model: Any, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Load adapters, optimizer and random state in place. Raises DamagedCheckpointError when a file cannot be read."""
    try:
        set_peft_model_state_dict(model, load_file(path / ADAPTER_FILE, device=str(device)))
        _restore_optimizer(optimizer, load_file(path / OPTIMIZER_FILE, device=str(device)))
        rng = load_file(path / RNG_FILE)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DamagedCheckpointError(f"{path.name} cannot be read: {error}") from error
    torch.set_rng_state(rng["cpu"])
    if device.type == "cuda" and "cuda" in rng:
        torch.cuda.set_rng_state(rng["cuda"], device)


class DamagedCheckpointError(Exception):
    """A checkpoint that looked complete cannot be read."""


def _names(folder: Path) -> list[str]:
    """Return the names of finished checkpoints, newest first."""
    return sorted((path.name for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return AdamW's state as `<parameter index>.<name>`; its settings come from the spec."""
    states: Mapping[int, Mapping[str, torch.Tensor]] = optimizer.state_dict()["state"]
    return _contiguous({f"{index}.{name}": value for index, state in states.items() for name, value in state.items()})


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _rng_tensors(device: torch.device) -> dict[str, torch.Tensor]:
    tensors = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def _contiguous(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
