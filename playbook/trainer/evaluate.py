"""Third stage: every arm answers every test row, greedily, in batches padded on the left.

Nothing but token ids and text is kept of a batch: logits of a whole test split would not fit beside the model.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from playbook.contracts.report import ArmReport, ItemResult
from playbook.contracts.run_spec import Arm, EvaluationSettings
from playbook.scoring.compare import scores_of
from playbook.scoring.metrics import is_correct, json_valid
from playbook.trainer.questions import Question
from playbook.trainer.stop import Stop


@dataclass(frozen=True)
class Generated:
    """What the model said: decoded text without the end of the turn, and how it stopped."""

    text: str
    tokens: int
    natural_stop: bool


@dataclass(frozen=True)
class Generator:
    """A model ready to answer: adapters merged or disabled by the caller."""

    model: Any
    tokenizer: Any
    device: torch.device
    end_ids: frozenset[int]
    settings: EvaluationSettings
    stop: Stop


def run_arm(
    arm: Arm, questions: Sequence[Question], generator: Generator, *, on_rows_done: Callable[[int], None]
) -> ArmReport:
    """Return the answers and scores of one arm; `on_rows_done` is called with the rows answered so far.

    Raises RunError(cancelled_by_user, lease_lost) between two tokens.
    """
    start = time.monotonic()
    # Longest first: rows of a batch are alike, and a batch too large for the memory fails at once.
    askable = sorted((q for q in questions if q.error is None), key=lambda q: len(q.prompt_ids), reverse=True)
    answers: dict[int, Generated] = {}
    for at in range(0, len(askable), generator.settings.batch_size):
        batch = askable[at : at + generator.settings.batch_size]
        generated = generate(generator, [question.prompt_ids for question in batch])
        answers.update({question.index: answer for question, answer in zip(batch, generated, strict=True)})
        on_rows_done(len(answers))
    items = tuple(_item(question, answers.get(question.index), generator.settings) for question in questions)
    return ArmReport(
        arm=arm,
        items=items,
        scores=scores_of(items, metric=generator.settings.metric),
        seconds=time.monotonic() - start,
    )


def generate(generator: Generator, prompts: Sequence[tuple[int, ...]]) -> list[Generated]:
    """Return the greedy continuation of each prompt, at most `max_new_tokens` tokens long."""
    width = max(len(prompt) for prompt in prompts)
    pad_id = generator.tokenizer.pad_token_id
    input_ids = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.inference_mode():
        output = generator.model.generate(
            input_ids=input_ids.to(generator.device),
            attention_mask=mask.to(generator.device),
            generation_config=GenerationConfig(
                max_new_tokens=generator.settings.max_new_tokens,
                do_sample=False,
                eos_token_id=sorted(generator.end_ids),
                pad_token_id=pad_id,
            ),
            stopping_criteria=StoppingCriteriaList([_CheckStop(generator.stop)]),
        )
    return [_up_to_end(row, generator) for row in output[:, width:].tolist()]


class _CheckStop(StoppingCriteria):  # type: ignore[misc]
    """Never stops a row; asks between tokens whether the run was cancelled."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self._stop.check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def _up_to_end(ids: list[int], generator: Generator) -> Generated:
    """Cut at the first end-of-turn token. What follows is padding, even where padding and eos are one token."""
    end = next((at for at, token in enumerate(ids) if token in generator.end_ids), None)
    said = ids if end is None else ids[:end]
    return Generated(
        text=str(generator.tokenizer.decode(said, skip_special_tokens=True)).strip(),
        tokens=len(ids) if end is None else end + 1,
        natural_stop=end is not None,
    )


def _item(question: Question, answer: Generated | None, settings: EvaluationSettings) -> ItemResult:
    output = "" if answer is None else answer.text
    return ItemResult(
        index=question.index,
        prompt=question.prompt,
        expected=question.expected,
        output=output,
        correct=answer is not None and is_correct(settings.metric, output=output, reference=question.expected),
        json_valid=json_valid(output),
        prompt_tokens=len(question.prompt_ids),
        output_tokens=0 if answer is None else answer.tokens,
        natural_stop=answer is not None and answer.natural_stop,
        error=question.error,
    )
