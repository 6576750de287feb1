"""First stage, put together: spec, splits, tokenizer, rows and questions. Everything that can be refused early is.

Must not import torch, and imports transformers only after the spec, the base model's place and the splits are checked.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from playbook.contracts.dataset import Split
from playbook.contracts.report import Overlap
from playbook.contracts.run_spec import Arm, RunSpec
from playbook.contracts.states import EndReason, Stage
from playbook.scoring.overlap import measure_overlap
from playbook.trainer.data import NumberedExample, PreparedRows, prepare_rows, read_split
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.model import ModelSource, allow_hub, load_tokenizer, read_limits, resolve
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.questions import Question, build_questions
from playbook.trainer.stop import Stop

_SHOWN_LINES = 10


@dataclass(frozen=True)
class Run:
    """The surroundings of a run. `process_start`: time.monotonic() when the process began."""

    folder: RunFolder
    spec: RunSpec
    models_dir: Path
    emitter: Emitter
    stop: Stop
    process_start: float


@dataclass(frozen=True)
class Prepared:
    """What the data stage hands on. `max_length`: the spec's, or the model's context where that is shorter."""

    source: ModelSource
    tokenizer: Any
    end_ids: frozenset[int]
    context_length: int
    max_length: int
    train: PreparedRows
    validation: PreparedRows
    questions: dict[Arm, tuple[Question, ...]]
    overlap: Overlap

    @property
    def longest(self) -> int:
        """Tokens in the longest train or validation row."""
        return max(len(row.encoded.input_ids) for split in (self.train, self.validation) for row in split.rows)


def read_spec(folder: RunFolder) -> RunSpec:
    """Return the validated spec. Raises RunError(invalid_spec) naming each field that is wrong."""
    try:
        return RunSpec.model_validate_json(folder.spec.read_bytes())
    except FileNotFoundError as error:
        raise RunError(EndReason.INVALID_SPEC, f"{folder.spec.name} is not in the run folder; write it.") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']} "
            f"(got {str(problem['input'])[:80]!r})"
            for problem in error.errors()
        )
        raise RunError(EndReason.INVALID_SPEC, f"spec.json: {problems}") from error


def settings_digest(spec: RunSpec) -> str:
    """Return a digest of what training depends on; a checkpoint of other settings is never resumed."""
    parts = spec.model_dump(mode="json", include={"base_model", "seed", "lora", "training", "inputs"})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def prepare(run: Run) -> Prepared:
    """Check and encode everything the run needs. Raises RunError."""
    spec, emitter = run.spec, run.emitter
    source = resolve(spec.base_model, run.models_dir)
    splits = {split: read_split(run.folder, spec.input(split)) for split in Split}
    overlap = _measure_overlap(run, splits)
    allow_hub(source)
    tokenizer = load_tokenizer(source)
    context_length, end_ids = read_limits(source, tokenizer)
    builder = PromptBuilder(tokenizer, end_ids=end_ids)
    max_length = min(spec.training.max_length, context_length)
    run.stop.check()
    train, validation = (
        _prepare_split(run, split, splits[split], builder, max_length=max_length)
        for split in (Split.TRAIN, Split.VALIDATION)
    )
    questions = {
        arm: build_questions(
            arm,
            splits[Split.TEST],
            train=splits[Split.TRAIN],
            builder=builder,
            spec=spec,
            context_length=context_length,
        )
        for arm in spec.evaluation.arms
    }
    for arm, asked in questions.items():
        unasked = [question.index + 1 for question in asked if question.error is not None]
        if unasked:
            emitter.warn(f"{arm}: {_lines(unasked)} of test.jsonl exceed the context and count as wrong.")
    total = sum(len(examples) for examples in splits.values())
    emitter.progress(Stage.DATA, done=total, total=total, unit="rows", remaining_seconds=None)
    return Prepared(source, tokenizer, end_ids, context_length, max_length, train, validation, questions, overlap)


def _measure_overlap(run: Run, splits: dict[Split, tuple[NumberedExample, ...]]) -> Overlap:
    train, test = ([numbered.example for numbered in splits[split]] for split in (Split.TRAIN, Split.TEST))
    overlap = measure_overlap(train, test)
    if overlap.shared_rows:
        run.emitter.warn(
            f"{overlap.shared_rows} of {len(test)} test rows are in the train split too: the score of the tuned arm is "
            "partly memory. Remove them from one of the splits."
        )
    return overlap


def _prepare_split(
    run: Run, split: Split, examples: Sequence[NumberedExample], builder: PromptBuilder, *, max_length: int
) -> PreparedRows:
    name = run.spec.input(split).name
    prepared = prepare_rows(
        examples, builder, name=name, max_length=max_length, over_length=run.spec.training.over_length
    )
    supervised = [row.encoded.supervised_tokens for row in prepared.rows]
    lengths = [len(row.encoded.input_ids) for row in prepared.rows]
    run.emitter.log(
        f"{name}: {len(prepared.rows)} rows, {min(lengths)} to {max(lengths)} tokens each, of which "
        f"{min(supervised)} to {max(supervised)} are learned (the answer and its end of turn)."
    )
    for done, lines in (("dropped", prepared.dropped_lines), ("truncated", prepared.truncated_lines)):
        if lines:
            run.emitter.warn(
                f"{name}: {len(lines)} rows longer than {max_length} tokens were {done} ({_lines(lines)}), "
                f"{prepared.lost_tokens} tokens lost."
            )
    return prepared


def _lines(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_SHOWN_LINES])
    more = len(numbers) - _SHOWN_LINES
    return f"lines {shown}" + (f" and {more} more" if more > 0 else "")
