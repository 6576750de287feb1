"""A run on a terminal: the log, and under it one line that is drawn over again with stage, bar, loss and time left.

Fed by the emitter with each event after it is on disk: what is shown is never ahead of what is kept. Imports no torch.
"""

import shutil
from collections.abc import Mapping
from typing import TextIO

from playbook.contracts.events import Ended, Event, Log, LogLevel, MetricPoint, Predicted, Progress, StageStarted

_CLEAR = "\r\x1b[K"
_BAR = 24
#: Lines are cut at the width of the terminal, and at this where it does not say.
_COLUMNS = 80


class ProgressBar:
    """Draws the events of one run on `stream`, a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._values: dict[str, float] = {}
        self._line = ""

    def __call__(self, event: Event) -> None:
        match event:
            case StageStarted():
                self._print(f"{event.stage.capitalize()}")
            case MetricPoint():
                self._values |= {name: value for name, value in event.values.items() if name.endswith("_loss")}
            case Progress():
                self._draw(bar_line(event, self._values))
            case Predicted():
                self._print(
                    f"Foretold after {event.after_steps} steps: {duration(event.seconds)} in all, "
                    f"{event.peak_memory_bytes / 1e9:.1f} GB at the peak."
                )
            case Log():
                said = {LogLevel.WARNING: "Warning: ", LogLevel.ERROR: "Error: "}.get(event.level, "")
                self._print(said + event.message)
            case Ended():
                self._draw("")
            case _:
                pass

    def _print(self, text: str) -> None:
        """Write a line that stays, above the bar."""
        line = self._line
        self._stream.write(f"{_CLEAR}{text}\n")
        self._draw(line)

    def _draw(self, line: str) -> None:
        self._line = line
        self._stream.write(_CLEAR + line[: shutil.get_terminal_size((_COLUMNS, 24)).columns - 1])
        self._stream.flush()


def bar_line(event: Progress, values: Mapping[str, float]) -> str:
    """Return one line of progress.

    `training [######..................] 23/90 steps, train loss 0.512, about 1 min 20 s left`
    """
    done = min(event.done, event.total)
    filled = _BAR * done // event.total
    parts = [f"{event.stage:<10} [{'#' * filled}{'.' * (_BAR - filled)}] {event.done:,}/{event.total:,} {event.unit}"]
    if event.stage == "training":
        parts += [f"{name.replace('_', ' ')} {value:.4g}" for name, value in sorted(values.items())]
    if event.remaining_seconds is not None:
        parts.append(f"about {duration(event.remaining_seconds)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return seconds in words.

    >>> duration(80.2), duration(7200)
    ('1 min 20 s', '2 h 0 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
