"""Checkpoints of a run: safetensors and JSON alone, because loading a pickle can run code.

A checkpoint is written beside its final name and renamed, so a folder called `step-000010` is always complete. Data
order is a function of the step (`data.rows_of_step`), so the step is also the data position and the scheduler's.
What happens to the files after that, on a failing disk or under somebody's hands, shows by their digests: a run goes on
from the very numbers that it saved, or not at all.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from playbook.contracts.model import Frozen
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError, first_line, is_out_of_memory
from playbook.trainer.folder import sha256_of

WEIGHTS_FILE = "weights.safetensors"
BEST_FILE = "best.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
RNG_FILE = "rng.safetensors"
STATE_FILE = "state.json"
#: SHA-256 of each of the others, by name.
DIGESTS_FILE = "digests.json"
#: Differences named when a checkpoint is of another run, and characters shown of a value.
_SHOWN, _SHOWN_WIDTH = 3, 60


class TrainingState(Frozen):
    """Everything about a run's progress that is not a tensor. Sums cover all attempts.

    `made_with`: what training depends on, by name, as JSON (`prepare.trained_with`). `train_losses`: those since the
    last validation. `train_means`: their mean at each validation. `recent_losses`, `lowest_stretch` and
    `first_loss` belong to `watch`, as do the names in `warned`. `best_step` is that of the lowest validation loss,
    whose weights lie in `best.safetensors` when they are to be kept.
    """

    made_with: dict[str, str]
    compute_dtype: str
    step: int = 0
    seconds: float = 0.0
    seconds_to_first_step: float = 0.0
    save_seconds: float = 0.0
    tokens: int = 0
    computed_tokens: int = 0
    supervised_tokens: int = 0
    final_train_loss: float = 0.0
    train_losses: tuple[float, ...] = ()
    train_means: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()
    peak_memory_bytes: int = 0
    recent_losses: tuple[float, ...] = ()
    lowest_stretch: float | None = None
    first_loss: float | None = None
    warned: tuple[str, ...] = ()
    best_loss: float | None = None
    best_step: int = 0
    checks_without_gain: int = 0
    stopped_early: bool = False


class CheckpointWriter:
    """Saves checkpoints into one folder. Waiting until the disk has one happens beside the next steps.

    `save` writes the files; a thread then notes their digests, makes sure that they lie on the disk, gives the folder
    its final name and removes every other. So at every moment there is a whole checkpoint, the one before if not the
    newest.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread: Thread | None = None
        self._finished: list[tuple[int, str]] = []
        self._error: BaseException | None = None

    def save(self, *, state: TrainingState, model: Any, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        """Write `folder/step-NNNNNN`; `finished` tells when it is complete.

        Raises OSError or SafetensorError when the disk is full, also for the one before; what was half written is gone
        then, what was saved before is not. The best weights so far are in each checkpoint too (as a link): one folder
        is all that a resume needs.
        """
        self.wait()
        name = f"step-{state.step:06d}"
        partial = self._folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            save_file(trained_weights(model), partial / WEIGHTS_FILE)
            save_file(_optimizer_tensors(optimizer), partial / OPTIMIZER_FILE)
            save_file(_rng_tensors(device), partial / RNG_FILE)
            (partial / STATE_FILE).write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
            if (self._folder / BEST_FILE).is_file():
                _link(self._folder / BEST_FILE, partial / BEST_FILE)
            thread = Thread(target=self._finish, args=(partial, state.step, name), name="checkpoint")
            thread.start()
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self._thread = thread

    def finished(self) -> list[tuple[int, str]]:
        """Return (step, name) of the checkpoints that are complete since this was last asked. Raises as `save`."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        found = []
        while self._finished:  # popped one by one: the thread may append meanwhile
            found.append(self._finished.pop(0))
        return found

    def wait(self) -> None:
        """Return once nothing is being written. What went wrong is raised by the next `finished`."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _finish(self, partial: Path, step: int, name: str) -> None:
        try:
            digests = {file.name: sha256_of(file) for file in sorted(partial.iterdir())}
            (partial / DIGESTS_FILE).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
            for file in partial.iterdir():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
            shutil.rmtree(self._folder / name, ignore_errors=True)
            partial.rename(self._folder / name)
            # Not the older ones alone: a later one that could not be read is of no use either.
            for other in _names(self._folder):
                if other != name:
                    shutil.rmtree(self._folder / other)
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            self._error = error
        else:
            self._finished.append((step, name))


def save_best(folder: Path, *, model: Any) -> None:
    """Write `folder/best.safetensors` anew, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{BEST_FILE}.partial"
    try:
        save_file(trained_weights(model), partial)
        partial.replace(folder / BEST_FILE)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_weights(path: Path, *, model: Any, device: torch.device) -> None:
    """Put the tensors of a file of ours into the trained parameters of `model`, in place. Raises SafetensorError,
    KeyError (a parameter is not in the file), ValueError (it has another shape); then nothing was changed."""
    tensors = load_file(path, device=str(device))
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name, parameter in trained.items():
        if tensors[name].shape != parameter.shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(parameter.shape)}")
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(tensors[name])


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """Return the parameters that are trained, by their names; those shared by two modules once."""
    return _contiguous({name: value for name, value in model.named_parameters() if value.requires_grad})


def find_checkpoint(folder: Path, *, made_with: Mapping[str, str]) -> tuple[Path, TrainingState] | None:
    """Return the newest checkpoint, or None when there is none.

    Raises DamagedCheckpointError when it is not as it was saved, and RunError(invalid_spec) when it is of a run with
    other settings, rows or base model: what went on from it would be neither run.
    """
    names = _names(folder)
    if not names:
        return None
    path = folder / names[0]
    try:
        digests = json.loads((path / DIGESTS_FILE).read_bytes())
        state = TrainingState.model_validate_json((path / STATE_FILE).read_bytes())
        files = {WEIGHTS_FILE, OPTIMIZER_FILE, RNG_FILE, STATE_FILE, *digests}
        changed = [name for name in sorted(files) if sha256_of(path / name) != digests.get(name)]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        if is_out_of_memory(error):  # its steps are not lost
            raise
        raise DamagedCheckpointError(f"{path.name} cannot be read: {first_line(error)}") from error
    if changed:
        raise DamagedCheckpointError(f"{path.name} cannot be used: {', '.join(changed)} changed after it was saved")
    _require_same(path, state.made_with, made_with)
    return path, state


def _require_same(path: Path, made: Mapping[str, str], now: Mapping[str, str]) -> None:
    differing = [
        f"{name} {made[name][:_SHOWN_WIDTH]}, now {now[name][:_SHOWN_WIDTH]}"
        for name in made
        if now.get(name, made[name]) != made[name]
    ]
    if not differing:
        return
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    raise RunError(
        EndReason.INVALID_SPEC,
        f"checkpoints/{path.name} is of a run with other settings than this one ({'; '.join(differing[:_SHOWN])}"
        f"{more}): to go on from it would be neither run. Give this run a folder of its own, or remove checkpoints/ to "
        "train from the start.",
    )


def restore_checkpoint(path: Path, *, model: Any, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Load weights, optimizer, random state and best weights in place.

    Raises DamagedCheckpointError when a file cannot be read; the model is then as it was.
    """
    try:
        moments = load_file(path / OPTIMIZER_FILE, device=str(device))
        rng = load_file(path / RNG_FILE)
        load_weights(path / WEIGHTS_FILE, model=model, device=device)
        _restore_optimizer(optimizer, moments)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise DamagedCheckpointError(f"{path.name} cannot be read: {first_line(error)}") from error
    torch.set_rng_state(rng["cpu"])
    if device.type == "cuda" and "cuda" in rng:
        torch.cuda.set_rng_state(rng["cuda"], device)
    # A best that came after this checkpoint is found again when its step is made again.
    (path.parent / BEST_FILE).unlink(missing_ok=True)
    if (path / BEST_FILE).is_file():
        _link(path / BEST_FILE, path.parent / BEST_FILE)


class DamagedCheckpointError(Exception):
    """A checkpoint is not as it was saved."""


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _names(folder: Path) -> list[str]:
    """Return the names of finished checkpoints, newest first."""
    found = (path.name for path in folder.glob("step-*") if path.is_dir())
    # Six digits, and seven for step 1,000,000.
    return sorted(found, key=lambda name: (len(name), name), reverse=True)


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
