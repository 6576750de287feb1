"""What the data stage of a job found out, prepared for the page: tokens, sample rows with their mask, memory, settings.

Reads the events `preflight` and `configured`; computes nothing anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from playbook.contracts.events import Configured, Plain, Preflight, SampleRow, SampleToken, SplitTokens, plain_value
from playbook.contracts.refusals import setting_text
from playbook.contracts.run_spec import RunSpec
from playbook.scoring.figures import counted
from playbook.web.common.plots import StackedPlot, stacked_plot
from playbook.web.common.templatetags.playbook import bytesize

#: Of a longer run of tokens that are all learned, or all only read, a page shows so many of its begin and of its end:
#: what is learned, most often the end of a row, is then never out of sight.
RUN_BEGIN, RUN_END = 60, 40
#: Sample rows on the job page itself; the others stand on a page of their own.
SHOWN_ROWS = 1
VISIBLE = str.maketrans({"\n": "↵\n", "\t": "→\t", "\r": "␍"})


@dataclass(frozen=True)
class SplitRow:
    """One split of the token table. `more_lines`: lost lines beyond those that the event lists."""

    name: str
    tokens: SplitTokens
    more_lines: int


@dataclass(frozen=True)
class Run:
    """Tokens next to each other that are all learned, or all only read. `left_out`: how many are not shown, between
    `tokens` and `end`."""

    learned: bool
    tokens: tuple[str, ...]
    left_out: int
    end: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """A sample row to look at."""

    row: SampleRow
    runs: tuple[Run, ...]
    learned: int
    summary: str


@dataclass(frozen=True)
class Setting:
    """One line of the effective configuration, as people type values into the form. `asked`: what the launch asked for,
    where that is another value."""

    name: str
    value: str
    asked: str | None


@dataclass(frozen=True)
class PreflightView:
    splits: tuple[SplitRow, ...]
    samples: tuple[Sample, ...]
    sample_rows: int
    ending_rows: int
    memory: tuple[tuple[str, int], ...]
    memory_total: int
    memory_plot: StackedPlot | None


def view_of(preflight: Preflight, *, rows: int = SHOWN_ROWS) -> PreflightView:
    """Prepare a preflight for the page, with the first `rows` sample rows."""
    parts = tuple((name.replace("_", " "), size) for name, size in preflight.memory_bytes.items() if size)
    total = sum(size for _, size in parts)
    return PreflightView(
        splits=tuple(
            SplitRow(
                name=split,
                tokens=tokens,
                more_lines=tokens.dropped_rows + tokens.truncated_rows - len(tokens.lost_lines),
            )
            for split, tokens in preflight.splits.items()
        ),
        samples=tuple(sample_of(row) for row in preflight.samples[:rows]),
        sample_rows=len(preflight.samples),
        ending_rows=sum(row.ends_turn for row in preflight.samples),
        memory=parts,
        memory_total=total,
        memory_plot=stacked_plot([("Estimate", parts)], text=lambda size: bytesize(round(size))) if total else None,
    )


def sample_of(row: SampleRow) -> Sample:
    """Prepare one sample row: its tokens in runs of learned and read ones, the middle of a long run left out."""
    learned = [position for position, token in enumerate(row.tokens, start=1) if token.learned]
    where = f"tokens {learned[0]:,} to {learned[-1]:,}" if learned else "none"
    return Sample(
        row=row,
        runs=tuple(_runs(row.tokens)),
        learned=len(learned),
        summary=f"{counted(len(row.tokens), 'token')}, {len(learned):,} of them learned ({where}).",
    )


def _runs(tokens: tuple[SampleToken, ...]) -> Iterator[Run]:
    for learned, run in groupby(tokens, key=lambda token: token.learned):
        texts = tuple(token.text.translate(VISIBLE) for token in run)
        left_out = max(0, len(texts) - RUN_BEGIN - RUN_END)
        begin = texts[:RUN_BEGIN] if left_out else texts
        yield Run(learned, begin, left_out, texts[-RUN_END:] if left_out else ())


def settings_of(configured: Configured, spec: RunSpec) -> list[Setting]:
    """Return the effective configuration, each setting beside what was asked for where the trainer uses another."""
    asked: dict[str, Plain] = {"seed": spec.seed}
    for part in (spec.lora, spec.training, spec.evaluation):
        asked |= {name: plain_value(value) for name, value in part.model_dump(mode="json").items()}
    return [
        Setting(name, setting_text(value), setting_text(asked[name]) if asked.get(name, value) != value else None)
        for name, value in configured.effective.items()
    ]
