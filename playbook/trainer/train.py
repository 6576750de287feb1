"""Second stage: the training loop, read from top to bottom.

Speed on a CPU comes from four choices measured in design.md: a bf16 base with fp32 adapters under autocast, logits at
the answer alone, batches of similar length, fused AdamW.
"""

import contextlib
import math
import re
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from playbook.contracts.run_spec import TrainingSettings
from playbook.contracts.states import EndReason, Stage
from playbook.scoring.figures import counted
from playbook.trainer import watch
from playbook.trainer.checkpoint import (
    BEST_FILE,
    CheckpointWriter,
    TrainingState,
    load_weights,
    restore_checkpoint,
    save_best,
)
from playbook.trainer.data import Row, rows_of_step
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import RunError, first_line, is_out_of_memory
from playbook.trainer.folder import RunFolder
from playbook.trainer.forecast import Foresight
from playbook.trainer.layout import VALIDATION_BATCH_ROWS, Layout, computed_tokens
from playbook.trainer.loss import loss_sum
from playbook.trainer.model import LoadedModel, compile_layers
from playbook.trainer.schedule import Pace, Workload, learning_rate_at, worth_compiling
from playbook.trainer.stop import Stop

#: By their names, as transformers knows them.
_WITHOUT_DECAY = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


@dataclass(frozen=True)
class TrainingJob:
    """What the loop needs, gathered by `run`. `process_start`: time.monotonic() at the start of the process.
    `foresight` predicts after the first steps. `layout`: how rows lie, which was proved to change no logit."""

    loaded: LoadedModel
    settings: TrainingSettings
    rows: tuple[Row, ...]
    validation_rows: tuple[Row, ...]
    seed: int
    pad_id: int
    folder: RunFolder
    emitter: Emitter
    stop: Stop
    workload: Workload
    process_start: float
    made_with: dict[str, str]
    foresight: Foresight
    layout: Layout = Layout.PADDED
    pace: Pace = field(default_factory=Pace)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Tokens in each row."""
        return tuple(len(row.encoded.input_ids) for row in self.rows)


def train(job: TrainingJob, *, resume: tuple[Path, TrainingState] | None) -> TrainingState:
    """Run the optimizer steps that are left and return the final state; the weights in `job.loaded` are then trained:
    those of the last step, or with `load_best_model_at_end` those of the best validation.

    Raises RunError: diverged, cancelled_by_user, lease_lost, out_of_memory (saying what to change); OSError or
    SafetensorError on a full disk; DamagedCheckpointError when `resume` cannot be read.
    """
    model, device, settings = job.loaded.model, job.loaded.device, job.settings
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(groups_of(model, settings.weight_decay), lr=settings.learning_rate, fused=True)
    state = TrainingState(made_with=job.made_with, compute_dtype=job.loaded.compute_dtype)
    if resume is not None:
        path, state = resume
        restore_checkpoint(path, model=model, optimizer=optimizer, device=device)
    model.train()
    writer = CheckpointWriter(job.folder.checkpoints)
    try:
        state = _all_steps(job, writer, optimizer, parameters, state)
    except BaseException:
        # However training ends, what was being saved is whole or gone before anybody looks, and said if it is whole.
        writer.wait()
        with contextlib.suppress(OSError):
            _tell_saved(job, writer)
        raise
    writer.wait()
    _tell_saved(job, writer)
    if settings.load_best_model_at_end and state.best_step != state.step:
        load_weights(job.folder.checkpoints / BEST_FILE, model=model, device=device)
        job.emitter.log(f"The weights of step {state.best_step}, with the lowest validation loss, are handed over.")
    return state


def groups_of(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the trained parameters for AdamW: those that decay, and biases and norms, which transformers leaves out of
    it too (`Trainer.get_decay_parameter_names`): towards 0 a norm would silence its layer."""
    still = {
        id(own) for module in model.modules() if isinstance(module, torch.nn.LayerNorm) for own in module.parameters()
    }
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[id(parameter) not in still and not _WITHOUT_DECAY.search(name.lower())].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decays else 0.0}
        for decays, parameters in groups.items()
        if parameters
    ]


def _all_steps(
    job: TrainingJob,
    writer: CheckpointWriter,
    optimizer: torch.optim.Optimizer,
    parameters: list[torch.nn.Parameter],
    state: TrainingState,
) -> TrainingState:
    """Make the steps that are left, with their validations and checkpoints, and return the final state."""
    settings, loaded = job.settings, job.loaded
    while state.step < settings.max_steps and not state.stopped_early:
        job.stop.check()
        try:
            state = _one_step(job, optimizer, parameters, state)
            if state.step == settings.max_steps or state.step % settings.eval_steps == 0:
                state = _validate(job, state)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise _out_of_memory(job, state, error) from error
            raise
        if state.step == settings.max_steps or state.step % settings.save_steps == 0 or state.stopped_early:
            start = time.monotonic()
            writer.save(state=state, model=loaded.model, optimizer=optimizer, device=loaded.device)
            state = state.model_copy(update={"save_seconds": state.save_seconds + time.monotonic() - start})
        _tell_saved(job, writer)
    return state


