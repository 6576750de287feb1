"""What a launch is refused or warned for beyond the contract of the run spec: what this site and its workers can do."""

from collections.abc import Collection

from playbook.contracts.run_spec import RunSpec
from playbook.web.common.content import library
from playbook.web.jobs.models import Worker

#: Base models named in a refusal.
NAMED = 5


def unknown_base_model(spec: RunSpec) -> str | None:
    """Return why the base model cannot run here: neither listed by the site nor held by any worker. One query."""
    wanted = spec.base_model.id
    listed = library().base_models
    if wanted in listed:
        return None
    offered = {model for worker in Worker.objects.filter(disabled_at=None) for model in worker.base_models}
    if wanted in offered:
        return None
    known = sorted(offered) or sorted(model.id for model in listed.values() if model.bundled)
    return (
        f"Base model “{wanted}” is unknown: it is neither in the site's list nor in the models folder of any worker. "
        f"Place it there, or choose one of: {', '.join(known[:NAMED])}."
    )


def absent_base_model(spec: RunSpec, workers: Collection[Worker]) -> str:
    """Return that the job will wait, when no worker that is online has its base model; "" otherwise.

    While no worker is online at all, there is nothing to say of this model alone.
    """
    offered = {model for worker in workers if worker.is_online for model in worker.base_models}
    wanted = spec.base_model.id
    if not offered or wanted in offered:
        return ""
    return (
        f"No online worker has the base model “{wanted}”: the job waits until one does. "
        f"At hand: {', '.join(sorted(offered)[:NAMED])}."
    )


def needs_a_gpu(spec: RunSpec) -> bool:
    """True for methods that run on CUDA alone."""
    return "qlora" in (_method(part) for part in (spec, spec.lora, spec.training))


def _method(part: object) -> str:
    return str(getattr(part, "method", ""))


def gpu_problem(spec: RunSpec, workers: Collection[Worker]) -> tuple[str, bool] | None:
    """Return (sentence, whether it refuses) when a method needs a GPU and no online worker has one; None otherwise.

    `workers`: all that are not disabled. While no worker is there at all, or one with a GPU is only away, one may
    come: that warns. When the workers that are there have none, and no other is known, the job would wait for ever.
    """
    if not needs_a_gpu(spec) or any(worker.is_online and worker.has_gpu for worker in workers):
        return None
    away = [worker.name for worker in workers if worker.has_gpu]
    if away:
        return f"QLoRA needs a CUDA GPU. {', '.join(away)} has one but is away: the job waits until it is back.", False
    if not any(worker.is_online for worker in workers):
        return "QLoRA needs a CUDA GPU, and no worker is online: the job waits until one with a GPU comes.", False
    return (
        "QLoRA needs a CUDA GPU (bitsandbytes), and no worker reports one. Attach a worker with a GPU, or choose "
        "another method: LoRA trains on a CPU as well.",
        True,
    )
