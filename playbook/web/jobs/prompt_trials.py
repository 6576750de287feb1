"""Measuring versions of a prompt on the validation split, and what came of it.

The test split stays out of it twice: `measure_prompt` builds a `PromptTrial`, which cannot name it, and the worker of
such a job is not even sent its file (`protocol_api`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.report import Report, Score
from playbook.contracts.run_spec import (
    Arm,
    BaseModelRef,
    EvaluationSettings,
    OverLength,
    PromptTrial,
    TrainingSettings,
)
from playbook.scoring.figures import score_text
from playbook.scoring.table import goodness
from playbook.scoring.words import ARM_LABELS
from playbook.web.accounts.models import User
from playbook.web.common.plots import IntervalPlot
from playbook.web.datasets.models import DatasetVersion, SplitFile
from playbook.web.jobs import reports
from playbook.web.jobs.actions import launch_job
from playbook.web.jobs.costs import today_costs
from playbook.web.jobs.models import Job
from playbook.web.jobs.report_table import NOT_MEASURED, interval_text, metric_title, score_plot, value_text
from playbook.web.prompts.models import Prompt, PromptVersion

#: The newest trials that the workbench looks at, and those whose reports it reads.
JOBS_LOOKED_AT, TRIALS_SHOWN = 200, 30
#: No row is too long for a run that trains nothing; what exceeds the context counts as wrong.
_NO_LIMIT = TrainingSettings(max_length=131_072, over_length=OverLength.DROP)


@dataclass(frozen=True)
class Trial:
    """The newest measurement of one version in one setting. `score`: by the setting's metric; None while there is no
    whole report. `secondary`: by the other metrics of the group, in its order."""

    version: PromptVersion
    job: Job
    arm: str
    score: Score | None
    prompt_tokens: float | None
    other_scores: tuple[Score, ...] = ()
    is_partial: bool = False
    secondary: tuple[str, ...] = ()
    is_best: bool = False

    @property
    def value(self) -> str:
        return value_text(self.score) if self.score else ""

    @property
    def interval(self) -> str:
        return interval_text(self.score) if self.score else ""


@dataclass(frozen=True)
class TrialGroup:
    """Trials that may be compared: the same validation rows, base model, longest answer and metric. Newest version
    first. `secondary`: what else was measured of any of them."""

    dataset: SplitFile | None
    rows: int
    base_model: str
    max_new_tokens: int
    metric: str
    secondary: tuple[str, ...]
    trials: tuple[Trial, ...]
    plot: IntervalPlot | None

    @property
    def best(self) -> Trial | None:
        return next((trial for trial in self.trials if trial.is_best), None)

    @property
    def others(self) -> int:
        """How many measured versions the best one was chosen from, itself aside."""
        return sum(trial.score is not None for trial in self.trials) - 1


@dataclass(frozen=True)
class _Setting:
    """What two trials must have in common. `judged`: the metric and its settings, as JSON."""

    sha256: str
    base_model: str
    max_new_tokens: int
    metric: Metric
    judged: str


def measure_prompt(
    version: PromptVersion,
    *,
    dataset_version: DatasetVersion,
    base_model: BaseModelRef,
    max_new_tokens: int,
    actor: User,
) -> Job:
    """Launch a job that answers the validation rows with this prompt: few_shot when it has worked examples, else
    zero_shot. Answers are judged as the dataset says, else by exact match. Raises Conflict as `launch_job`."""
    prompt = version.prompt_settings
    judged = dataset_version.dataset.metric_settings or MetricSettings()
    spec = PromptTrial(
        base_model=base_model,
        prompt=prompt,
        training=_NO_LIMIT,
        evaluation=EvaluationSettings(
            arms=(Arm.FEW_SHOT if prompt.examples else Arm.ZERO_SHOT,),
            max_new_tokens=max_new_tokens,
            split=Split.VALIDATION,
            **judged.model_dump(),
        ),
        inputs=dataset_version.inputs(),
        cost=today_costs(),
    )
    title = f"{version.prompt.name[:150]} v{version.number}, validation rows"
    return launch_job(use_case=version.prompt.use_case, created_by=actor, title=title, spec=spec)


def trials_of(prompt: Prompt) -> list[TrialGroup]:
    """Return what was measured of the prompt's versions, the setting of the newest trial first. Four queries."""
    versions = {version.digest: version for version in prompt.versions.all()}
    newest: dict[tuple[_Setting, str], Job] = {}
    jobs = Job.objects.filter(use_case=prompt.use_case_id, spec__evaluation__split=Split.VALIDATION.value)
    for job in jobs.order_by("-pk")[:JOBS_LOOKED_AT]:
        digest = PromptSettings.model_validate(job.spec["prompt"]).digest
        if digest in versions and len(newest) < TRIALS_SHOWN:
            newest.setdefault((_setting(job), digest), job)
    found, _ = reports.reports_of(list(newest.values()))
    files = _validation_files(setting.sha256 for setting, _ in newest)
    grouped: dict[_Setting, list[Trial]] = {}
    for (setting, digest), job in newest.items():
        grouped.setdefault(setting, []).append(_trial(versions[digest], job, found.get(job.pk)))
    return [_group(setting, trials, files) for setting, trials in grouped.items()]