def _tell_saved(job: TrainingJob, writer: CheckpointWriter) -> None:
    for step, name in writer.finished():
        job.emitter.checkpoint_saved(step, name)


def _one_step(
    job: TrainingJob, optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter], state: TrainingState
) -> TrainingState:
    """Make one optimizer step, emit its metrics and return the new state."""
    start = time.monotonic()
    learning_rate = learning_rate_at(state.step, job.settings)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    rows = _rows_of_step(job, state.step)
    loss = _accumulate_gradients(job, rows, updates=state.step)
    # Without a limit it is measured all the same.
    limit = job.settings.max_grad_norm or math.inf
    grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
    if not math.isfinite(grad_norm):
        raise _diverged(f"gradient norm is {grad_norm}", state.step)
    optimizer.step()
    optimizer.zero_grad()
    seconds = time.monotonic() - start
    tokens = sum(len(row.encoded.input_ids) for row in rows)
    computed = computed_tokens(rows, job.layout, batch_size=job.settings.per_device_train_batch_size)
    new = state.model_copy(
        update={
            "step": state.step + 1,
            "seconds": state.seconds + seconds,
            "seconds_to_first_step": state.seconds_to_first_step or time.monotonic() - job.process_start,
            "tokens": state.tokens + tokens,
            "computed_tokens": state.computed_tokens + computed,
            "supervised_tokens": state.supervised_tokens + sum(row.encoded.supervised_tokens for row in rows),
            "train_losses": (*state.train_losses, loss),
        }
    )
    job.emitter.metric(
        new.step,
        {
            "train_loss": loss,
            "learning_rate": learning_rate,
            "grad_norm": grad_norm,
            "tokens_per_second": tokens / seconds,
            "peak_memory_bytes": float(peak_memory_bytes(job.loaded.device)),
        },
    )
    # As the work that is left is counted.
    job.pace.step_done(tokens=computed, seconds=seconds)
    _emit_progress(job, new)
    _foresee(job, new, rows, seconds=seconds)
    new = watch.with_loss(new, loss)
    return _warn_once(job, new, "divergence", watch.divergence(new))


def _warn_once(job: TrainingJob, state: TrainingState, name: str, warning: str | None) -> TrainingState:
    if warning is None:
        return state
    job.emitter.warn(warning)
    return state.model_copy(update={"warned": (*state.warned, name)})


def _foresee(job: TrainingJob, state: TrainingState, rows: Sequence[Row], *, seconds: float) -> None:
    """Tell the foresight about a step, and compile the layers when it says that this pays."""
    if job.foresight.is_done:
        return
    job.foresight.step_done(
        state.step,
        rows=rows,
        seconds=seconds,
        peak_bytes=peak_memory_bytes(job.loaded.device),
    )
    left = job.foresight.seconds_left
    if job.settings.torch_compile and left is not None:
        pays = job.loaded.device.type == "cuda" and worth_compiling(left)
        if pays:
            compile_layers(job.loaded.model)
        job.emitter.log(
            "The layers are compiled from the next step on."
            if pays
            else "torch_compile is not used: there is no GPU, or too little of the run is left to repay the start-up."
        )


def _rows_of_step(job: TrainingJob, step: int) -> list[Row]:
    settings = job.settings
    indices = rows_of_step(
        job.lengths,
        step=step,
        rows_per_step=settings.per_device_train_batch_size * settings.gradient_accumulation_steps,
        seed=job.seed,
    )
    return [job.rows[index] for index in indices]


def _accumulate_gradients(job: TrainingJob, rows: Sequence[Row], *, updates: int) -> float:
    """Add the gradients of one optimizer step and return its mean loss in nats per supervised token.

    Each token weighs the same whatever micro-batch it is in, so 1 × 8 rows and 8 × 1 rows give the same step
    (transformers PR 34191 fixed the mean of means that did not).
    """
    size = job.settings.per_device_train_batch_size
    supervised = sum(row.encoded.supervised_tokens for row in rows)
    total = 0.0
    for at in range(0, len(rows), size):
        loss = loss_sum(job.loaded, rows[at : at + size], pad_id=job.pad_id, layout=job.layout) / supervised
        total += loss.item()
        if not math.isfinite(total):
            lines = ", ".join(str(row.line) for row in rows[at : at + size])
            raise _diverged(f"train loss is {total} on the rows of lines {lines}", updates)
        loss.backward()  # type: ignore[no-untyped-call]
    return total


