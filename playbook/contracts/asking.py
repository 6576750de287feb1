"""What is put around a row before the chat template renders it: the prompt's system message and template, passages.

Training rows, questions and the playground go through `Asker`, so that a model is never asked in other words than it
was trained with. No torch.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from playbook.contracts.dataset import Example, Message
from playbook.contracts.prompting import INPUT, PASSAGES, PromptSettings, RetrievalSettings, WrittenExample

#: Returns the texts of the passages found for a question, the best first.
Find = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Asker:
    """The prompt of a run. `find`: searches its documents; None when no arm does."""

    prompt: PromptSettings
    retrieval: RetrievalSettings
    find: Find | None = None

    def asked(self, example: Example, *, retrieve: bool = False) -> Example:
        """Return the row as the model is shown it, its answer unchanged."""
        passages: Sequence[str] = ()
        if retrieve and self.find is not None and (question := question_of(example)) is not None:
            passages = self.find(question)
        messages = self._with_system(example.messages)
        at = _last_user(messages)
        if at is not None:
            content = _fill(self.prompt.user_template, {INPUT: messages[at].content})
            if passages:
                found = "\n\n".join(passages)
                content = _fill(self.retrieval.passages_template, {INPUT: content, PASSAGES: found})
            messages = [*messages[:at], messages[at].model_copy(update={"content": content}), *messages[at + 1 :]]
        return example.model_copy(update={"messages": tuple(messages)})

    def written(self, example: WrittenExample) -> Example:
        """Return a person's example as a row, shown like any other."""
        user = Message(role="user", content=example.user)
        return self.asked(Example(messages=(user, Message(role="assistant", content=example.assistant))))

    def _with_system(self, messages: Sequence[Message]) -> list[Message]:
        if self.prompt.system is None:
            return list(messages)
        rest = messages[1:] if messages and messages[0].role == "system" else messages
        # An empty system message is a wish too: it takes away that of the rows.
        own = [Message(role="system", content=self.prompt.system)] if self.prompt.system.strip() else []
        return [*own, *rest]


def few_shot_messages(shots: Sequence[Example], example: Example) -> tuple[Message, ...]:
    """Return the prompt of `example` with solved examples before it: its system message, the shots, its own turns."""
    prompt = example.prompt
    system = tuple(message for message in prompt[:1] if message.role == "system")
    turns = tuple(message for shot in shots for message in shot.messages if message.role != "system")
    return system + turns + prompt[len(system) :]


def question_of(example: Example) -> str | None:
    """Return the last thing that the user says before the answer; None in a row without."""
    at = _last_user(example.messages)
    return None if at is None else example.messages[at].content


def _last_user(messages: Sequence[Message]) -> int | None:
    # The last message is the answer.
    found = [at for at, message in enumerate(messages[:-1]) if message.role == "user"]
    return found[-1] if found else None


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put `values` in place of their names, all at once: a question that says {passages} stays as it is."""
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found.group()], template)
