"""First stage, put together: spec, splits, tokenizer, rows and questions. Everything that can be refused early is.

Must not import torch, and imports transformers only after the spec, the base model's place and the splits are checked.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from playbook.contracts.asking import Asker
from playbook.contracts.dataset import Split
from playbook.contracts.refusals import refusals
from playbook.contracts.report import Overlap, Retrieval
from playbook.contracts.run_spec import Arm, ExampleChoice, RunSpec
from playbook.contracts.states import EndReason, Stage
from playbook.scoring.figures import counted
from playbook.scoring.overlap import measure_overlap
from playbook.scoring.settings import misfits_of, problems_of
from playbook.trainer.data import NumberedExample, PreparedRows, Row, prepare_rows, read_split
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.memory import Shape
from playbook.trainer.model import ModelSource, allow_hub, load_tokenizer, read_config, read_limits, resolve
from playbook.trainer.model_folder import fingerprint, require_weights_for
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.questions import Held, Question, build_questions
from playbook.trainer.retrieve import open_documents
from playbook.trainer.special import shown, warn_of_examples, warn_of_rows
from playbook.trainer.stop import Stop

#: Between two events of progress.
_TELL_SECONDS = 1.0
T = TypeVar("T")


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
    """What the data stage hands on. `base`: tells the base model's files from those of any other. `max_length`: the
    spec's, or the model's context where that is shorter. `config`: the base model's transformers configuration. `held`:
    the rows that are measured, with their answers, as training would read them. `repeated`: questions of the few-shot
    arm with examples of other seeds."""

    source: ModelSource
    base: str
    tokenizer: Any
    end_ids: frozenset[int]
    context_length: int
    max_length: int
    train: PreparedRows
    validation: PreparedRows
    questions: dict[Arm, tuple[Question, ...]]
    repeated: tuple[tuple[Question, ...], ...]
    overlap: Overlap
    config: Any
    builder: PromptBuilder
    held: tuple[Row, ...]
    retrieval: Retrieval | None

    @property
    def longest(self) -> int:
        """Tokens in the longest train or validation row."""
        return max(len(row.encoded.input_ids) for split in (self.train, self.validation) for row in split.rows)

    @property
    def longest_prompt(self) -> int:
        """Tokens in the longest prompt that is asked."""
        asked = [*self.questions.values(), *self.repeated]
        return max(len(question.prompt_ids) for found in asked for question in found)


class _Counted:
    """Hands on rows that are made into prompts: says how many are done, and ends the run between two if it has to."""

    def __init__(self, run: Run, *, total: int) -> None:
        self._run, self._total, self._done, self._told = run, total, 0, time.monotonic()

    def __call__(self, items: Iterable[T]) -> Iterator[T]:
        for item in self._run.stop.watched(items):
            yield item
            self._done += 1
            if time.monotonic() - self._told >= _TELL_SECONDS:
                self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        self._run.emitter.progress(
            Stage.DATA, done=self._done, total=self._total, unit="prompts", remaining_seconds=None
        )


def read_spec(folder: RunFolder) -> RunSpec:
    """Return the validated spec. Raises RunError(invalid_spec) naming each field that is wrong."""
    try:
        return RunSpec.model_validate_json(folder.spec.read_bytes())
    except FileNotFoundError as error:
        raise RunError(EndReason.INVALID_SPEC, f"{folder.spec.name} is not in the run folder; write it.") from error
    except ValidationError as error:
        problems = " ".join(map(str, refusals(error, RunSpec)))
        raise RunError(EndReason.INVALID_SPEC, f"spec.json: {problems}") from error
    except OSError as error:
        raise RunError(EndReason.INVALID_SPEC, f"spec.json cannot be read ({error}); write it as a file.") from error


def require_trainable(spec: RunSpec) -> None:
    """Raise RunError(invalid_spec) for settings that can be read but should not be trained with."""
    if spec.trains and (problem := spec.training.warmup_problem):
        raise RunError(EndReason.INVALID_SPEC, f"spec.json: training.{problem}")


def trained_with(spec: RunSpec, *, base: str) -> dict[str, str]:
    """Return what training depends on, each as JSON by its name; a checkpoint made with anything else is of another
    run. `base`: what tells the base model's files from others (`Prepared.base`)."""
    parts = spec.model_dump(mode="json", include={"base_model", "seed", "method", "lora", "training"})
    parts["prompt"] = {"system": spec.prompt.system, "user_template": spec.prompt.user_template}
    parts["inputs"] = {str(split): spec.input(split).sha256 for split in (Split.TRAIN, Split.VALIDATION)}
    # Named either way, so that to switch it on or off is a difference too.
    parts["retrieval"] = {"in_training": spec.retrieval.in_training}
    if spec.retrieval.in_training:
        parts |= spec.model_dump(mode="json", include={"retrieval", "documents"})
    parts["base_model"]["files"] = base
    return {
        f"{part}.{name}" if name else part: json.dumps(value, ensure_ascii=False)
        for part, values in parts.items()
        for name, value in (values.items() if isinstance(values, dict) else [("", values)])
    }


