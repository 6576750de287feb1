"""Whether a job may start without an accepted decision: the facts that `content/policy.yaml` asks of it."""

from playbook.contracts.run_spec import RunSpec
from playbook.library.policy import JobFacts, Met, PolicyRule, rules_met
from playbook.web.common.content import library
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.models import SplitFile
from playbook.web.jobs.estimate import estimate
from playbook.web.jobs.models import Job

#: Stands for all rules while nobody can read them: then no job starts on its own.
_UNREADABLE = Met(
    PolicyRule(
        id="unreadable",
        title="The policy cannot be read",
        why="What a team agreed on holds even while its file is broken. `manage.py check_content` says what to mend.",
        unlisted_models=True,
    ),
    because="content/policy.yaml has an error",
)


def rules_for(spec: RunSpec) -> tuple[Met, ...]:
    """Return the rules by which a job of this spec needs an accepted decision; empty when it may start without one.

    At most two queries, none without rules.
    """
    policy = library().policy
    if policy is None:
        return (_UNREADABLE,)
    if not policy.rules:
        return ()
    model = library().base_models.get(spec.base_model.id)
    seconds = estimate(spec, parameters=model.parameters).seconds if model else None
    facts = JobFacts(
        gpu_minutes=seconds / 60 if seconds is not None else None,
        parameters=model.parameters if model else None,
        # The rule is about what a model learns; a prompt that is measured teaches it nothing.
        own_data=spec.trains and _own_data(spec),
    )
    return rules_met(policy, facts)


def refuse_model(base_model: str, *, source: Job | None) -> None:
    """Raise Conflict when a job that trains nothing, such as a session, may not hold a worker with this base model.

    The rules about its size and list ask; of those about data and minutes a session meets none. What a decision allowed
    `source`, the run whose model it is, that decision allows here.
    """
    if source is not None and source.decision_id is not None:
        return
    policy = library().policy
    model = library().base_models.get(base_model)
    facts = JobFacts(gpu_minutes=None, parameters=model.parameters if model else None, own_data=False)
    if met := (_UNREADABLE,) if policy is None else rules_met(policy, facts):
        raise Conflict(f"{sentence(met)} A run under it can be talked to and merged afterwards.")


def sentence(met: tuple[Met, ...]) -> str:
    """`It needs an accepted decision: … (rule long-runs).`, for a refusal."""
    reasons = "; ".join(f"{each.because} (rule {each.rule.id})" for each in met)
    return f"This job needs an accepted decision: {reasons}. Start from a decision's page."


def _own_data(spec: RunSpec) -> bool:
    """True when a file belongs to a dataset of a use case, and to no sample."""
    wanted = {file.sha256 for file in spec.inputs}
    known = SplitFile.objects.filter(sha256__in=wanted).values_list("sha256", "version__dataset__is_sample")
    found = list(known)
    samples = {sha256 for sha256, is_sample in found if is_sample}
    return any(sha256 not in samples for sha256, _ in found)
