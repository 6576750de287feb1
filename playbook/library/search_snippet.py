"""Which words of a found text to mark, and which stretch of it to show. Text in, text out: templates escape it.

The words are compared by the analyzers that the index uses, so that what is marked is what matched: its stem, its
beginning, or one typo.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from playbook.library.search_query import MIN_PREFIX_TYPO, MIN_TYPO, Care
from playbook.library.search_words import Word, Words, plain_of, stem_of

SNIPPET_CHARACTERS = 200
#: About so much text comes before the first marked word.
_LEAD = 40
#: Beyond this much text nothing is marked.
_LOOKED_AT_CHARACTERS = 20_000
#: Beyond this many places none is better: a single letter, the last of a query being typed, stands everywhere.
_LOOKED_AT_PLACES = 200
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Part:
    """A stretch of text; `marked` where a word of the query stands."""

    text: str
    marked: bool


@dataclass(frozen=True)
class _Window:
    """A stretch of text: where its first marked word stands, and how many different words of the query it holds."""

    begin: int
    words: int


@dataclass(frozen=True)
class Marker:
    """Marks the words of one query. Remembers the words that it met, since the texts of one library share most."""

    words: Words
    care: Care
    _known: dict[str, str] = field(default_factory=dict, repr=False)

    def mark(self, text: str) -> tuple[Part, ...]:
        """Return `text` in parts. Joined together they are `text`."""
        parts, at = [], 0
        for begin, end in self._marked(text):
            parts += [Part(text[at:begin], False), Part(text[begin:end], True)]
            at = end
        return tuple(part for part in (*parts, Part(text[at:], False)) if part.text)

    def _marked(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the words to mark begin and end."""
        if text.isascii():
            for begin, end, _ in self._places(text):
                yield begin, end
            return
        for match in _WORD.finditer(text):  # letters with accents, whose pieces are written without
            if self._asked_for(match[0].lower()):
                yield match.span()

    def snippet(self, summary: str, text: str) -> tuple[Part, ...]:
        """Return what to show below a title: the summary, or the stretch of `text` with more words of the query."""
        in_summary = self._best_window(summary)
        if summary and in_summary.words == len(self._asked):
            return self._stretch(summary, in_summary)
        text = text[:_LOOKED_AT_CHARACTERS]
        in_text = self._best_window(text)
        if summary and in_summary.words >= in_text.words:
            return self._stretch(summary, in_summary)
        return self._stretch(text, in_text)

    def _best_window(self, text: str) -> _Window:
        """Return the first stretch with the most different words of the query."""
        places = self._places(text, most=1 if len(self._asked) == 1 else _LOOKED_AT_PLACES)
        best, left = _Window(0, 0), 0
        for right, (place, _, _) in enumerate(places):
            while place - places[left][0] > SNIPPET_CHARACTERS - 2 * _LEAD:
                left += 1
            words = len({asked for _, _, asked in places[left : right + 1]})
            if words > best.words:
                best = _Window(places[left][0], words)
            if words == len(self._asked):
                break
        return best

    def _places(self, text: str, *, most: int = _LOOKED_AT_PLACES) -> list[tuple[int, int, str]]:
        """Return where words of the query begin and end in `text`, in order; of each piece the first `most`. Only words
        that hold a piece of one are looked at: a look at each would take longer than the search."""
        small = text.lower()
        found: dict[int, tuple[int, str]] = {}
        for piece in self._pieces:
            at, left = small.find(piece), most
            while at >= 0 and left:
                begin = at
                while begin and small[begin - 1].isalnum():
                    begin -= 1
                word = _WORD.match(small, begin)
                if word and (asked := self._asked_for(word[0])):
                    found[begin] = word.end(), asked
                    left -= 1
                at = small.find(piece, max(word.end() if word else 0, at + 1))
        return [(begin, end, asked) for begin, (end, asked) in sorted(found.items())]

    def _stretch(self, text: str, window: _Window) -> tuple[Part, ...]:
        """Return the text around a window, cut at words, with an ellipsis where it is cut."""
        begin, end = 0, len(text)
        if end > SNIPPET_CHARACTERS and window.begin:
            begin = text.rfind(" ", 0, max(window.begin - _LEAD, 0)) + 1
        if end > begin + SNIPPET_CHARACTERS:
            space = text.rfind(" ", begin, begin + SNIPPET_CHARACTERS)
            end = space if space > begin else begin + SNIPPET_CHARACTERS
        before = (Part("… ", False),) if begin else ()
        after = (Part(" …", False),) if end < len(text) else ()
        return (*before, *self.mark(text[begin:end]), *after)

    @cached_property
    def _asked(self) -> tuple[Word, ...]:
        return self.words.asked

    @cached_property
    def _pieces(self) -> frozenset[str]:
        return frozenset(piece for word in self._asked for piece in _pieces(word, self.care))

    def _asked_for(self, written: str) -> str:
        """Return the word of the query that a word in small letters matches, or ""."""
        known = self._known.get(written)
        if known is None:
            known = self._known[written] = self._match(written)
        return known

    def _match(self, written: str) -> str:
        plain = written if written.isascii() else plain_of(written)
        return next((word.text for word in self._asked if plain and self._same(plain, word)), "")

    def _same(self, plain: str, word: Word) -> bool:
        if plain == word.text or (not word.whole and len(word.text) > 1 and plain.startswith(word.text)):
            return True
        if plain[:2] == word.text[:2] and stem_of(plain) == word.stem:
            return True
        if self.care is Care.EXACT or len(word.text) < MIN_TYPO:
            return False
        begins = not word.whole and len(word.text) >= MIN_PREFIX_TYPO
        lengths = (-1, 0, 1) if begins else ()
        return _within_one_typo(plain, word.text) or any(
            _within_one_typo(plain[: len(word.text) + more], word.text) for more in lengths
        )


def _pieces(word: Word, care: Care) -> tuple[str, ...]:
    """Return strings one of which stands in every word that matches: what it shares with its stem, and for a typo
    either half, since one typo spares the other, or the first half with the swap at its end undone."""
    shared = posixpath.commonprefix([word.text, word.stem])
    exact = shared[: max(len(word.stem) - 1, 2)] or word.text
    if care is Care.EXACT or len(word.text) < MIN_TYPO:
        return (exact,)
    half = len(word.text) // 2
    return exact, word.text[:half], word.text[half:], word.text[: half - 1] + word.text[half] + word.text[half - 1]


def _within_one_typo(one: str, other: str) -> bool:
    """True when one letter added, left out, changed, or swapped with its neighbour makes them equal."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return True
    return (
        one[at + 1 :] == other[at + 1 :]
        or one[at:] == other[at + 1 :]
        or one[at + 1 :] == other[at:]
        or (one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :])
    )
