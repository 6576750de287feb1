"""What the model will see: one row of the validation split put into a prompt, by the code that the trainer runs.

Never a row of the test split: whoever writes a prompt must not have read what it is judged by.
"""

from dataclasses import dataclass

from playbook.contracts.asking import Asker, few_shot_messages
from playbook.contracts.dataset import Example, Message, Split
from playbook.contracts.prompting import PromptSettings, RetrievalSettings
from playbook.datasets.rows import rows_from
from playbook.web.common import blobs
from playbook.web.datasets.models import DatasetVersion

#: Characters of English text in one token, and tokens that a chat template writes around one message (role and end).
#: Rules of thumb: the site has no tokenizer. A measured prompt shows the exact number.
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 5


@dataclass(frozen=True)
class Preview:
    """Row `number` (from 1) of the `rows` validation rows of a dataset version, as it will be asked."""

    version: DatasetVersion
    number: int
    rows: int
    messages: tuple[Message, ...]
    expected: str
    tokens: int

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.rows else None


def preview_of(settings: PromptSettings, version: DatasetVersion, number: int) -> Preview:
    """Return the preview; a number outside the split becomes the nearest inside it."""
    file = next(file for file in version.files.all() if file.split == Split.VALIDATION)
    number = min(max(number, 1), file.rows)
    (row,) = rows_from(blobs.path_of(file.sha256), number, 1)
    messages = rendered(settings, row.example)
    return Preview(
        version=version,
        number=number,
        rows=file.rows,
        messages=messages,
        expected=row.example.answer,
        tokens=estimated_tokens(messages),
    )


def rendered(settings: PromptSettings, example: Example) -> tuple[Message, ...]:
    """Return the conversation that the model is asked to continue; with worked examples where the prompt has them."""
    asker = Asker(settings, RetrievalSettings())
    asked = asker.asked(example)
    shots = [asker.written(shot) for shot in settings.examples]
    return few_shot_messages(shots, asked) if shots else asked.prompt


def estimated_tokens(messages: tuple[Message, ...]) -> int:
    """Return about how many tokens a conversation has, the header of the answer to come included.

    >>> estimated_tokens((Message(role="user", content="twelve chars"),))
    13
    """
    characters = sum(len(message.content) for message in messages)
    return -(-characters // CHARACTERS_PER_TOKEN) + TOKENS_PER_MESSAGE * (len(messages) + 1)
