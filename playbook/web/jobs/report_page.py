"""What the page of a report shows beside its table: samples of rows, labels, costs, retention, looks, preferences."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from django.urls import reverse

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import Metric
from playbook.contracts.report import Report, RetentionSummary
from playbook.contracts.run_spec import Arm, Method
from playbook.scoring import verdict
from playbook.scoring.figures import counted, number, p_text, percent, points, points_between, share_text
from playbook.scoring.labels import Confusion, FieldLine, LabelLine, confusion_of, fields_of
from playbook.scoring.preference import Preference
from playbook.scoring.rows import changes_between, worst_rows
from playbook.scoring.table import ArmLine, Table, best_of
from playbook.scoring.words import METRIC_EXPLANATIONS, arm_label
from playbook.web.accounts.models import User
from playbook.web.common.plots import IntervalPlot, interval_plot
from playbook.web.decisions.criterion import Criterion
from playbook.web.jobs import blind, report_rows
from playbook.web.jobs.advice import Advice, advice_of
from playbook.web.jobs.models import Job
from playbook.web.jobs.report_rows import RowView
from playbook.web.jobs.report_table import TableView, metric_title, seconds_text, table_view
from playbook.web.jobs.reports import Read
from playbook.web.jobs.test_sets import Looks, looks_at

#: Rows of each kind that the page itself shows; the others are a link away.
SAMPLES, SAMPLE_CHARACTERS = 3, 180
#: A matrix of more labels is no picture any more; its lines are then a table, the worst first.
MATRIX_LABELS, LABEL_LINES, FIELD_LINES = 12, 30, 20
HEAT_LEVELS = 4
_ARM_OF = {
    verdict.Advice.TUNE: Arm.LORA,
    verdict.Advice.RETRIEVE: Arm.RAG,
    verdict.Advice.TUNE_AND_RETRIEVE: Arm.RAG_LORA,
}


@dataclass(frozen=True)
class Sample:
    """A few rows of one kind. `total`: how many there are. `between`: the two arms that rows changed between."""

    kind: str
    title: str
    between: str
    arm: Arm
    rows: tuple[RowView, ...]
    total: int


@dataclass(frozen=True)
class Matrix:
    """Rows by expected label (down) and answer (across): (count, heat 0 to 4, whether it is right)."""

    label: str
    confusion: Confusion
    lines: tuple[tuple[str, tuple[tuple[int, int, bool], ...]], ...]

    @property
    def worst(self) -> list[LabelLine]:
        """The labels in place of a matrix that would be too wide."""
        return sorted(self.confusion.lines, key=lambda line: line.f1)[:LABEL_LINES]


@dataclass(frozen=True)
class BreakEven:
    """`requests`: from which volume on the training is repaid by cheaper answers alone; None when they are not.
    `is_worse`: they are shown to be worse answers, too."""

    label: str
    baseline: str
    training: str
    before: str
    after: str
    requests: float | None
    is_worse: bool
    url: str


@dataclass(frozen=True)
class Retention:
    """The fixed general set, before and after tuning, in words."""

    summary: RetentionSummary
    accuracy: str
    loss: str


@dataclass(frozen=True)
class PreferenceView:
    label: str
    preference: Preference
    people: int
    sentence: str


@dataclass(frozen=True)
class ReportPage:
    """`headline`: the line that the page speaks of beside the best prompt; of rows that changed, it is the later."""

    read: Read
    view: TableView
    headline: ArmLine | None
    explanations: tuple[tuple[str, str], ...]
    samples: tuple[Sample, ...]
    matrices: tuple[Matrix, ...]
    fields: tuple[FieldLine, ...]
    break_evens: tuple[BreakEven, ...]
    retention: Retention | None
    advice: tuple[Advice, ...]
    looks: Looks | None
    preferences: tuple[PreferenceView, ...]
    preference_plot: IntervalPlot | None
    may_rate: bool


def page_of(job: Job, read: Read, user: User) -> ReportPage:
    """Return what the page shows. Seven queries at most, whatever the report holds. Raises DifferentRows."""
    table, report = read.table, read.report
    headline = headline_of(read)
    preferences = tuple(
        _preference(found, people, read.report.spec.method)
        for found, people in blind.preferences(job, report_sha256=read.sha256)
    )
    return ReportPage(
        read=read,
        view=table_view(table, criterion=criterion_of(job)),
        headline=headline,
        explanations=tuple((metric_title(one), METRIC_EXPLANATIONS[one]) for one in table.settings.metrics),
        samples=_samples(read, headline),
        matrices=_matrices(read, headline),
        fields=_fields(read, headline),
        break_evens=tuple(_break_even(table, line) for line in table.answered if line.training_seconds is not None)
        if table.baseline
        else (),
        retention=_retention(report.retention) if report.retention else None,
        advice=tuple(advice_of(job, report)),
        looks=looks_at(report.test_set_sha256, rows=table.rows, user=user) if is_locked(report) else None,
        preferences=preferences,
        preference_plot=_preference_plot(preferences),
        may_rate=any(pair.rows for pair in blind.pairs_of(report)),
    )


def is_locked(report: Report) -> bool:
    """True when the rows are those of the locked test set."""
    return report.spec.evaluation.split is Split.TEST


def criterion_of(job: Job) -> Criterion | None:
    return job.decision.criterion if job.decision else None


def headline_of(read: Read) -> ArmLine | None:
    """Return the line that the verdict is about; where it speaks for a prompt, the best of the others."""
    table = read.table
    found = next((line for line in table.whole if line.arm is _ARM_OF.get(read.verdict.advice)), None)
    others = [line for line in table.answered or table.whole if line is not table.baseline]
    return found or best_of([line for line in others if not line.arm.is_prompt_alone] or others)


def _samples(read: Read, headline: ArmLine | None) -> tuple[Sample, ...]:
    """Rows as the best prompt and the headline answered them; without either, as the first arm did."""
    baseline, line = read.table.baseline, headline or next(iter(read.table.lines), None)
    if line is None:
        return ()
    shown = [found.report for found in (baseline, line) if found is not None]
    if len(shown) == 2 and shown[0] is shown[1]:
        shown.pop()

    def sample(kind: str, title: str, indices: Sequence[int], total: int, between: str = "") -> Sample:
        rows = report_rows.views(shown, indices[:SAMPLES], method=read.report.spec.method, limit=SAMPLE_CHARACTERS)
        return Sample(kind, title, between, line.arm, rows, total)

    samples = []
    if baseline is not None and line is not baseline:
        changes = changes_between(baseline.report, line.report)
        for kind, title, pairs in (
            ("gained", "Wrong → right", changes.gained),
            ("lost", "Right → wrong", changes.lost),
        ):
            indices = [pair.after.index for pair in pairs]
            samples.append(sample(kind, title, indices, len(pairs), f"{baseline.label} → {line.label}"))
    worst = worst_rows(line.report, [arm for arm in read.report.arms if arm is not line.report], limit=SAMPLES)
    wrong = sum(not item.correct for item in line.report.items)
    samples.append(sample("worst", f"Worst rows of {line.label}", [item.index for item in worst], wrong))
    return tuple(samples)


def _matrices(read: Read, headline: ArmLine | None) -> tuple[Matrix, ...]:
    if Metric.LABEL_ACCURACY not in read.table.settings.metrics:
        return ()
    lines = [line for line in (read.table.baseline, headline) if line is not None]
    return tuple(_matrix(line.label, _confusion(read, line.arm)) for line in lines)


@lru_cache(maxsize=32)
def _confusion(read: Read, arm: Arm) -> Confusion:
    found = read.report.arm(arm)
    assert found is not None  # noqa: S101 - the arm is one of this report's lines
    return confusion_of(found.items, read.table.settings)


def _matrix(label: str, confusion: Confusion) -> Matrix:
    if len(confusion.labels) > MATRIX_LABELS:
        return Matrix(label, confusion, ())
    most = [max(counts, default=0) or 1 for counts in confusion.counts]
    lines = tuple(
        (
            wanted,
            tuple(
                (count, -(-HEAT_LEVELS * count // largest), wanted == answer)
                for answer, count in zip(confusion.answers, counts, strict=True)
            ),
        )
        for wanted, counts, largest in zip(confusion.labels, confusion.counts, most, strict=True)
    )
    return Matrix(label, confusion, lines)


def _fields(read: Read, headline: ArmLine | None) -> tuple[FieldLine, ...]:
    line = headline or read.table.baseline
    if line is None or Metric.FIELD_F1 not in read.table.settings.metrics:
        return ()
    return fields_of(line.report.items, read.table.settings)[:FIELD_LINES]


def _break_even(table: Table, line: ArmLine) -> BreakEven:
    """The calculator asks for a hosted price, which nobody measured here; it gets what was measured, filled in."""
    baseline = table.baseline
    assert baseline is not None  # noqa: S101 - asked only where there is one
    assert line.training_seconds is not None  # noqa: S101 - asked of trained arms alone
    inputs: dict[str, float | int | str] = {
        "long_prompt": max(1, round(baseline.prompt_tokens)),
        "short_prompt": max(1, round(line.prompt_tokens)),
        "answer": max(1, round(line.output_tokens)),
    }
    if line.request_seconds > 0 and line.tokens > 0:
        inputs["tokens_per_second"] = float(f"{line.tokens / line.request_seconds:.4g}")
    if table.cost and table.cost.hour_rate and line.training_cost is not None:
        inputs |= {"one_off": float(f"{line.training_cost:.4g}"), "price_per_hour": table.cost.hour_rate}
    return BreakEven(
        label=line.label,
        baseline=baseline.label,
        training=seconds_text(line.training_seconds),
        before=seconds_text(baseline.request_seconds),
        after=seconds_text(line.request_seconds),
        requests=line.break_even_requests,
        is_worse=line.against is not None and line.against.is_worse,
        url=f"{reverse('wiki:calculator', args=['break-even'])}?{urlencode(inputs)}",
    )


def _retention(summary: RetentionSummary) -> Retention:
    accuracy, loss = summary.accuracy_change, summary.loss_change
    return Retention(
        summary,
        accuracy=f"{percent(summary.accuracy_before)} % → {percent(summary.accuracy_after)} % "
        f"({points(accuracy.value, signed=True)}, 95 % interval {points_between(accuracy.low, accuracy.high)})",
        loss=f"{number(summary.loss_before)} → {number(summary.loss_after)} nats a token "
        f"({_signed(loss.value)}, 95 % interval {_signed(loss.low)} to {_signed(loss.high)})",
    )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def _preference(found: Preference, people: int, method: Method) -> PreferenceView:
    baseline, arm = (arm_label(one, method) for one in (found.baseline, found.arm))
    decided = found.wins + found.losses
    if found.share is None:
        said = f"{counted(found.rows, 'row')} rated, and nobody saw a difference"
    else:
        share = share_text(found.share.value, found.share.low, found.share.high)
        said = (
            f"{arm} preferred to {baseline} in {share} of {counted(decided, 'choice')} on "
            f"{counted(found.rows, 'row')}, p {p_text(found.p_value, sign=True)}"
        )
    ties = f"; {found.ties} without a difference" if found.ties and found.share else ""
    return PreferenceView(f"{arm} over {baseline}", found, people, f"{said}{ties}.")


def _preference_plot(found: Sequence[PreferenceView]) -> IntervalPlot | None:
    rows = [
        (one.label, share.value, share.low, share.high) for one in found if (share := one.preference.share) is not None
    ]
    if not rows:
        return None
    return interval_plot(
        rows, threshold=0.5, threshold_label="no preference", caption="Share of choices, with the 95 % interval."
    )
