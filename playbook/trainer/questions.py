"""What each arm asks: the held-out rows as prompts, with solved examples or retrieved passages where the arm has them.

No torch.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from playbook.contracts.asking import Asker, few_shot_messages, question_of
from playbook.contracts.dataset import Example, Message
from playbook.contracts.run_spec import Arm, ExampleChoice, OverLength, RunSpec
from playbook.contracts.states import EndReason
from playbook.scoring.overlap import fingerprint
from playbook.trainer.data import NumberedExample
from playbook.trainer.errors import RunError
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.retrieve import WordIndex

#: Names in a row's metadata what it belongs to; rows of one group vary together.
GROUP_KEY = "group"
#: Returns the solved examples to show with a row.
ChooseShots = Callable[[Example], tuple[Example, ...]]


@dataclass(frozen=True)
class Question:
    """One held-out row as one arm asks it. `index`: among the rows of the split, from 0; `line`: in the file, from 1,
    where lines may be blank. `error` is set when it cannot be asked; it then counts as wrong. `answer_ids`: the
    expected answer with its end of turn."""

    index: int
    line: int
    prompt: tuple[Message, ...]
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    expected: str
    group: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Held:
    """The rows that are measured, and what questions are made from. `name`: of their file, for messages. `watched`:
    hands on what it is given, and ends a run that was stopped."""

    name: str
    rows: Sequence[NumberedExample]
    train: Sequence[NumberedExample]
    asker: Asker
    builder: PromptBuilder
    spec: RunSpec
    context_length: int
    watched: Callable[[Iterable[int]], Iterator[int]]


def build_questions(arm: Arm, held: Held, *, repeat: int = 0) -> tuple[Question, ...]:
    """Return one question per held-out row, in file order. `repeat`: 0 is the measurement itself, each other number
    draws other examples.

    A prompt must leave room for `max_new_tokens` in the context. One that does not stays in the report as a wrong
    answer with its error: rows are never dropped from a test. A row that is too long by itself is refused (RunError
    row_too_long) under over_length: refuse.
    """
    shots = shots_for(held, repeat=repeat) if arm is Arm.FEW_SHOT else None
    return tuple(_question(arm, held, index, shots) for index in held.watched(range(len(held.rows))))


def _question(arm: Arm, held: Held, index: int, shots: ChooseShots | None) -> Question:
    numbered = held.rows[index]
    spec, where = held.spec, f"{held.name}, line {numbered.line}"
    asked = held.asker.asked(numbered.example, retrieve=arm.retrieves)
    messages = asked.prompt if shots is None else few_shot_messages(shots(numbered.example), asked)
    ids = held.builder.prompt_ids(messages, where=where, tools=asked.tools)
    room = held.context_length - spec.evaluation.max_new_tokens
    error = None
    if len(ids) > room:
        error = (
            f"{where}: the {arm} prompt has {len(ids)} tokens; the model's context of {held.context_length} leaves "
            f"{room} beside max_new_tokens {spec.evaluation.max_new_tokens}."
        )
        alone = shots is None and not arm.retrieves
        if alone and spec.training.over_length is OverLength.REFUSE:
            raise RunError(EndReason.ROW_TOO_LONG, f"{error} Shorten the row, or lower max_new_tokens.")
    encoded = held.builder.encode(asked, where=where)
    return Question(
        index=index,
        line=numbered.line,
        prompt=messages,
        prompt_ids=ids,
        answer_ids=encoded.input_ids[encoded.prompt_length :],
        expected=numbered.example.answer,
        group=numbered.example.metadata.get(GROUP_KEY),
        error=error,
    )


def shots_for(held: Held, *, repeat: int = 0) -> ChooseShots:
    """Return what chooses the solved examples of the few-shot arm, each as the model is shown it.

    Hand-written examples come first; otherwise train rows, drawn once by the seed or nearest to each question. A train
    row that is held out as well is never shown: it would tell the answer. All are shown when there are fewer.

    Raises RunError(invalid_spec) when a hand-written example repeats a held-out row.
    """
    spec, asker = held.spec, held.asker
    if spec.prompt.examples:
        _refuse_leaks(held)
        written = tuple(asker.written(example) for example in spec.prompt.examples)
        return lambda _: written
    held_out = {fingerprint(numbered.example) for numbered in held.rows}
    pool = [numbered.example for numbered in held.train if fingerprint(numbered.example) not in held_out]
    count = min(spec.evaluation.few_shot_examples, len(pool))
    if spec.evaluation.few_shot_choice is ExampleChoice.NEAREST:
        index = WordIndex([question_of(example) or "" for example in pool])

        def nearest(example: Example) -> tuple[Example, ...]:
            found = index.nearest(question_of(example) or "", count, matching=False)
            # The nearest one stands next to the question.
            return tuple(asker.asked(pool[at]) for at in reversed(found))

        return nearest
    rng = random.Random(spec.seed + repeat)  # noqa: S311 - a choice of rows, not a secret
    drawn = tuple(asker.asked(example) for example in rng.sample(pool, count))
    return lambda _: drawn


def _refuse_leaks(held: Held) -> None:
    said = {" ".join((question_of(numbered.example) or "").lower().split()): numbered.line for numbered in held.rows}
    for number, example in enumerate(held.spec.prompt.examples, start=1):
        line = said.get(" ".join(example.user.lower().split()))
        if line is not None:
            raise RunError(
                EndReason.INVALID_SPEC,
                f"prompt.examples: example {number} asks what line {line} of {held.name} asks, so it would give the "
                "answer away. Write another one.",
            )
