"""Regular expressions that people write, searched in what a model writes, for a bounded time.

The module `regex` can stop a search; a pattern like (a+)+$ would otherwise go on for ever. It is imported when the
first pattern is compiled, so that a site without patterns does not load it.
"""

import re
import threading
from typing import Any

from playbook.scoring.values import NotJudged

#: One search may take this long, on any machine: thousands of times what a sound pattern needs.
SEARCH_SECONDS = 0.5
#: A pattern that ran out of time so often is not tried again: a test of 1,000 rows still ends.
GIVE_UP_AFTER = 3
#: Places of a pattern once its repetitions are written out, which is what compiling it costs: 25 MB for so many.
MAX_PLACES = 100_000
_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\]){0,100}\]|\{\s*(?P<least>\d{1,100})\s*(?:,\s*\d*\s*)?\}|(?P<group>[()])|.", re.DOTALL
)


class PatternError(NotJudged):
    """A text that is no regular expression, or one whose search was stopped."""


class BoundedPattern:
    """A compiled pattern. `search` raises PatternError when it takes too long."""

    def __init__(self, pattern: str) -> None:
        import regex  # on first use: most settings have no pattern

        self.pattern = pattern
        self._stopped = 0
        self._lock = threading.Lock()
        if (places := _places(pattern)) > MAX_PLACES:
            raise PatternError(
                f"{pattern[:80]!r} repeats too often: written out it has {places:,} places, over {MAX_PLACES:,}; lower "
                "the numbers in braces"
            )
        try:
            self._compiled: Any = regex.compile(pattern)
        except (regex.error, RecursionError, OverflowError) as error:
            raise PatternError(f"{pattern!r} is no regular expression: {error}") from None

    def search(self, text: str) -> bool:
        """Tell whether the pattern is found anywhere in `text`."""
        if self._stopped >= GIVE_UP_AFTER:
            raise self._too_slow()
        try:
            return self._compiled.search(text, timeout=SEARCH_SECONDS) is not None
        except TimeoutError:
            with self._lock:
                self._stopped += 1
            raise self._too_slow() from None

    def _too_slow(self) -> PatternError:
        return PatternError(
            f"the pattern {self.pattern!r} was stopped after {SEARCH_SECONDS:g} s; it goes over the same text again "
            "and again. Remove a repetition inside a repetition, such as (a+)+"
        )


def _places(pattern: str) -> int:
    """Return how many characters, classes and escapes there are when each is written as often as it must be there.

    >>> _places("(?:ab{3}){10}") > 40
    True
    """
    groups, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        if token["least"] is not None:
            groups[-1] += last * (max(int(token["least"]), 1) - 1)
            last *= max(int(token["least"]), 1)
        elif token["group"] == "(":
            groups.append(0)
        else:
            last = groups.pop() if token["group"] and len(groups) > 1 else 1
            groups[-1] += last
    return sum(groups)
