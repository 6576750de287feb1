"""Finds passages in the documents of a run, and the train rows nearest to a question, by BM25.

Documents are cut into passages at sentence ends. No torch here; `embed` searches by meaning.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playbook.contracts.asking import Find
from playbook.contracts.documents import BadDocuments, Document, read_documents
from playbook.contracts.prompting import DocumentsFile, Retriever
from playbook.contracts.report import Retrieval
from playbook.contracts.run_spec import Arm, RunSpec
from playbook.contracts.states import EndReason, Stage
from playbook.scoring.figures import counted
from playbook.trainer.data import read_input
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.special import warn_of_documents
from playbook.trainer.stop import Stop

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n\s*\n")
#: Letters of scripts that put no blank between words: Thai, Lao, Burmese, Khmer, kana, Han.
_DENSE = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\uff66-\uff9f\U00020000-\U0003134f"
)
_HAS_DENSE = re.compile(f"[{_DENSE}]")
_DENSE_SENTENCE_END = re.compile(r"(?<=[。！？])(?=\S)")
_RUN = re.compile(rf"[{_DENSE}]+|[^\W{_DENSE}]+")
#: A word that is longer, such as a row of a table without blanks, is cut, after a mark where it has one.
_LONGEST_WORD = 40
#: Two letters of a dense script count as one word of a passage.
_PART_OF_WORD = re.compile(
    rf"[{_DENSE}]{{1,2}}[。、，！？」』）]?|[^{_DENSE}]{{0,{_LONGEST_WORD - 1}}}(?![{_DENSE}])\W"
    rf"|[^{_DENSE}]{{1,{_LONGEST_WORD}}}"
)


@dataclass(frozen=True)
class Passage:
    """A piece of a document, as it is shown to the model."""

    document: str
    title: str
    text: str

    @property
    def shown(self) -> str:
        return f"{self.title}: {self.text}" if self.title else self.text


def open_documents(
    folder: RunFolder, spec: RunSpec, emitter: Emitter, stop: Stop, *, models_dir: Path, builder: PromptBuilder
) -> tuple[Find | None, Retrieval | None]:
    """Return what finds passages for a question, and what the report says of it; nothing when no arm retrieves.

    Warns of documents that write out a special token of the base model, which `builder` looks for.

    Raises RunError: input_mismatch, invalid_dataset, base_model_missing (of the embedding model), and between two
    batches of it cancelled_by_user or lease_lost.
    """
    settings = spec.retrieval
    if not spec.retrieves or spec.documents is None:
        return None, None
    documents = load_documents(folder, spec.documents)
    warn_of_documents(spec.documents.name, stop.watched(documents), builder, emitter)
    passages = cut(documents, words=settings.passage_words)
    emitter.log(
        f"{spec.documents.name}: {counted(len(documents), 'document')} in {counted(len(passages), 'passage')} of at "
        f"most {settings.passage_words} words."
    )
    if settings.in_training and Arm.LORA in spec.evaluation.arms:
        emitter.warn(
            "in_training: the model is tuned with passages in its prompts, and the lora arm is asked without any. "
            "Read that arm as what is left when retrieval fails."
        )
    said = Retrieval(
        documents_sha256=spec.documents.sha256,
        documents=len(documents),
        passages=len(passages),
        retriever=settings.embedding_model or str(settings.retriever),
        top_k=settings.top_k,
    )
    index: Any = None
    if settings.retriever is Retriever.EMBEDDING and settings.embedding_model is not None:
        # Brings torch, which the data stage otherwise does without.
        from playbook.trainer.embed import EmbeddingIndex

        def note(done: int) -> None:
            stop.check()
            emitter.progress(Stage.DATA, done=done, total=len(passages), unit="passages", remaining_seconds=None)

        index = EmbeddingIndex(passages, model=settings.embedding_model, models_dir=models_dir, note=note)
    else:
        index = PassageIndex(passages)
    return lambda question: [passage.shown for passage in index.find(question, settings.top_k)], said


class WordIndex:
    """BM25 over texts (Robertson and Zaragoza 2009, in the variant of Lucene that bm25s takes by default)."""

    def __init__(self, texts: Sequence[str]) -> None:
        # Brings numpy and scipy; a run without retrieval waits for neither.
        import bm25s

        # It prints what it does on the error output, at a level that nobody asked for.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        # One int object per word: 50 MB of text are 8 million of them.
        self._ids: dict[str, int] = {}
        tokens = [[self._ids.setdefault(word, len(self._ids)) for word in words_of(text)] for text in texts]
        self._size = len(texts)
        self._bm25 = bm25s.BM25()
        # Without a single word there is nothing to index; every text is then as near as the next.
        if self._ids:
            self._bm25.index((tokens, self._ids), show_progress=False)

    def nearest(self, query: str, count: int, *, matching: bool = True) -> list[int]:
        """Return the indices of the `count` best texts, the best first, ties in their order.

        `matching`: leave out texts that share no word with the query.
        """
        known = [self._ids[word] for word in words_of(query) if word in self._ids]
        if not known:
            return [] if matching else list(range(min(count, self._size)))
        scores = self._bm25.get_scores_from_ids(known)
        best = (-scores).argsort(kind="stable")[:count]
        return [int(at) for at in best if not matching or scores[at] > 0]


class PassageIndex:
    """The passages of a run's documents, searched by words."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._index = WordIndex([f"{passage.title} {passage.text}" for passage in passages])

    def find(self, query: str, top_k: int) -> list[Passage]:
        """Return at most `top_k` passages that share a word with the query, the best first."""
        return [self._passages[at] for at in self._index.nearest(query, top_k)]


