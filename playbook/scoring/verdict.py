"""The verdict: what the table says, in one sentence with its uncertainty, and what has to be known beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from playbook.contracts.metrics import Metric
from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import compare_arms
from playbook.scoring.figures import counted, p_text, percent, points, points_between, score_text
from playbook.scoring.power import INDICATIVE_BELOW_ROWS, LEAST_DISCORDANT_ROWS
from playbook.scoring.table import SIGNIFICANT, SIMPLEST_FIRST, ArmLine, Table, best_of, goodness
from playbook.scoring.words import METRIC_NAMES, PHRASES


class Advice(StrEnum):
    """What the figures speak for. `measure_more`: they speak for nothing yet."""

    TUNE = "tune"
    RETRIEVE = "retrieve"
    TUNE_AND_RETRIEVE = "tune_and_retrieve"
    PROMPT = "prompt"
    NOTHING = "nothing"
    MEASURE_MORE = "measure_more"


_OF_ARM = {
    Arm.RAG: Advice.RETRIEVE,
    Arm.LORA: Advice.TUNE,
    Arm.RAG_LORA: Advice.TUNE_AND_RETRIEVE,
    Arm.ZERO_SHOT: Advice.PROMPT,
    Arm.FEW_SHOT: Advice.PROMPT,
}
_IN_WORDS = {
    Advice.TUNE: "tune",
    Advice.RETRIEVE: "retrieve",
    Advice.TUNE_AND_RETRIEVE: "retrieve, and tune",
}
#: Under this share, the best arm is not worth keeping for its own sake. Good free text is far below by the metrics that
#: compare its letters or words.
_USEFUL = 0.5
#: Of the reason why an arm failed, so many characters.
_REASON_CHARACTERS = 200
_HAVE_NO_HALF = (Metric.CHRF, Metric.ROUGE_L, Metric.PERPLEXITY)


@dataclass(frozen=True)
class Verdict:
    """`sentence` stands alone. `notes` are sentences that limit it, the weightiest first."""

    advice: Advice
    sentence: str
    notes: tuple[str, ...]


def verdict_of(table: Table, *, report: Report | None = None, noun: str = "held-out rows") -> Verdict:
    """Return what a table speaks for. `report`: adds what it says of retention and cancellation. `noun`: the rows, in
    the plural ("tickets").

    An arm wins against the best prompt when the difference is significant after Holm and larger than the run-to-run
    noise of both. Of arms that win, the simplest stands unless a later one is shown to be better than it. That the
    best prompt was chosen on the same rows makes the bar higher for the others, never lower. An arm that failed on
    every row neither wins nor is beaten.
    """
    notes = tuple(_notes(table, report))
    if not table.whole:
        return Verdict(Advice.MEASURE_MORE, "No arm has answered all rows, so there is no verdict.", notes)
    best = best_of(table.answered)
    if best is None:
        return Verdict(Advice.MEASURE_MORE, "Every row failed, so there is no verdict.", notes)
    if table.baseline is None:
        prompts = any(line.arm.is_prompt_alone for line in table.lines)
        lacking = "no prompt ran through beside it" if prompts else "no prompt was measured beside it"
        return Verdict(
            Advice.MEASURE_MORE,
            f"{_on(table, noun)}{_said(best)}, but {lacking}: measure zero-shot and few-shot, or nobody can tell "
            "whether more was needed.",
            notes,
        )
    contenders = [line for line in table.answered if not line.arm.is_prompt_alone]
    winner = _winner(contenders, table.baseline)
    if winner is not None:
        return _won(table, winner, noun, notes)
    if contenders:
        return _kept(table, contenders, noun, notes)
    return _prompts_alone(table, noun, notes)


def _winner(contenders: list[ArmLine], baseline: ArmLine) -> ArmLine | None:
    """Return the simplest line that beats the best prompt, unless a later one is shown to be better than that."""
    winner = None
    for line in sorted(contenders, key=lambda line: SIMPLEST_FIRST.index(line.arm)):
        if not (line.against and line.against.is_better) or _is_noise(line, baseline):
            continue
        if winner is None or _is_shown_better(winner, line):
            winner = line
    return winner


def _is_noise(line: ArmLine, baseline: ArmLine) -> bool:
    """Whether the difference is no larger than what either moves from run to run."""
    margin = max((one.noise.margin for one in (line, baseline) if one.noise is not None), default=None)
    return margin is not None and line.against is not None and abs(line.against.difference.value) <= margin


def _is_shown_better(simpler: ArmLine, line: ArmLine) -> bool:
    if goodness(line.score) <= goodness(simpler.score):
        return False
    return compare_arms(simpler.report, line.report).p_value < SIGNIFICANT


def _won(table: Table, winner: ArmLine, noun: str, notes: tuple[str, ...]) -> Verdict:
    assert table.baseline is not None  # noqa: S101 - it was beaten
    advice = _OF_ARM[winner.arm]
    if _is_too_little(table, winner):
        better = f"{winner.label} is better than the prompts, and below {percent(_USEFUL)} %: that may not be enough."
        notes = (better, *notes)
    figures = f"{_on(table, noun)}{_said(winner)}, {_also(table.baseline)}"
    if table.is_indicative:
        return Verdict(
            advice,
            f"Indicative only, with fewer than {INDICATIVE_BELOW_ROWS} rows: {_lower(figures)}. "
            f"This points to: {_IN_WORDS[advice]}.",
            notes,
        )
    if _overlap(winner, table.baseline):
        # Row by row the arms differ less than their intervals suggest: both find the same rows hard.
        figures += f"; the intervals overlap, but row by row the difference shows (p {_p(winner)})"
    return Verdict(advice, f"{figures}: {_IN_WORDS[advice]}.", notes)


def _overlap(line: ArmLine, other: ArmLine) -> bool:
    return line.score.low <= other.score.high and other.score.low <= line.score.high


def _p(line: ArmLine) -> str:
    assert line.against is not None  # noqa: S101 - asked of compared lines alone
    return p_text(line.against.p_holm, sign=True)


def _kept(table: Table, contenders: list[ArmLine], noun: str, notes: tuple[str, ...]) -> Verdict:
    """No arm is shown to beat the best prompt."""
    baseline, best = table.baseline, best_of(contenders)
    assert baseline is not None  # noqa: S101 - without one this is not asked
    assert best is not None  # noqa: S101 - there are contenders
    assert best.against is not None  # noqa: S101 - every whole line but the baseline is compared
    figures = f"{_on(table, noun)}{_said(best)}, {_also(baseline)}"
    if table.is_indicative:
        start = f"Indicative only, with fewer than {INDICATIVE_BELOW_ROWS} rows: {_lower(figures)}"
        if best.against.is_worse:
            return Verdict(Advice.PROMPT, f"{start}. This points to: keep the prompt.", notes)
        more = "and no difference shows. Measure on more rows before you decide."
        return Verdict(Advice.MEASURE_MORE, f"{start}, {more}", notes)
    if best.against.is_worse:
        if _is_too_little(table, best, baseline):
            return Verdict(Advice.NOTHING, f"{figures}: nothing measured here helps enough.", notes)
        worse = f"{_name(best)} is" if len(contenders) == 1 else "even the best of the other approaches is"
        return Verdict(Advice.PROMPT, f"{figures}: keep the prompt, {worse} worse.", notes)
    if _is_noise(best, baseline):
        reason = "that is no more than the same arm moves from run to run"
    else:
        reason = f"no difference shows (p {_p(best)})"
    if _is_too_little(table, best, baseline):
        return Verdict(Advice.NOTHING, f"{figures}, and {reason}: nothing measured here helps enough.", notes)
    return Verdict(Advice.PROMPT, f"{figures}, and {reason}: keep the prompt.", notes)


def _is_too_little(table: Table, *lines: ArmLine) -> bool:
    return table.metric not in _HAVE_NO_HALF and all(line.score.value < _USEFUL for line in lines)


def _prompts_alone(table: Table, noun: str, notes: tuple[str, ...]) -> Verdict:
    """Prompts were measured and nothing else: which is better, and whether that may do."""
    baseline = table.baseline
    assert baseline is not None  # noqa: S101 - without one this is not asked
    others = [line for line in table.answered if line is not baseline]
    other = best_of(others)
    if other is None:
        beside = "no other arm ran through" if len(table.lines) > 1 else "nothing was measured beside it"
        return Verdict(Advice.MEASURE_MORE, f"{_on(table, noun)}{_said(baseline)}; {beside}.", notes)
    assert other.against is not None  # noqa: S101 - every whole line but the baseline is compared
    figures = f"{_on(table, noun)}{_said(baseline)}, {_also(other)}"
    if table.is_indicative:
        return Verdict(
            Advice.MEASURE_MORE,
            f"Indicative only, with fewer than {INDICATIVE_BELOW_ROWS} rows: {_lower(figures)}.",
            notes,
        )
    if _is_too_little(table, baseline):
        return Verdict(Advice.NOTHING, f"{figures}: no prompt measured here helps enough.", notes)
    if other.against.is_worse:
        return Verdict(Advice.PROMPT, f"{figures}: the better prompt is {_name(baseline)}.", notes)
    alike = [line for line in others if line.against is not None and not line.against.is_shown]
    shortest = min((baseline, *alike), key=lambda line: line.prompt_tokens)
    shows = f"no difference shows (p {_p(other)})"
    if shortest is baseline or shortest.against is None:
        return Verdict(Advice.PROMPT, f"{figures}, and {shows}: take {_name(baseline)}, the shortest prompt.", notes)
    worst = points(max(0.0, -shortest.against.difference.low))
    shorter = f"{_name(shortest)} is the shorter prompt, and loses {worst} at most"
    return Verdict(Advice.PROMPT, f"{figures}, and {shows}: {shorter}.", notes)


def _notes(table: Table, report: Report | None) -> list[str]:
    notes = []
    if report is not None and report.retention is not None and report.retention.warning:
        notes.append(report.retention.warning)
    notes += [_difference(line, table) for line in table.lines if line.against is not None and table.metric.is_share]
    if report is not None and report.partial:
        missing = len(report.spec.evaluation.arms) - len(report.arms)
        notes.append(
            "The job ended before its evaluation was over"
            + (f"; {missing} {'arm was' if missing == 1 else 'arms were'} not begun." if missing else ".")
        )
    for line in table.lines:
        notes += _notes_of(line)
    if any(line.against is not None for line in table.lines):
        if table.detectable is None:
            notes.append(
                f"With fewer than {LEAST_DISCORDANT_ROWS} rows, or groups of rows, no difference can show at all."
            )
        elif table.metric.is_share:
            notes.append(
                f"Between arms that differ on as many rows as these, {table.rows:,} rows show a difference of "
                f"{points(table.detectable)} or more (4 times in 5); a smaller one would stay hidden."
            )
    return notes


def _notes_of(line: ArmLine) -> Iterator[str]:
    rows = counted(line.score.n, "row")
    if line.report.partial:
        yield (
            f"{line.label} ended early, after {rows}. Long rows come first, so these are no fair sample: its figures "
            "are shown and not compared."
        )
    if line.failed == line.score.n:
        reason = " ".join((line.report.failed[0].error or "").split())
        shown = reason if len(reason) <= _REASON_CHARACTERS else f"{reason[: _REASON_CHARACTERS - 1]}…"
        yield (
            f"{line.label} failed on every row, so its figures say that it did not run, and not how good it is. The "
            f"first reason: {shown}"
        )
    elif line.failed:
        count = "it counts" if line.failed == 1 else "they count"
        unknown = sum(item.expected_nats is None for item in line.report.failed)
        left = (
            ", and the perplexity is that of the others" if line.score.metric is Metric.PERPLEXITY and unknown else ""
        )
        yield f"{line.label}: {line.failed:,} of {rows} failed; {count} as wrong{left}."
    if line.cut:
        was = "was" if line.cut == 1 else "were"
        answers = counted(line.score.n, "answer")
        yield f"{line.label}: {line.cut:,} of {answers} {was} cut at the longest length allowed."
    if line.noise is not None:
        yield (
            f"{line.label} was measured {len(line.noise.means)} times: between two runs its score moves by up to "
            f"{points(line.noise.margin)}, and {counted(line.noise.changed, 'row')} changed."
        )


def _difference(line: ArmLine, table: Table) -> str:
    against, baseline = line.against, table.baseline
    assert against is not None  # noqa: S101 - asked of compared lines alone
    assert baseline is not None  # noqa: S101 - what they were compared with
    difference = against.difference
    interval = f"95 % interval {points_between(difference.low, difference.high)}"
    return (
        f"{line.label} against {_name(baseline)}: {points(difference.value, signed=True)} ({interval}), "
        f"p {p_text(against.p_holm, sign=True)} after Holm; {counted(against.gained, 'row')} gained, "
        f"{against.lost:,} lost."
    )


def _on(table: Table, noun: str) -> str:
    return f"On {table.rows:,} {noun.removesuffix('s') if table.rows == 1 else noun} "


def _name(line: ArmLine) -> str:
    """A label inside a sentence: Few-shot → few-shot, but LoRA and RAG stay."""
    stays = "·" in line.label or line.label.startswith(("LoRA", "QLoRA", "RAG"))
    return line.label if stays else _lower(line.label)


def _said(line: ArmLine) -> str:
    """`LoRA is right on 93 % (88–96)`, `LoRA reaches 71 % (66–75) field F1`."""
    said = PHRASES.get(line.score.metric, f"reaches {{}} {METRIC_NAMES[line.score.metric]}")
    return f"{_name(line)} {said.format(score_text(line.score))}"


def _also(line: ArmLine) -> str:
    """The same of a second arm: `few-shot on 5 % (3–9)`, `few-shot 40 % (35–45)`."""
    return f"{_name(line)} {'on ' if line.score.metric.is_boolean else ''}{score_text(line.score)}"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