def _setting(job: Job) -> _Setting:
    evaluation = job.spec["evaluation"]
    known = {name: evaluation[name] for name in MetricSettings.model_fields if name in evaluation}
    judged = MetricSettings.model_validate(known)
    return _Setting(
        sha256=next(file["sha256"] for file in job.spec["inputs"] if file["split"] == Split.VALIDATION),
        base_model=job.base_model,
        max_new_tokens=evaluation["max_new_tokens"],
        metric=judged.metric,
        # What is measured beside it changes nothing of the metric itself.
        judged=judged.model_dump_json(exclude={"secondary_metrics"}),
    )


def _validation_files(digests: Iterable[str]) -> dict[str, SplitFile]:
    files = SplitFile.objects.filter(sha256__in=set(digests), split=Split.VALIDATION.value)
    return {file.sha256: file for file in files.select_related("version__dataset").order_by("pk")}


def _trial(version: PromptVersion, job: Job, report: Report | None) -> Trial:
    arm = report.arms[0] if report else None
    if arm is not None and arm.partial:
        # Other rows than the other versions answered: long ones come first.
        arm = None
    name = Arm.FEW_SHOT if version.content["examples"] else Arm.ZERO_SHOT
    return Trial(
        version=version,
        job=job,
        arm=ARM_LABELS[name],
        score=arm.scores[0] if arm else None,
        prompt_tokens=arm.mean_prompt_tokens if arm else None,
        other_scores=arm.scores[1:] if arm else (),
        is_partial=report is not None and arm is None,
    )


def _group(setting: _Setting, trials: list[Trial], files: Mapping[str, SplitFile]) -> TrialGroup:
    measured = [(trial, trial.score) for trial in trials if trial.score is not None]
    # Of two that are equally right the shorter prompt is the better one.
    best = max(measured, key=lambda pair: (goodness(pair[1]), -(pair[0].prompt_tokens or 0)), default=None)
    shown = sorted(trials, key=lambda trial: -trial.version.number)
    by_version = sorted(measured, key=lambda pair: -pair[0].version.number)
    bars = [(f"Version {trial.version.number}", score) for trial, score in by_version]
    secondary = tuple(dict.fromkeys(score.metric for trial in shown for score in trial.other_scores))
    metric, file = metric_title(setting.metric), files.get(setting.sha256)
    return TrialGroup(
        dataset=file,
        rows=file.rows if file else 0,
        base_model=setting.base_model,
        max_new_tokens=setting.max_new_tokens,
        metric=metric,
        secondary=tuple(metric_title(one) for one in secondary),
        trials=tuple(
            replace(
                trial,
                is_best=len(measured) > 1 and best is not None and trial is best[0],
                secondary=_secondary(trial, secondary),
            )
            for trial in shown
        ),
        plot=score_plot(bars, caption=f"{metric} on validation rows, with the 95 % interval.") if bars else None,
    )


def _secondary(trial: Trial, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return the trial's other scores as text, in the order of `metrics`."""
    found = {score.metric: score_text(score) for score in trial.other_scores}
    return tuple(found.get(metric, NOT_MEASURED) for metric in metrics)
