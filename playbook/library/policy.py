"""The policy of a team: which jobs need an accepted decision (`content/policy.yaml`). Values and their judgement only;
the facts of a job are the site's business."""

from dataclasses import dataclass
from math import ceil
from typing import Literal, Self

from pydantic import Field, model_validator

from playbook.contracts.model import Frozen
from playbook.library.fields import Line, Slug, Text


class PolicyRule(Frozen):
    """A job meets the rule when it passes the one limit that the rule sets."""

    id: Slug
    title: Line
    why: Text
    over_gpu_minutes: int | None = Field(default=None, ge=0, description="estimated minutes of the worker's machine")
    datasets: Literal["not_samples"] | None = Field(default=None, description="data that did not come with Playbook")
    over_parameters: int | None = Field(default=None, ge=0, description="size of the base model")
    unlisted_models: Literal[True] | None = Field(default=None, description="base models of unknown size")

    @model_validator(mode="after")
    def _sets_one_limit(self) -> Self:
        limits = ("over_gpu_minutes", "datasets", "over_parameters", "unlisted_models")
        found = [name for name in limits if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"rule {self.id!r} sets {found or 'no limit'}; set exactly one of {list(limits)}")
        return self


class Policy(Frozen):
    """All rules; none of them by default."""

    rules: tuple[PolicyRule, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _ids_are_distinct(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"rule {twice[0]!r} is defined twice; rename or remove one")
        return self


@dataclass(frozen=True)
class JobFacts:
    """What the rules ask of a job. None: not known, because the base model is not listed."""

    gpu_minutes: float | None
    parameters: int | None
    own_data: bool


@dataclass(frozen=True)
class Met:
    """A rule that a job meets, and by what."""

    rule: PolicyRule
    because: str


def rules_met(policy: Policy, facts: JobFacts) -> tuple[Met, ...]:
    """Return the rules that a job meets, in the order of the file.

    >>> rule = PolicyRule(id="long", title="Long runs", why="They cost.", over_gpu_minutes=60)
    >>> facts = JobFacts(gpu_minutes=90.2, parameters=None, own_data=False)
    >>> [met.because for met in rules_met(Policy(rules=(rule,)), facts)]
    ['it is estimated at 91 GPU minutes, and the limit is 60']
    """
    found = ((rule, _because(rule, facts)) for rule in policy.rules)
    return tuple(Met(rule, because) for rule, because in found if because)


def _because(rule: PolicyRule, facts: JobFacts) -> str:
    if rule.datasets is not None and facts.own_data:
        return "its dataset is not one of the samples"
    if rule.unlisted_models and facts.parameters is None:
        return "its base model is not listed, so that its size is not known"
    minutes, size = facts.gpu_minutes, facts.parameters
    if rule.over_gpu_minutes is not None and minutes is not None and minutes > rule.over_gpu_minutes:
        # Upwards: what is over a limit must not read as if it were within.
        return f"it is estimated at {ceil(minutes):,} GPU minutes, and the limit is {rule.over_gpu_minutes:,}"
    if rule.over_parameters is not None and size is not None and size > rule.over_parameters:
        return f"its base model has {size:,} parameters, and the limit is {rule.over_parameters:,}"
    return ""