def words_of(text: str) -> list[str]:
    """Return the words as they are compared: in lower case, numbers included.

    In scripts without blanks between words each pair of neighbours stands for a word, as in Lucene's CJKAnalyzer: a
    whole sentence as one word, which is what the tokenizer of bm25s makes of it too, is found by that sentence alone.

    >>> words_of("Plan B-2 costs €40.")
    ['plan', 'b', '2', 'costs', '40']
    >>> words_of("返金は30日以内")
    ['返金', '金は', '30', '日以', '以内']
    """
    text = text.lower()
    if not _is_dense(text):
        return _WORD.findall(text)
    return [word for run in _RUN.findall(text) for word in _words_of_run(run)]


def _words_of_run(run: str) -> list[str]:
    if len(run) == 1 or not _is_dense(run[0]):
        return [run]
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _is_dense(text: str) -> bool:
    return not text.isascii() and _HAS_DENSE.search(text) is not None


def load_documents(folder: RunFolder, file: DocumentsFile) -> tuple[Document, ...]:
    """Return the documents of the run. Raises RunError: input_mismatch, invalid_dataset."""
    data = read_input(folder.documents, file)
    try:
        return read_documents(data.splitlines())
    except BadDocuments as error:
        raise RunError(EndReason.INVALID_DATASET, f"{file.name}: {error}.") from error


def cut(documents: Sequence[Document], *, words: int) -> list[Passage]:
    """Return the documents in passages of at most `words` words, cut at sentence ends where that is possible.

    A word counts once for every 40 characters, and for every two letters of a script without blanks: whatever a
    document holds, its passages are bounded.
    """
    return [
        Passage(document.id, document.title, text) for document in documents for text in _pieces(document.text, words)
    ]


def _pieces(text: str, limit: int) -> list[str]:
    pieces: list[str] = []
    held: list[str] = []
    for said in _sentences(text):
        if held and len(held) + len(said) > limit:
            pieces.append("".join(held).rstrip())
            held = []
        held += said
        # A sentence longer than a passage, such as a table without full stops; in one pass, as it may be a whole file.
        if len(held) > limit:
            full = (len(held) - 1) // limit * limit
            pieces += ["".join(held[at : at + limit]).rstrip() for at in range(0, full, limit)]
            held = held[full:]
    return [*pieces, "".join(held).rstrip()] if held else pieces


def _sentences(text: str) -> Iterator[list[str]]:
    """Yield the words of each sentence, with a blank after those that have one."""
    for sentence in _SENTENCE_END.split(text):
        parts = _DENSE_SENTENCE_END.split(sentence) if _is_dense(sentence) else [sentence]
        for number, part in enumerate(parts, start=1):
            words = [piece for word in part.split() for piece in _cut_word(word)]
            if words and number < len(parts):
                words[-1] = words[-1].rstrip()  # the next sentence follows without a blank
            yield words


def _cut_word(word: str) -> list[str]:
    """Return a word in the pieces that count, the last with a blank."""
    if len(word) <= _LONGEST_WORD and not _is_dense(word):
        return [f"{word} "]
    pieces = _PART_OF_WORD.findall(word)
    return [*pieces[:-1], f"{pieces[-1]} "]
