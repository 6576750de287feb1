"""Special tokens that somebody wrote out as text: the base model reads them as tokens, and a turn begins or ends there.

Looked for in all that prompts are made of: rows, with what they offer and call, examples written by hand, and
documents, whose passages are shown. Must not import torch.
"""

from collections.abc import Collection, Iterable, Sequence, Sized

from playbook.contracts.asking import Asker
from playbook.contracts.documents import Document
from playbook.trainer.data import NumberedExample
from playbook.trainer.emit import Emitter
from playbook.trainer.prompt import PromptBuilder

_SHOWN_PLACES, _SHOWN_TOKENS = 10, 5


def warn_of_rows(name: str, rows: Iterable[NumberedExample], builder: PromptBuilder, emitter: Emitter) -> None:
    """Warn of rows, as they are asked, that hold a special token. `name`: of their file."""
    found = {row.line: token for row in rows if (token := builder.special_in(row.example)) is not None}
    _warn(f"{name}: {_counted(found, 'row')}", found.values(), _places("line", found), emitter)


def warn_of_examples(asker: Asker, builder: PromptBuilder, emitter: Emitter) -> None:
    """Warn of the examples of the prompt settings that hold a special token."""
    written = enumerate(map(asker.written, asker.prompt.examples), start=1)
    found = {number: token for number, example in written if (token := builder.special_in(example)) is not None}
    _warn(f"prompt.examples: {_counted(found, 'example')}", found.values(), _places("number", found), emitter)


def warn_of_documents(name: str, documents: Iterable[Document], builder: PromptBuilder, emitter: Emitter) -> None:
    """Warn of documents that hold a special token: the arms that retrieve show it. `name`: of their file."""
    found = {
        document.id: token
        for document in documents
        if (token := builder.special_among((document.title, document.text))) is not None
    }
    _warn(f"{name}: {_counted(found, 'document')}", found.values(), _places("id", found), emitter)


def _counted(found: Sized, what: str) -> str:
    return f"{len(found):,} {what}{' holds' if len(found) == 1 else 's hold'}"


def _places(what: str, found: Collection[object]) -> str:
    return f"{what}{'' if len(found) == 1 else 's'} {shown(list(found))}"


def _warn(who: str, tokens: Iterable[str], places: str, emitter: Emitter) -> None:
    if names := ", ".join(sorted(set(tokens))[:_SHOWN_TOKENS]):
        emitter.warn(
            f"{who} text that the base model reads as a special token ({names}; {places}): a turn may end or begin "
            "there that nobody meant, and an answer with it teaches to stop early. Remove it, or write it in another "
            "way."
        )


def shown(places: Sequence[object]) -> str:
    """Return the first ten places, and how many more there are."""
    more = len(places) - _SHOWN_PLACES
    return ", ".join(map(str, places[:_SHOWN_PLACES])) + (f" and {more} more" if more > 0 else "")
