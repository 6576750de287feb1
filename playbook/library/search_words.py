"""A string that a person typed → the words to look for. Every string is a query, and none is a syntax error.

There is no query language: quotes, brackets, AND and OR are characters and words like any other. Text is cut into
words here exactly as tantivy cuts the indexed text, because the same analyzers do it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

MAX_QUERY_CHARACTERS = 200
MAX_WORDS = 12
_MAX_WORD_BYTES = 60
_COMPOUND = re.compile(r"[^\W_]+(?:-[^\W_]+)+")

_STOP_WORDS = (
    "a about an and are as at be by can could did do does for from had has have how i if in into is it its me my "
    "of on or our should so than that the their them then there they this to us was we were what when where which "
    "who why will with would you your vs versus "
)
#: Words that a question is made of. They are not asked for where there are others to ask for.
STOP_WORDS = frozenset(_STOP_WORDS.split())


def _analyzer(*, stem: bool) -> TextAnalyzer:
    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(_MAX_WORD_BYTES))
    builder = builder.filter(Filter.lowercase()).filter(Filter.ascii_fold())
    return builder.filter(Filter.stemmer("english")).build() if stem else builder.build()


#: Lower case, without accents: for prefixes and typos. The second one also cuts endings: "training" → "train".
WORDS, STEMS = _analyzer(stem=False), _analyzer(stem=True)


@dataclass(frozen=True)
class Word:
    """`stem` is the word without its ending. `whole` is false for a last word that may still be being typed; `stop` is
    true for one that says little beside the others."""

    text: str
    stem: str
    whole: bool
    stop: bool


@dataclass(frozen=True)
class Words:
    """A query. `text` is it as it is shown and recorded: trimmed, on one line, cut at MAX_QUERY_CHARACTERS."""

    text: str
    words: tuple[Word, ...]

    @property
    def asked(self) -> tuple[Word, ...]:
        """The words that a result must hold, each once; stop words only when there are no others."""
        each = {word.text: word for word in self.words}.values()
        return tuple(word for word in each if not word.stop) or tuple(each)


def read_words(query: str) -> Words:
    """Return the words of a query, at most MAX_WORDS. Never raises: lone surrogates and NUL are taken out.

    >>> [word.stem for word in read_words("Trainings AND (losses").words]
    ['train', 'and', 'loss']
    """
    # A character can become several when folded; what lies far beyond the limit is never looked at.
    sound = query[: 4 * MAX_QUERY_CHARACTERS].encode("utf-8", "ignore").decode().replace("\x00", " ")
    text = " ".join(sound.split())[:MAX_QUERY_CHARACTERS].strip()
    being_typed = not query[-1:].isspace()
    found = WORDS.analyze(text)[:MAX_WORDS]
    return Words(
        text=text,
        words=tuple(
            Word(
                text=word,
                stem=stem_of(word),
                whole=not (being_typed and index == len(found) - 1),
                stop=word in STOP_WORDS and not (being_typed and index == len(found) - 1 and len(word) == 1),
            )
            for index, word in enumerate(found)
        ),
    )


@lru_cache(maxsize=50_000)
def stem_of(word: str) -> str:
    """Return a word without its ending, in lower case and without accents; "" when it is no word."""
    return next(iter(STEMS.analyze(word)), "")


@lru_cache(maxsize=50_000)
def plain_of(word: str) -> str:
    """Return a word in lower case and without accents; "" when it is no word."""
    return next(iter(WORDS.analyze(word)), "")


def joined_compounds(text: str) -> str:
    """Return the hyphenated words of a text written as one: "fine-tuning" is also found as "finetuning".

    >>> joined_compounds("Pre-training before fine-tuning")
    'Pretraining finetuning'
    """
    compounds = [word for word in text.split() if "-" in word] if "-" in text else []
    return " ".join(found.replace("-", "") for word in compounds for found in _COMPOUND.findall(word[:_MAX_WORD_BYTES]))
