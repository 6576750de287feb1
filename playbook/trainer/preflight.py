"""The end of the data stage: what training will see and need, said before it starts.

Token statistics, rendered sample rows with the loss mask, and the memory estimate. The first moment of a run that
imports torch, which alone knows the device: bad data has been refused by now.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from playbook.contracts.dataset import Split
from playbook.contracts.events import SampleRow, SampleToken, SplitTokens
from playbook.contracts.run_spec import Method
from playbook.contracts.states import EndReason
from playbook.scoring.figures import counted
from playbook.trainer.data import PreparedRows, Row
from playbook.trainer.day import DAY
from playbook.trainer.errors import RunError
from playbook.trainer.memory import Pass, estimate_memory, expected_layout, largest_pass
from playbook.trainer.model import choose_attention, choose_device
from playbook.trainer.number_format import faster_dtype
from playbook.trainer.prepare import Prepared, Run

_SAMPLES = {Split.TRAIN: 3, Split.VALIDATION: 1, Split.TEST: 1}
#: Tokens shown of a row; of a longer one its beginning and its end.
_SHOWN_TOKENS = 600
_LISTED_LINES = 100


@dataclass(frozen=True)
class Checked:
    """What training takes from here. `compute_dtype`: probed on this machine. `checkpointing`: the spec asks for it, or
    the estimate `memory_bytes` exceeds what is free. `prepack`: prepacked weights are
    quicker here, and there is memory for them."""

    compute_dtype: str
    checkpointing: bool
    prepack: bool
    memory_bytes: dict[str, int]
    attention: str
    device: str


def check(run: Run, prepared: Prepared) -> Checked:
    """Emit the event `preflight` and return what it found."""
    device = choose_device()
    _require_plain_weights(run, prepared, device.type)
    _require_targets(run, prepared)
    dtype = faster_dtype(device)
    attention = choose_attention(device, longest=prepared.longest, compute_dtype=dtype)
    layout = expected_layout(
        prepared.config, run.spec, attention=attention, device=device.type, longest=prepared.longest
    )
    largest = largest_pass(prepared.train.rows, run.spec.training, layout, seed=run.spec.seed)
    estimate = partial(
        estimate_memory,
        prepared.config,
        run.spec,
        one=largest,
        compute_dtype=dtype,
        attention=attention,
        device=device.type,
    )
    checkpointing = run.spec.training.gradient_checkpointing
    trains = run.spec.trains
    free = free_memory_bytes(device.type)
    prepack = trains and run.spec.method is Method.LORA and device.type == "cpu" and _prepacking_pays(dtype)
    memory = estimate(checkpointing=checkpointing, prepack=prepack)
    if prepack and sum(memory.values()) > free:
        prepack = False
        memory = estimate(checkpointing=checkpointing, prepack=False)
    if trains and not checkpointing and sum(memory.values()) > free:
        checkpointing, without = True, sum(memory.values())
        memory = estimate(checkpointing=True, prepack=False)
        run.emitter.warn(
            f"Training is estimated to need {without / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: "
            "gradient_checkpointing is switched on, "
            f"which makes it {sum(memory.values()) / 1e9:.1f} GB and steps about a third slower."
        )
    if trains and sum(memory.values()) > free:
        run.emitter.warn(
            f"Even so {sum(memory.values()) / 1e9:.1f} GB are more than the {free / 1e9:.1f} GB that are free. Halve "
            "per_device_train_batch_size and double gradient_accumulation_steps, or lower max_length."
        )
    _tell_what_the_template_adds(run, prepared)
    _warn_of_what_is_left_out(run, prepared)
    run.emitter.preflight(splits=_splits(run, prepared), samples=_samples(run, prepared), memory_bytes=memory)
    return Checked(dtype, checkpointing, prepack, memory, attention, device.type)


def _prepacking_pays(dtype: str) -> bool:
    # Brings torch.
    from playbook.trainer.prepacked import prepacking_pays

    return prepacking_pays(dtype)


def _require_plain_weights(run: Run, prepared: Prepared, device: str) -> None:
    """Raise RunError(base_model_unreadable) when the base model is quantised and there is no GPU to compute with it."""
    if device == "cpu" and getattr(prepared.config, "quantization_config", None):
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"Base model {run.spec.base_model.id!r} is quantised (quantization_config in config.json), and this worker "
            "has no CUDA device to compute with such weights. Take the model in bfloat16.",
        )


def _require_targets(run: Run, prepared: Prepared) -> None:
    if run.spec.trains and run.spec.method is not Method.FULL:
        # Brings peft, which a run without adapters does without.
        from playbook.trainer.adapters import require_targets

        require_targets(prepared.source, run.spec.lora)


def _tell_what_the_template_adds(run: Run, prepared: Prepared) -> None:
    """Say what stands in prompts and answers that no row has."""
    builder = prepared.builder
    if builder.other_end:
        ends = ", ".join(repr(builder.text_of(token)) for token in sorted(builder.end_ids))
        run.emitter.warn(
            f"The base model's chat template ends an answer with {builder.other_end!r}, and this model ends its turn "
            f"with {ends}, so both are learned, one after the other. Where the first is meant to end a turn, name it "
            "as eos_token_id in generation_config.json, or whatever runs the model elsewhere will not stop there."
        )
    if builder.asks_for_the_day:
        run.emitter.log(
            f"The base model's chat template prints today's date. Here it is told {DAY:%d %B %Y} always, in training, "
            "in every measurement and in the playground, so that a row is the same prompt on any day. Other programs "
            "tell it the day on which they run."
        )
    if builder.learned_opening:
        run.emitter.log(
            f"The base model's chat template writes {builder.learned_opening!r} before the last answer of a row. It is "
            "learned with that answer, for the model has to write it by itself, and taken off before an answer is "
            "judged."
        )


def _warn_of_what_is_left_out(run: Run, prepared: Prepared) -> None:
    for split, rows in ((Split.TRAIN, prepared.train), (Split.VALIDATION, prepared.validation)):
        lines = rows.unshown_lines
        if lines:
            run.emitter.warn(
                f"{split}.jsonl: {counted(len(lines), 'row')} with tools or tool calls that the base model's chat "
                f"template leaves out, so the model never sees them (the first is line {lines[0]}). Choose a base "
                "model whose template takes tools, or write them into the messages."
            )
        if lines := rows.partial_lines:
            run.emitter.warn(
                f"{split}.jsonl: {counted(len(lines), 'row')} with an answer of which the base model's chat template "
                f"leaves out a part, so the model never learns it (the first is line {lines[0]}). Many leave out "
                "what stands before </think>, in earlier turns or in all. To have it learned, end the row with that "
                "turn, or choose a base model whose template shows it."
            )


def free_memory_bytes(device: str) -> int:
    """Return what training may take: of the GPU, or of the machine with what this process holds already."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    free = int(lines["MemAvailable"].split()[0]) * 1024 + resident_pages * 4096
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.is_file() else "max"
    return free if allowed == "max" else min(free, int(allowed))