def _validate(job: TrainingJob, state: TrainingState) -> TrainingState:
    """Measure the validation loss, emit it, say what it did, and return the state that remembers it."""
    rows = sorted(job.validation_rows, key=lambda row: len(row.encoded.input_ids))
    job.loaded.model.eval()
    total = 0.0
    with torch.inference_mode():
        for at in range(0, len(rows), VALIDATION_BATCH_ROWS):
            job.stop.check()
            total += _loss_or_halves(job, rows[at : at + VALIDATION_BATCH_ROWS])
    job.loaded.model.train()
    loss = total / sum(row.encoded.supervised_tokens for row in rows)
    if not math.isfinite(loss):
        raise _diverged(f"validation loss is {loss}", state.step)
    job.emitter.metric(state.step, {"validation_loss": loss})
    gained = state.best_loss is None or loss < state.best_loss
    without_gain = 0 if gained else state.checks_without_gain + 1
    patience = job.settings.early_stopping_patience
    new = state.model_copy(
        update={
            "validation_losses": (*state.validation_losses, loss),
            "train_losses": (),
            "train_means": (*state.train_means, sum(state.train_losses) / len(state.train_losses)),
            "final_train_loss": state.train_losses[-1],
            "peak_memory_bytes": max(state.peak_memory_bytes, peak_memory_bytes(job.loaded.device)),
            "checks_without_gain": without_gain,
            "stopped_early": patience is not None and without_gain >= patience,
            **({"best_loss": loss, "best_step": state.step} if gained else {}),
        }
    )
    if gained and job.settings.load_best_model_at_end:
        save_best(job.folder.checkpoints, model=job.loaded.model)
    job.emitter.log(
        f"Step {new.step} of {job.settings.max_steps}: train loss {new.train_means[-1]:.4f} (mean since the last "
        f"check), validation loss {loss:.4f}{_change(state.validation_losses, loss)}."
    )
    if watch.overfits(new):
        job.emitter.warn(
            f"Step {new.step}: validation loss rose to {loss:.4f} from its best {min(state.validation_losses):.4f} "
            "while train loss fell: the model starts to memorise the train rows. Use fewer steps or more varied rows."
        )
    if new.stopped_early:
        job.emitter.log(
            f"Training stops at step {new.step}: {without_gain} checks in a row without a lower validation loss than "
            f"{new.best_loss:.4f} at step {new.best_step} (early_stopping_patience {patience})."
        )
    return _warn_once(job, new, "stall", watch.stall(new))


def _loss_or_halves(job: TrainingJob, rows: Sequence[Row]) -> float:
    """Return the summed loss of the rows; where the memory does not hold them together, of each half in turn."""
    # A block mask of so many rows would take more memory than a step's.
    layout = Layout.PADDED if job.layout is Layout.PACKED else job.layout
    try:
        return loss_sum(job.loaded, rows, pad_id=job.pad_id, layout=layout).item()
    except (MemoryError, RuntimeError) as error:
        if len(rows) == 1 or not is_out_of_memory(error):
            raise
    half = len(rows) // 2
    return _loss_or_halves(job, rows[:half]) + _loss_or_halves(job, rows[half:])


def _change(before: tuple[float, ...], loss: float) -> str:
    return f" ({loss - before[-1]:+.4f})" if before else ""


def _diverged(what: str, updates: int) -> RunError:
    advice = (
        "Lower learning_rate (try a tenth), or warm up over more steps."
        if updates
        else "Nothing was trained yet, so the base model's own weights give that: fetch the base model again."
    )
    return RunError(EndReason.DIVERGED, f"The {what} after {counted(updates, 'step')}. {advice}")


def _out_of_memory(job: TrainingJob, state: TrainingState, error: BaseException) -> RunError:
    settings = job.settings
    size, pieces = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    longest = max(job.lengths)
    if size > 1:
        advice = (
            f"Set per_device_train_batch_size {size // 2} (now {size}) and gradient_accumulation_steps {pieces * 2} "
            f"(now {pieces}), which trains the same"
        )
    else:
        advice = f"Lower max_length (now {settings.max_length}; the longest row has {longest} tokens)"
    saved = state.step // settings.save_steps * settings.save_steps
    return RunError(
        EndReason.OUT_OF_MEMORY,
        f"Memory ran out at step {state.step + 1} of {settings.max_steps} ({first_line(error)}). {advice}, or "
        f"set gradient_checkpointing. "
        + (f"The checkpoint of step {saved} is kept." if saved else "Nothing was saved."),
    )


def _emit_progress(job: TrainingJob, state: TrainingState) -> None:
    steps = job.settings.max_steps
    remaining = job.workload.remaining_after(
        state.step,
        max_steps=steps,
        eval_steps=job.settings.eval_steps,
        seconds_per_step=job.pace.seconds_per_token * job.workload.training_step,
    )
    job.emitter.progress(Stage.TRAINING, done=state.step, total=steps, unit="steps", remaining_seconds=remaining)


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory held so far: of the GPU, or of the process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
