"""Lines of a log as a page shows them: what was searched for is marked, and a line of a whole page is cut around it."""

import re
from dataclasses import dataclass
from datetime import datetime

from playbook.web.jobs.queries import LogLine

#: A longer line would push all others out of sight.
SHOWN_CHARACTERS = 1_000
#: Of a line that is cut, what stands before the first place that was searched for.
LEAD_CHARACTERS = 200


@dataclass(frozen=True)
class ShownLine:
    """`parts`: (text, whether it was searched for). `before`, `after`: characters left out at either end."""

    attempt: int
    at: datetime
    level: str
    parts: tuple[tuple[str, bool], ...]
    before: int
    after: int


def shown(line: LogLine, *, search: str) -> ShownLine:
    """Return the line with each place that holds `search`, in any case of letters, in a part of its own."""
    searched = re.compile(re.escape(search), re.IGNORECASE) if search else None
    begin = 0
    if searched and len(line.text) > SHOWN_CHARACTERS and (first := searched.search(line.text)):
        begin = min(max(0, first.start() - LEAD_CHARACTERS), len(line.text) - SHOWN_CHARACTERS)
    text = line.text[begin : begin + SHOWN_CHARACTERS]
    parts, end = [], 0
    for found in searched.finditer(text) if searched else ():
        parts += [(text[end : found.start()], False), (found.group(), True)]
        end = found.end()
    parts.append((text[end:], False))
    return ShownLine(
        attempt=line.attempt,
        at=line.at,
        level=line.level,
        parts=tuple(part for part in parts if part[0]),
        before=begin,
        after=len(line.text) - begin - len(text),
    )