def _splits(run: Run, prepared: Prepared) -> dict[Split, SplitTokens]:
    found = {Split.TRAIN: split_tokens(prepared.train), Split.VALIDATION: split_tokens(prepared.validation)}
    if run.spec.evaluation.split is Split.TEST:
        found[Split.TEST] = split_tokens(PreparedRows(prepared.held, (), (), 0))
    return found


def split_tokens(prepared: PreparedRows) -> SplitTokens:
    """Return the token statistics of a split. `p95`: the smallest length that 95 % of the rows do not exceed."""
    lengths = sorted(len(row.encoded.input_ids) for row in prepared.rows)
    lost = sorted((*prepared.dropped_lines, *prepared.truncated_lines))
    return SplitTokens(
        rows=len(lengths),
        tokens=sum(lengths),
        supervised_tokens=sum(row.encoded.supervised_tokens for row in prepared.rows),
        shortest=lengths[0],
        median=round(statistics.median(lengths)),
        p95=lengths[-(-len(lengths) * 95 // 100) - 1],
        longest=lengths[-1],
        dropped_rows=len(prepared.dropped_lines),
        truncated_rows=len(prepared.truncated_lines),
        lost_tokens=prepared.lost_tokens,
        lost_lines=tuple(lost[:_LISTED_LINES]),
    )


def _samples(run: Run, prepared: Prepared) -> tuple[SampleRow, ...]:
    rows = {Split.TRAIN: prepared.train.rows, Split.VALIDATION: prepared.validation.rows}
    if run.spec.evaluation.split is Split.TEST:
        rows[Split.TEST] = prepared.held
    shown = [(split, row) for split, found in rows.items() for row in found[: _SAMPLES[split]]]
    longest = max(prepared.train.rows, key=lambda row: len(row.encoded.input_ids))
    if (Split.TRAIN, longest) not in shown:
        shown.append((Split.TRAIN, longest))
    return tuple(_sample(split, row, prepared) for split, row in shown)


def _sample(split: Split, row: Row, prepared: Prepared) -> SampleRow:
    ids, learned = row.encoded.input_ids, row.encoded.learned
    # NUL is no text that a database keeps.
    tokens = [
        SampleToken(
            text=prepared.builder.text_of(token).replace("\x00", "\N{SYMBOL FOR NULL}"),
            learned=any(start <= at < end for start, end in learned),
        )
        for at, token in _shown(ids)
    ]
    if len(ids) > _SHOWN_TOKENS:
        gap = SampleToken(text=f" … {len(ids) - _SHOWN_TOKENS} tokens … ", learned=False)
        tokens.insert(_SHOWN_TOKENS // 2, gap)
    return SampleRow(split=split, line=row.line, tokens=tuple(tokens), ends_turn=ids[-1] in prepared.builder.end_ids)


def _shown(ids: Sequence[int]) -> list[tuple[int, int]]:
    numbered = list(enumerate(ids))
    half = _SHOWN_TOKENS // 2
    return numbered if len(ids) <= _SHOWN_TOKENS else numbered[:half] + numbered[-half:]


def total_bytes(run: Run, prepared: Prepared, checked: Checked, one: Pass) -> int:
    """Return the estimate for a micro-batch, all components together."""
    return sum(
        estimate_memory(
            prepared.config,
            run.spec,
            one=one,
            compute_dtype=checked.compute_dtype,
            attention=checked.attention,
            device=checked.device,
            checkpointing=checked.checkpointing,
            prepack=checked.prepack,
        ).values()
    )
