"""Second stage: the training loop, read from top to bottom.

Speed on a CPU comes from four choices measured in design.md: a bf16 base with fp32 adapters under autocast, logits at
the answer alone, batches of similar length, fused AdamW.
"""

import math
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting
from torch.nn import functional

from playbook.contracts.run_spec import TrainingSettings
from playbook.contracts.states import EndReason, Stage
from playbook.trainer.checkpoint import TrainingState, restore_checkpoint, save_checkpoint
from playbook.trainer.data import Row, rows_of_step
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.model import LoadedModel
from playbook.trainer.schedule import Workload, learning_rate_at
from playbook.trainer.stop import Stop

IGNORED = -100
_VALIDATION_BATCH_ROWS = 8
#: A rise of the validation loss by less than this share is noise.
_RISE = 0.02


@dataclass(frozen=True)
class TrainingJob:
    """What the loop needs, gathered by `run`. `process_start`: time.monotonic() at the start of the process."""

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
    settings_digest: str


@dataclass(frozen=True)
class Batch:
    """input_ids, attention_mask, position_ids: int64 (batch, seq), padded on the left; no mask when nothing is padded.
    labels: int64 (batch, seq), what each position predicts, IGNORED = -100 where nothing is learned."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    position_ids: torch.Tensor
    labels: torch.Tensor


def train(job: TrainingJob, *, resume: tuple[Path, TrainingState] | None) -> TrainingState:
    """Run the optimizer steps that are left and return the final state; the adapters in `job.loaded` are then trained.

    Raises RunError: diverged, cancelled_by_user, lease_lost; DamagedCheckpointError when `resume` cannot be read.
    """
    model, device, settings = job.loaded.model, job.loaded.device, job.settings
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    state = TrainingState(settings_digest=job.settings_digest, compute_dtype=job.loaded.compute_dtype)
    if resume is not None:
        path, state = resume
        restore_checkpoint(path, model=model, optimizer=optimizer, device=device)
    model.train()
    while state.step < settings.max_steps:
        job.stop.check()
        state = _one_step(job, optimizer, parameters, state)
        last = state.step == settings.max_steps
        if last or state.step % settings.eval_steps == 0:
            state = _validate(job, state)
        if last or state.step % settings.save_steps == 0:
            name = save_checkpoint(job.folder.checkpoints, state=state, model=model, optimizer=optimizer, device=device)
            job.emitter.checkpoint_saved(state.step, name)
    return state


def _one_step(
    job: TrainingJob, optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter], state: TrainingState
) -> TrainingState:
    """Make one optimizer step, emit its metrics and return the new state."""
    start = time.monotonic()
    learning_rate = learning_rate_at(state.step, job.settings)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    rows = _rows_of_step(job, state.step)
    loss = _accumulate_gradients(job, rows)
    grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, job.settings.max_grad_norm))
    if not math.isfinite(grad_norm):
        raise _diverged(f"gradient norm is {grad_norm}", state.step + 1, learning_rate)
    optimizer.step()
    optimizer.zero_grad()
    seconds = time.monotonic() - start
    tokens = sum(len(row.encoded.input_ids) for row in rows)
    new = state.model_copy(
        update={
            "step": state.step + 1,
            "seconds": state.seconds + seconds,
            "seconds_to_first_step": state.seconds_to_first_step or time.monotonic() - job.process_start,
            "tokens": state.tokens + tokens,
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
    _emit_progress(job, new)
    return new


def _rows_of_step(job: TrainingJob, step: int) -> list[Row]:
    settings = job.settings
    indices = rows_of_step(
        [len(row.encoded.input_ids) for row in job.rows],
        step=step,
        rows_per_step=settings.per_device_train_batch_size * settings.gradient_accumulation_steps,
        seed=job.seed,
    )
    return [job.rows[index] for index in indices]


def _accumulate_gradients(job: TrainingJob, rows: Sequence[Row]) -> float:
    """Add the gradients of one optimizer step and return its mean loss in nats per supervised token.

    Each token weighs the same whatever micro-batch it is in, so 1 × 8 rows and 8 × 1 rows give the same step
    (transformers PR 34191 fixed the mean of means that did not).
    """
    size = job.settings.per_device_train_batch_size
    supervised = sum(row.encoded.supervised_tokens for row in rows)
    total = 0.0
    for at in range(0, len(rows), size):
        loss = loss_sum(job, rows[at : at + size]) / supervised
        total += loss.item()
        if not math.isfinite(total):
            lines = ", ".join(str(row.line) for row in rows[at : at + size])
            raise _diverged(f"train loss is {total} on the rows of lines {lines}")
        loss.backward()  # type: ignore[no-untyped-call]
    return total


def loss_sum(job: TrainingJob, rows: Sequence[Row]) -> torch.Tensor:
    """Return the summed cross-entropy of the supervised tokens of `rows`: a float32 scalar."""
    model, device = job.loaded.model, job.loaded.device
    batch = make_batch(rows, pad_id=job.pad_id, device=device)
    learned = batch.labels != IGNORED
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=job.loaded.compute_dtype == "bfloat16")
    # peft would cast each input to fp32 only for autocast to cast it back: a tenth of the step.
    with autocast, disable_input_dtype_casting(model), _logits_at(model, learned):
        logits = model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
        ).logits[0]
    return functional.cross_entropy(logits.float(), batch.labels[learned], reduction="sum")


@contextmanager
def _logits_at(model: Any, chosen: torch.Tensor) -> Iterator[None]:
    """Within, the model gives logits of shape (1, chosen positions, vocabulary). `chosen`: bool (batch, seq).

    The vocabulary is by far the widest layer, so what it would say at prompt and padding is not even computed. The
    hidden states are picked, (batch, seq, hidden) to (1, n, hidden), in front of whatever module makes logits of them.
    """

    def pick(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0][chosen].unsqueeze(0), *inputs[1:])

    hook = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        hook.remove()


def make_batch(rows: Sequence[Row], *, pad_id: int, device: torch.device) -> Batch:
    """Return `rows` as tensors. The logit at position t predicts token t + 1, so labels are shifted by one here.

    Two rows of 3 and 2 tokens, 2 and 1 of them supervised, give labels [[a1, a2, -100], [-100, b1, -100]]; the last
    position predicts nothing.
    """
    width = max(len(row.encoded.input_ids) for row in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros((len(rows), width), dtype=torch.int64)
    labels = torch.full((len(rows), width), IGNORED)
    for at, row in enumerate(rows):
        ids = torch.tensor(row.encoded.input_ids)
        answer = ids[row.encoded.prompt_length :]
        input_ids[at, width - len(ids) :] = ids
        mask[at, width - len(ids) :] = 1
        labels[at, width - 1 - len(answer) : width - 1] = answer
    padded = bool((mask == 0).any())
    return Batch(
        input_ids=input_ids.to(device),
        # Without a mask attention takes its faster causal path.
        attention_mask=mask.to(device) if padded else None,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0).to(device),
        labels=labels.to(device),
    )


def _validate(job: TrainingJob, state: TrainingState) -> TrainingState:
    """Measure the validation loss, emit it, say what it did, and return the state that remembers it."""
    rows = sorted(job.validation_rows, key=lambda row: len(row.encoded.input_ids))
    job.loaded.model.eval()
    total = 0.0
    with torch.inference_mode():
        for at in range(0, len(rows), _VALIDATION_BATCH_ROWS):
            job.stop.check()
            total += loss_sum(job, rows[at : at + _VALIDATION_BATCH_ROWS]).item()
    job.loaded.model.train()
    loss = total / sum(row.encoded.supervised_tokens for row in rows)
    if not math.isfinite(loss):
        raise _diverged(f"validation loss is {loss}", state.step, learning_rate_at(state.step - 1, job.settings))
    job.emitter.metric(state.step, {"validation_loss": loss})
    new = state.model_copy(
        update={
            "validation_losses": (*state.validation_losses, loss),
            "train_losses": (),
            "train_means": (*state.train_means, sum(state.train_losses) / len(state.train_losses)),
            "final_train_loss": state.train_losses[-1],
            "peak_memory_bytes": max(state.peak_memory_bytes, peak_memory_bytes(job.loaded.device)),
        }
    )
    job.emitter.log(
        f"Step {new.step} of {job.settings.max_steps}: train loss {new.train_means[-1]:.4f} (mean since the last "
        f"check), validation loss {loss:.4f}{_change(state.validation_losses, loss)}."
    )
    if overfits(new):
        job.emitter.warn(
            f"Step {new.step}: validation loss rose to {loss:.4f} from its best {min(state.validation_losses):.4f} "
            "while train loss fell: the model starts to memorise the train rows. Use fewer steps or more varied rows."
        )
    return new


def overfits(state: TrainingState) -> bool:
    """Tell whether validation loss is above its best while train loss fell since the check before."""
    validation, train = state.validation_losses, state.train_means
    return len(validation) > 1 and validation[-1] > min(validation[:-1]) * (1 + _RISE) and train[-1] < train[-2]


def _change(before: tuple[float, ...], loss: float) -> str:
    return f" ({loss - before[-1]:+.4f})" if before else ""


def _diverged(what: str, step: int | None = None, learning_rate: float | None = None) -> RunError:
    where = "" if step is None else f" at step {step} with learning rate {learning_rate:.2e}"
    return RunError(
        EndReason.DIVERGED,
        f"The {what}{where}. Lower learning_rate (try a tenth), or warm up over more steps.",
    )


def _emit_progress(job: TrainingJob, state: TrainingState) -> None:
    steps = job.settings.max_steps
    remaining = job.workload.remaining_after(
        state.step,
        max_steps=steps,
        eval_steps=job.settings.eval_steps,
        seconds_per_step=state.seconds / state.step,
    )
    job.emitter.progress(Stage.TRAINING, done=state.step, total=steps, unit="steps", remaining_seconds=remaining)


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory held so far: of the GPU, or of the process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