def prepare(run: Run) -> Prepared:
    """Check and encode everything the run needs. Raises RunError."""
    spec, emitter = run.spec, run.emitter
    source = resolve(spec.base_model, run.models_dir)
    # Work on a prompt must not even see the locked test rows.
    needed = [split for split in Split if split is not Split.TEST or spec.evaluation.split is Split.TEST]
    splits = {split: read_split(run.folder, spec.input(split), stop=run.stop) for split in needed}
    _check_metric(run, splits[spec.evaluation.split])
    overlap = _measure_overlap(run, splits)
    allow_hub(source)
    config = read_config(source)
    if source.is_local:
        require_weights_for(Shape.of(config).parameters, Path(source.location))
    tokenizer = load_tokenizer(source)
    context_length, end_ids = read_limits(source, tokenizer)
    builder = PromptBuilder(tokenizer, end_ids=end_ids)
    find, retrieval = open_documents(
        run.folder, spec, run.emitter, run.stop, models_dir=run.models_dir, builder=builder
    )
    asker = Asker(spec.prompt, spec.retrieval, find)
    asked = {split: _as_trained(run, asker, rows) for split, rows in splits.items()}
    max_length = min(spec.training.max_length, context_length)
    measured = spec.evaluation.split
    learned = (Split.TRAIN, Split.VALIDATION)
    for split, rows in asked.items():
        warn_of_rows(run.spec.input(split).name, run.stop.watched(rows), builder, emitter)
    warn_of_examples(asker, builder, emitter)
    passes = 1 + len(spec.evaluation.arms) + _repetitions(spec)
    total = sum(len(splits[split]) for split in learned) + passes * len(splits[measured])
    counted = _Counted(run, total=total)
    train, validation = (
        _prepare_split(run, split, counted(asked[split]), builder, max_length=max_length) for split in learned
    )
    held = Held(
        name=spec.input(measured).name,
        rows=splits[measured],
        train=splits[Split.TRAIN],
        asker=asker,
        builder=builder,
        spec=spec,
        context_length=context_length,
        watched=counted,
    )
    questions = {arm: build_questions(arm, held) for arm in spec.evaluation.arms}
    for arm, found in questions.items():
        unasked = [question.line for question in found if question.error is not None]
        if unasked:
            emitter.warn(f"{arm}: {held.name}, {_lines(unasked)}: over the context, which counts as wrong.")
    _require_embedded(tokenizer, config, run)
    repeated = _repeats(run, held)
    encoded = tuple(
        Row(numbered.line, builder.encode(numbered.example, where=f"{held.name}, line {numbered.line}"))
        for numbered in counted(asked[measured])
    )
    counted.tell()
    return Prepared(
        source=source,
        base=fingerprint(Path(source.location)) if source.is_local else str(getattr(config, "_commit_hash", None)),
        tokenizer=tokenizer,
        end_ids=end_ids,
        context_length=context_length,
        max_length=max_length,
        train=train,
        validation=validation,
        questions=questions,
        repeated=repeated,
        overlap=overlap,
        config=config,
        builder=builder,
        held=encoded,
        retrieval=retrieval,
    )


