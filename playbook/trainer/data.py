"""First stage: read and check the splits, turn rows into token ids, and plan which rows each step sees.

Pure Python on lists of ids; must not import torch, so that bad data is refused before anything heavy loads.
"""

import contextlib
import hashlib
import io
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from playbook.contracts.dataset import Example, read_examples
from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.run_spec import InputFile, OverLength
from playbook.contracts.states import EndReason
from playbook.scoring.figures import counted
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.prompt import Encoded, PromptBuilder
from playbook.trainer.stop import Stop

_SHOWN_PROBLEMS = 5
#: Rows are sorted by length within this many steps: enough to save padding, few enough to keep the order random.
_WINDOW_STEPS = 16


@dataclass(frozen=True)
class NumberedExample:
    """An example and its 1-based line in the file."""

    line: int
    example: Example


@dataclass(frozen=True)
class Row:
    """A row ready for training."""

    line: int
    encoded: Encoded


@dataclass(frozen=True)
class PreparedRows:
    """What is left of a split after the over-length rule, and what the rule did to it.

    `unshown_lines`: rows with tools or tool calls that the chat template leaves out; `partial_lines`: rows with an
    answer of which it leaves out a part.
    """

    rows: tuple[Row, ...]
    dropped_lines: tuple[int, ...]
    truncated_lines: tuple[int, ...]
    lost_tokens: int
    unshown_lines: tuple[int, ...] = ()
    partial_lines: tuple[int, ...] = ()


