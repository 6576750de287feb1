"""What two splits share: rows (they must share none) and the templates that their metadata names."""

from collections.abc import Sequence
from unicodedata import normalize

from playbook.contracts.dataset import Example, Message
from playbook.contracts.dataset_problems import as_text
from playbook.contracts.report import Overlap

TEMPLATE_KEY = "template"


def measure_overlap(train: Sequence[Example], test: Sequence[Example]) -> Overlap:
    """Return how many test rows repeat a prompt of train, and how many test templates train has too.

    Prompts are compared in lower case with white space folded: a row that differs in a line break is the same row.
    The template counts are None when a row of either split names no template.
    """
    known = {fingerprint(example) for example in train}
    train_templates, test_templates = _templates(train), _templates(test)
    named = train_templates is not None and test_templates is not None
    return Overlap(
        shared_rows=sum(fingerprint(example) in known for example in test),
        shared_templates=len(train_templates & test_templates) if named else None,  # type: ignore[operator]
        test_templates=len(test_templates) if test_templates is not None else None,
    )


def fingerprint(example: Example) -> tuple[tuple[str, str, str], ...]:
    """Return what makes two rows the same row: roles, texts and calls of the prompt, or of the answer when nothing
    precedes it. Letters whose marks stand apart are the same letters."""
    messages = example.prompt or example.messages
    return tuple((message.role, _folded(message.content), _calls_of(message)) for message in messages)


def _folded(text: str) -> str:
    return " ".join((text if text.isascii() else normalize("NFC", text)).lower().split())


def _calls_of(message: Message) -> str:
    return as_text(message.tool_calls) if message.tool_calls else ""


def _templates(examples: Sequence[Example]) -> set[str] | None:
    names = [example.metadata.get(TEMPLATE_KEY) for example in examples]
    return None if None in names else {name for name in names if name is not None}