def _require_embedded(tokenizer: Any, config: Any, run: Run) -> None:
    """Raise RunError(base_model_unreadable) when the tokenizer has tokens that the model has no embedding of."""
    tokens, embedded = len(tokenizer), config.vocab_size
    if tokens > embedded:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"The tokenizer of base model {run.spec.base_model.id!r} has {tokens:,} tokens, and its config.json names "
            f"{embedded:,} (vocab_size): they do not belong together. Fetch the base model again.",
        )


def _check_metric(run: Run, held: Sequence[NumberedExample]) -> None:
    """Warn where expected answers do not fit the metric. Raises RunError(invalid_spec) when it cannot be used."""
    evaluation = run.spec.evaluation
    if problems := problems_of(evaluation):
        raise RunError(EndReason.INVALID_SPEC, " ".join(problems))
    for misfit in misfits_of(evaluation, [numbered.example.answer for numbered in held]):
        run.emitter.warn(f"{run.spec.input(evaluation.split).name}: {misfit}")


def _as_trained(run: Run, asker: Asker, rows: Sequence[NumberedExample]) -> tuple[NumberedExample, ...]:
    """Return the rows as training shows them: with the prompt, and with passages where the spec asks for that."""
    retrieve = run.spec.retrieval.in_training and asker.find is not None
    return tuple(replace(row, example=asker.asked(row.example, retrieve=retrieve)) for row in run.stop.watched(rows))


def _repeats(run: Run, held: Held) -> tuple[tuple[Question, ...], ...]:
    """Return the questions of the repeated measurements: the few-shot arm with examples of other seeds."""
    evaluation = run.spec.evaluation
    if evaluation.repeats > 1 and not _repetitions(run.spec):
        run.emitter.warn(
            f"repeats: {evaluation.repeats} has no effect: answers are greedy, so only a few_shot arm whose examples "
            "are drawn by seed can come out differently. Each arm is measured once."
        )
    return tuple(build_questions(Arm.FEW_SHOT, held, repeat=number) for number in range(1, 1 + _repetitions(run.spec)))


def _repetitions(spec: RunSpec) -> int:
    """Return how often the few-shot arm is measured anew, with other examples."""
    evaluation = spec.evaluation
    drawn = evaluation.few_shot_choice is ExampleChoice.SEED and not spec.prompt.examples
    return evaluation.repeats - 1 if drawn and Arm.FEW_SHOT in evaluation.arms else 0


def _measure_overlap(run: Run, splits: dict[Split, tuple[NumberedExample, ...]]) -> Overlap:
    held = run.spec.evaluation.split
    train, measured = ([numbered.example for numbered in splits[split]] for split in (Split.TRAIN, held))
    overlap = measure_overlap(train, measured)
    if overlap.shared_rows:
        run.emitter.warn(
            f"{overlap.shared_rows} of {len(measured)} {held} rows {'is' if overlap.shared_rows == 1 else 'are'} in "
            "the train split too: the score of a tuned arm is partly memory. Remove them from one of the splits."
        )
    return overlap


def _prepare_split(
    run: Run, split: Split, examples: Iterable[NumberedExample], builder: PromptBuilder, *, max_length: int
) -> PreparedRows:
    name = run.spec.input(split).name
    prepared = prepare_rows(
        examples, builder, name=name, max_length=max_length, over_length=run.spec.training.over_length
    )
    supervised = [row.encoded.supervised_tokens for row in prepared.rows]
    lengths = [len(row.encoded.input_ids) for row in prepared.rows]
    run.emitter.log(
        f"{name}: {counted(len(prepared.rows), 'row')}, {min(lengths)} to {max(lengths)} tokens each, of which "
        f"{min(supervised)} to {max(supervised)} are learned (the answer and its end of turn)."
    )
    for done, lines in (("dropped", prepared.dropped_lines), ("truncated", prepared.truncated_lines)):
        if lines:
            run.emitter.warn(
                f"{name}: {counted(len(lines), 'row')} longer than {max_length} tokens {done} ({_lines(lines)}), "
                f"{counted(prepared.lost_tokens, 'token')} lost."
            )
    return prepared


def _lines(numbers: Sequence[int]) -> str:
    return f"line{'' if len(numbers) == 1 else 's'} {shown(numbers)}"
