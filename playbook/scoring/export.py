"""The table and the rows as CSV, JSON and Markdown. Text from people and models is kept from being run or rendered."""

import csv
import io
import json
from collections.abc import Mapping, Sequence

from playbook.contracts.report import ArmReport, ItemResult, Score
from playbook.scoring.compare import refuse_different_rows
from playbook.scoring.figures import p_text
from playbook.scoring.rows import question_of
from playbook.scoring.table import ArmLine, Table
from playbook.scoring.verdict import Verdict
from playbook.scoring.words import METRIC_NAMES

#: A spreadsheet takes a cell that begins with one of these for a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
Cell = str | float | int | None


def record_of(line: ArmLine) -> dict[str, Cell]:
    """Return one line of the table as plain values, in the order of the columns. Units are in the names."""
    score, against = line.score, line.against
    return {
        "arm": line.label,
        "metric": score.metric.value,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "right": score.successes,
        "rows": score.n,
        "failed": line.failed,
        "cut": line.cut,
        "partial": _yes(line.report.partial),
        "difference": against.difference.value if against else None,
        "difference_low": against.difference.low if against else None,
        "difference_high": against.difference.high if against else None,
        "p_value": against.p_value if against else None,
        "p_holm": against.p_holm if against else None,
        "gained": against.gained if against else None,
        "lost": against.lost if against else None,
        "prompt_tokens": line.prompt_tokens,
        "output_tokens": line.output_tokens,
        "latency_p50_seconds": line.latency_p50,
        "latency_p95_seconds": line.latency_p95,
        "machine_seconds_per_1000_requests": 1000 * line.request_seconds,
        "cost_per_1000_requests": line.cost_per_1000,
        "training_seconds": line.training_seconds,
        "training_cost": line.training_cost,
        "break_even_requests": line.break_even_requests,
    }


def table_csv(table: Table) -> str:
    """Return the table as CSV (RFC 4180: CRLF, quoted where needed), one line an arm."""
    currency = {"currency": table.cost.currency if table.cost else None}
    return _csv([record_of(line) | currency for line in table.lines])


def rows_csv(arms: Sequence[ArmReport]) -> str:
    """Return every row with every arm's answer as CSV; empty cells where an arm ended before it.

    Raises DifferentRows when arms that ran through answered different rows.
    """
    whole = [arm for arm in arms if not arm.partial]
    for arm in whole[1:]:
        refuse_different_rows(whole[0], arm)
    answers = {arm.arm.value: {item.index: item for item in arm.items} for arm in arms}
    records: list[dict[str, Cell]] = []
    for index in sorted({index for items in answers.values() for index in items}):
        given = {name: items[index] for name, items in answers.items() if index in items}
        expected = next(iter(given.values())).expected
        record: dict[str, Cell] = {"row": index + 1, "question": question_of(given.values()), "expected": expected}
        for name in answers:
            cells = _cells_of(given[name]) if name in given else dict.fromkeys(_cells_of(next(iter(given.values()))))
            record |= {f"{name}_{what}": cell for what, cell in cells.items()}
        records.append(record)
    return _csv(records)


def _cells_of(item: ItemResult) -> dict[str, Cell]:
    return {
        "answer": item.output,
        "score": item.score,
        "right": _yes(item.correct),
        "failed": item.error,
        "cut": _yes(item.cut),
        "prompt_tokens": item.prompt_tokens,
        "output_tokens": item.output_tokens,
        "latency_seconds": item.latency_seconds,
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def table_json(table: Table, verdict: Verdict) -> str:
    """Return table and verdict as JSON. An unbounded interval is null: JSON has no infinity."""
    document = {
        "test_set_sha256": table.test_set_sha256,
        "metric": table.metric.value,
        "rows": table.rows,
        "indicative": table.is_indicative,
        "baseline": table.baseline.label if table.baseline else None,
        "smallest_detectable_difference": table.detectable,
        "currency": table.cost.currency if table.cost else None,
        "hour_rate": table.cost.hour_rate if table.cost else None,
        "verdict": {"advice": verdict.advice.value, "sentence": verdict.sentence, "notes": list(verdict.notes)},
        "arms": [
            record_of(line) | {"secondary": {score.metric.value: _plain(score) for score in line.secondary}}
            for line in table.lines
        ],
    }
    return json.dumps(_finite(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def table_markdown(table: Table, verdict: Verdict) -> str:
    """Return verdict and table as Markdown, for a decision record or a merge request."""
    currency = f" {table.cost.currency}" if table.cost and table.cost.currency else ""
    head = [
        "Arm", METRIC_NAMES[table.metric].capitalize() if table.metric.is_share else "Perplexity", "95 % interval",
        "p (Holm)", "Tokens a request", "Latency p50", "Latency p95", f"Cost of 1,000 requests{currency}",
        f"Training{currency}", "Break-even requests",
    ]  # fmt: skip
    body = [_markdown_cells(line) for line in table.lines]
    rule = ["---", *("---:" for _ in head[1:])]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *body)]
    notes = [f"- {_markdown_safe(note)}" for note in verdict.notes]
    return "\n".join([_markdown_safe(verdict.sentence), "", *lines, *(["", *notes] if notes else [])]) + "\n"


def _markdown_cells(line: ArmLine) -> list[str]:
    score, against = line.score, line.against
    return [
        _markdown_safe(line.label) + (" (ended early)" if line.report.partial else ""),
        _quality(score, score.value),
        f"{_quality(score, score.low)} – {_quality(score, score.high)}",
        _markdown_safe(p_text(against.p_holm)) if against else "–",
        f"{line.tokens:,.0f}",
        _or_dash(line.latency_p50, "{:.3g} s"),
        _or_dash(line.latency_p95, "{:.3g} s"),
        _or_dash(line.cost_per_1000, "{:,.3g}"),
        _or_dash(line.training_cost, "{:,.3g}"),
        _or_dash(line.break_even_requests, "{:,.0f}"),
    ]


def _quality(score: Score, value: float) -> str:
    if not score.metric.is_share:
        return f"{value:.3g}"
    return f"{value * 100:.1f} %"


def _or_dash(value: float | None, shape: str) -> str:
    return "–" if value is None else shape.format(value)


def _markdown_safe(text: str) -> str:
    """Return text on one line that ends no cell and starts no markup."""
    text = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\|<>[]`*_#" else letter for letter in text)


def _csv(records: Sequence[Mapping[str, Cell]]) -> str:
    stream = io.StringIO()
    if records:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(records[0])
        writer.writerows([_csv_cell(value) for value in record.values()] for record in records)
    return stream.getvalue()


def _csv_cell(value: Cell) -> Cell:
    """Return a cell that no spreadsheet runs: a leading quote makes text of what looks like a formula."""
    if isinstance(value, str):
        value = value.replace("\x00", "")
        return f"'{value}" if value.lstrip(" ").startswith(_FORMULA_STARTS) else value
    return value


def _plain(score: Score) -> dict[str, Cell]:
    return {"value": score.value, "low": score.low, "high": score.high, "right": score.successes, "rows": score.n}


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
