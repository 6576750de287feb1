"""The one prompt builder: training, validation and evaluation all take their token ids from here.

The loss mask is ours: the prompt and the answer are tokenised apart, so the boundary is exact and the model is asked
in evaluation with the very ids it saw in training. Must not import torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playbook.contracts.dataset import Example, Message
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError


@dataclass(frozen=True)
class Encoded:
    """Token ids of a row. `input_ids[:prompt_length]` is context, the rest is learned and ends the turn."""

    input_ids: tuple[int, ...]
    prompt_length: int

    @property
    def supervised_tokens(self) -> int:
        return len(self.input_ids) - self.prompt_length


class PromptBuilder:
    """Renders messages with the base model's chat template and tokenises them without adding special tokens."""

    def __init__(self, tokenizer: Any, *, end_ids: frozenset[int]) -> None:
        """`end_ids`: the tokens that end a turn (the tokenizer's eos and those of the generation configuration).

        Raises RunError(base_model_unreadable) when there is no chat template or no end-of-turn token.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                "The base model has no chat template, so messages cannot be shown to it; choose an instruct model.",
            )
        if not end_ids:
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                "The tokenizer names no eos token, so the model could never learn to stop; set eos_token.",
            )
        self._tokenizer = tokenizer
        self._end_ids = end_ids

    def prompt_ids(self, messages: Sequence[Message], *, where: str) -> tuple[int, ...]:
        """Return the ids of a conversation that ends with the header of the answer to come.

        `where` names the row in messages. Raises RunError(invalid_dataset) when the template refuses the roles.
        """
        ids = self._ids(self._render(messages, add_generation_prompt=True, where=where))
        bos = self._tokenizer.bos_token_id
        if bos is not None and ids[:2] == (bos, bos):
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"{where}: the chat template writes the begin token {self._tokenizer.bos_token!r} twice; "
                "correct chat_template.jinja of the base model.",
            )
        return ids

    def encode(self, example: Example, *, where: str) -> Encoded:
        """Return the ids of a training row; the last one is the end-of-turn token.

        Raises RunError: invalid_dataset (the template refuses the roles), base_model_unreadable (the template shows a
        prompt differently once an answer follows), nothing_to_learn (the template leaves the answer out).
        """
        prompt = self.prompt_ids(example.prompt, where=where)
        before = self._render(example.prompt, add_generation_prompt=True, where=where)
        full = self._render(example.messages, add_generation_prompt=False, where=where)
        if not full.startswith(before):
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"{where}: the chat template renders the prompt differently once an answer follows, so training and "
                "evaluation would not match; choose a base model with a plain template.",
            )
        answer = self._up_to_end_of_turn(self._ids(full[len(before) :]))
        if len(answer) < 2:
            raise RunError(
                EndReason.NOTHING_TO_LEARN,
                f"{where}: the chat template leaves no token of the answer {example.answer!r}; write a longer answer.",
            )
        return Encoded(input_ids=prompt + answer, prompt_length=len(prompt))

    def without_tail(self, text: str, tokens: int) -> str:
        """Return `text` without its last `tokens` tokens; empty when it has no more than that."""
        ids = self._ids(text)
        return str(self._tokenizer.decode(ids[:-tokens])) if tokens < len(ids) else ""

    def _up_to_end_of_turn(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        ends = [at for at, token in enumerate(ids) if token in self._end_ids]
        if ends:
            # Templates write a line break after the end of the turn; nobody will ever generate it.
            return ids[: ends[-1] + 1]
        return (*ids, self._tokenizer.eos_token_id if self._tokenizer.eos_token_id is not None else min(self._end_ids))

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool, where: str) -> str:
        # jinja2 comes with transformers; its import is deferred until a template is really rendered.
        from jinja2 import TemplateError

        try:
            return str(
                self._tokenizer.apply_chat_template(
                    [message.model_dump() for message in messages],
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                )
            )
        except TemplateError as error:
            raise RunError(
                EndReason.INVALID_DATASET,
                f"{where}: the base model's chat template refuses roles "
                f"{[message.role for message in messages]} ({error}); reorder or remove messages.",
            ) from error

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)


def few_shot_messages(shots: Sequence[Example], example: Example) -> tuple[Message, ...]:
    """Return the prompt of `example` with solved examples before it: its system message, the shots, its own turns."""
    prompt = example.prompt
    system = tuple(message for message in prompt[:1] if message.role == "system")
    turns = tuple(message for shot in shots for message in shot.messages if message.role != "system")
    return system + turns + prompt[len(system) :]