def read_input(path: Path, file: InputFile | DocumentsFile) -> bytes:
    """Return the bytes at `path`, which are those that the spec names. Raises RunError: input_mismatch."""
    try:
        if path.exists() and not path.is_file():
            # A folder cannot be read, a device has no end.
            raise OSError("it is no file")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RunError(
            EndReason.INPUT_MISMATCH, f"inputs/{file.name} is not in the run folder; launch the job again."
        ) from error
    except OSError as error:
        raise RunError(
            EndReason.INPUT_MISMATCH, f"inputs/{file.name} cannot be read ({error}); launch the job again."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise RunError(
            EndReason.INPUT_MISMATCH,
            f"inputs/{file.name} has SHA-256 {digest} ({len(data):,} bytes), the spec names {file.sha256} "
            f"({file.size_bytes:,} bytes); launch the job again.",
        )
    return data


def read_split(folder: RunFolder, file: InputFile, *, stop: Stop) -> tuple[NumberedExample, ...]:
    """Return the examples of one split.

    Raises RunError: input_mismatch, invalid_dataset, and between two lines cancelled_by_user or lease_lost.
    """
    data = read_input(folder.input(file), file)
    lines = list(io.BytesIO(data))
    result = read_examples(stop.watched(lines))
    if result.problems:
        shown = "; ".join(str(problem) for problem in result.problems[:_SHOWN_PROBLEMS])
        more = len(result.problems) - _SHOWN_PROBLEMS
        raise RunError(
            EndReason.INVALID_DATASET,
            f"{file.name}: {shown}" + (f" And {counted(more, 'more problem')}." if more > 0 else ""),
        )
    if len(result.examples) != file.rows:
        # A report must answer as many rows as its spec names, and would be refused when all the work is done.
        raise RunError(
            EndReason.INPUT_MISMATCH,
            f"inputs/{file.name} holds {counted(len(result.examples), 'row')}, the spec names {file.rows:,}; set "
            "`rows` of that input to what the file holds, or launch the job again.",
        )
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    return tuple(NumberedExample(n, example) for n, example in zip(numbers, result.examples, strict=True))


def prepare_rows(
    examples: Iterable[NumberedExample],
    builder: PromptBuilder,
    *,
    name: str,
    max_length: int,
    over_length: OverLength,
) -> PreparedRows:
    """Return the rows of a split (`name` is used in messages), none longer than `max_length` tokens.

    Raises RunError: row_too_long (refused, or an answer that no cut of the prompt makes room for), nothing_to_learn.
    """
    rows: list[Row] = []
    dropped: list[int] = []
    truncated: list[int] = []
    too_long: list[tuple[int, int]] = []
    unshown: list[int] = []
    partial: list[int] = []
    lost_tokens = 0
    for numbered in examples:
        encoded = builder.encode(numbered.example, where=f"{name}, line {numbered.line}")
        if leaves_tools_out(numbered.example, encoded, builder):
            unshown.append(numbered.line)
        if not encoded.whole:
            partial.append(numbered.line)
        if len(encoded.input_ids) > max_length:
            if over_length is OverLength.REFUSE:
                too_long.append((numbered.line, len(encoded.input_ids)))
                continue
            if over_length is OverLength.DROP:
                dropped.append(numbered.line)
                lost_tokens += len(encoded.input_ids)
                continue
            shorter = _shorten(numbered, builder, name=name, max_length=max_length, encoded=encoded)
            if len(shorter.input_ids) > max_length:
                too_long.append((numbered.line, len(shorter.input_ids)))
                continue
            truncated.append(numbered.line)
            lost_tokens += len(encoded.input_ids) - len(shorter.input_ids)
            encoded = shorter
        rows.append(Row(numbered.line, encoded))
    if too_long:
        raise _refusal(too_long, name=name, max_length=max_length, over_length=over_length)
    if not rows:
        raise RunError(
            EndReason.NOTHING_TO_LEARN,
            f"{name}: every one of its {len(dropped)} rows is longer than {max_length} tokens and was dropped; "
            "raise max_length or shorten the rows.",
        )
    return PreparedRows(tuple(rows), tuple(dropped), tuple(truncated), lost_tokens, tuple(unshown), tuple(partial))


def leaves_tools_out(example: Example, encoded: Encoded, builder: PromptBuilder) -> bool:
    """Tell whether the chat template renders a row as if it had no tools, or no tool calls: the model never sees them.

    `encoded` is the row with them. Rows without tools cost nothing here.
    """
    without: list[Example] = []
    if example.tools:
        without.append(example.model_copy(update={"tools": None}))
    if any(message.tool_calls for message in example.messages):
        silent = tuple(message.model_copy(update={"tool_calls": None}) for message in example.messages)
        without.append(example.model_copy(update={"messages": silent}))
    for plain in without:
        # A row that cannot be rendered without them shows them.
        with contextlib.suppress(RunError):
            if builder.encode(plain, where="a row without its tools").input_ids == encoded.input_ids:
                return True
    return False


def _refusal(too_long: list[tuple[int, int]], *, name: str, max_length: int, over_length: OverLength) -> RunError:
    shown = ", ".join(f"line {line} ({tokens} tokens)" for line, tokens in too_long[:_SHOWN_PROBLEMS])
    more = f" and {len(too_long) - _SHOWN_PROBLEMS} more" if len(too_long) > _SHOWN_PROBLEMS else ""
    rows = f"{name}: {counted(len(too_long), 'row')} over {max_length} tokens"
    if over_length is OverLength.TRUNCATE:
        why = (
            f"{rows} in what is to be learned and the chat template alone: {shown}{more}. Answers are never cut: raise "
        )
        fix = "max_length within the model's context, shorten them, or choose over_length: drop."
    else:
        why = f"{rows}: {shown}{more}. Shorten them, raise "
        fix = "max_length within the model's context, or choose over_length: drop or truncate."
    return RunError(EndReason.ROW_TOO_LONG, why + fix)


def _shorten(
    numbered: NumberedExample, builder: PromptBuilder, *, name: str, max_length: int, encoded: Encoded
) -> Encoded:
    """Cut the longest message that is not learned at its end until the row fits, or none is left to cut. What is
    learned is never cut: half an answer, or one without its end-of-turn token, is worse than no row."""
    messages = list(numbered.example.messages)
    may_be_cut = [at for at, said in enumerate(messages[:-1]) if said.role != "assistant" or said.weight == 0]
    while (excess := len(encoded.input_ids) - max_length) > 0:
        at = max(may_be_cut, key=lambda index: len(messages[index].content), default=None)
        if at is None or not messages[at].content:
            break
        content = builder.without_tail(messages[at].content, excess)
        messages[at] = messages[at].model_copy(update={"content": content})
        shorter = numbered.example.model_copy(update={"messages": tuple(messages)})
        encoded = builder.encode(shorter, where=f"{name}, line {numbered.line}")
    return encoded


def rows_of_step(lengths: tuple[int, ...], *, step: int, rows_per_step: int, seed: int) -> list[int]:
    """Return the row indices of optimizer step `step` (0-based).

    A pure function of its arguments: a resumed run needs no data position beyond the step. Rows repeat epoch by epoch,
    each epoch in its own order; neighbours in length share a step, which saves padding.
    """
    first = step * rows_per_step
    wanted = range(first, first + rows_per_step)
    orders = {
        epoch: _epoch_order(lengths, epoch=epoch, rows_per_step=rows_per_step, seed=seed)
        for epoch in {position // len(lengths) for position in wanted}
    }
    return [orders[position // len(lengths)][position % len(lengths)] for position in wanted]


@lru_cache(maxsize=4)  # a few tenths of a second for a hundred thousand rows, and the same at every step of an epoch
def _epoch_order(lengths: tuple[int, ...], *, epoch: int, rows_per_step: int, seed: int) -> list[int]:
    rng = random.Random(f"{seed}/{epoch}")  # noqa: S311 - an order of rows, not a secret
    shuffled = list(range(len(lengths)))
    rng.shuffle(shuffled)
    window = rows_per_step * _WINDOW_STEPS
    groups: list[list[int]] = []
    for start in range(0, len(shuffled), window):
        by_length = sorted(shuffled[start : start + window], key=lambda row: lengths[row])
        groups += [by_length[at : at + rows_per_step] for at in range(0, len(by_length), rows_per_step)]
    rng.shuffle(groups)
    return [row for group in groups for row in group]
