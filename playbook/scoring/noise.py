"""What chance alone does: an arm that is measured again on the same rows tells how far its score moves by itself."""

from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from playbook.contracts.report import ArmReport
from playbook.scoring.statistics import Z_95


@dataclass(frozen=True)
class Noise:
    """Run-to-run noise of an arm. `means`: its mean score in each run. `changed`: rows whose score was not the same
    in all runs."""

    means: tuple[float, ...]
    deviation: float
    changed: int

    @property
    def margin(self) -> float:
        """Two runs of the same arm differ by less than this 95 times in 100: 1.96 x sqrt(2) x the deviation."""
        return Z_95 * sqrt(2) * self.deviation


def noise_of(arm: ArmReport) -> Noise | None:
    """Return the noise between the runs of an arm; None when it was measured once.

    `deviation` is the standard deviation of the run means (n - 1). Source: Madaan et al., "Quantifying Variance in
    Evaluation Benchmarks", 2024, section 3.1 (seed variance); the margin is the repeatability limit of ISO 5725-6.
    """
    if not arm.repeats:
        return None
    runs = [[item.score for item in arm.items], *(list(repeat.scores) for repeat in arm.repeats)]
    means = tuple(fmean(run) for run in runs)
    changed = sum(len(set(scores)) > 1 for scores in zip(*runs, strict=True))
    return Noise(means=means, deviation=stdev(means), changed=changed)
