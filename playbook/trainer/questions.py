"""What each arm asks: the test rows as prompts, with solved examples before them for the few-shot arm. No torch."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from playbook.contracts.dataset import Example, Message
from playbook.contracts.run_spec import Arm, OverLength, RunSpec
from playbook.contracts.states import EndReason
from playbook.trainer.data import NumberedExample
from playbook.trainer.errors import RunError
from playbook.trainer.prompt import PromptBuilder, few_shot_messages


@dataclass(frozen=True)
class Question:
    """One test row as one arm asks it. `error` is set when it cannot be asked; it then counts as wrong."""

    index: int
    prompt: tuple[Message, ...]
    prompt_ids: tuple[int, ...]
    expected: str
    error: str | None = None


def build_questions(
    arm: Arm,
    test: Sequence[NumberedExample],
    *,
    train: Sequence[NumberedExample],
    builder: PromptBuilder,
    spec: RunSpec,
    context_length: int,
) -> tuple[Question, ...]:
    """Return one question per test row, in file order.

    A prompt must leave room for `max_new_tokens` in the context. A row that does not is refused (RunError
    row_too_long) under over_length: refuse. Otherwise it stays in the report as a wrong answer with its error: rows
    are never dropped from a test.
    """
    shots = choose_shots(train, spec) if arm is Arm.FEW_SHOT else ()
    room = context_length - spec.evaluation.max_new_tokens
    questions = []
    for numbered in test:
        messages = few_shot_messages(shots, numbered.example)
        ids = builder.prompt_ids(messages, where=f"test.jsonl, line {numbered.line}")
        error = None
        if len(ids) > room:
            error = (
                f"test.jsonl, line {numbered.line}: the {arm} prompt has {len(ids)} tokens; the model's context of "
                f"{context_length} leaves {room} beside max_new_tokens {spec.evaluation.max_new_tokens}."
            )
            if spec.training.over_length is OverLength.REFUSE:
                raise RunError(
                    EndReason.ROW_TOO_LONG, f"{error} Shorten the row, or lower max_new_tokens or few_shot_examples."
                )
        questions.append(Question(numbered.line - 1, messages, ids, numbered.example.answer, error))
    return tuple(questions)


def choose_shots(train: Sequence[NumberedExample], spec: RunSpec) -> tuple[Example, ...]:
    """Return `few_shot_examples` rows of the train split drawn by the run's seed; all of them when there are fewer."""
    rng = random.Random(spec.seed)  # noqa: S311 - a choice of rows, not a secret
    count = min(spec.evaluation.few_shot_examples, len(train))
    return tuple(numbered.example for numbered in rng.sample(list(train), count))
