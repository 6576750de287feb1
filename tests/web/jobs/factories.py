"""Small valid values for tests of jobs and the worker."""

import hashlib
from datetime import UTC, datetime

from playbook.contracts.dataset import Message, Split
from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.protocol import Capabilities
from playbook.contracts.report import ArmReport, ItemResult, Overlap, Report, Score
from playbook.contracts.run_spec import Arm, BaseModelRef, EvaluationSettings, InputFile, RunSpec
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs.actions import launch_job
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase

AT = datetime(2025, 6, 1, 12, tzinfo=UTC)


def split_bytes(split: Split) -> bytes:
    return (
        b'{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "ok"}]}\n' % split.encode()
    )


def make_spec(*, base_model: str = "tiny", max_steps: int = 30) -> RunSpec:
    """A spec whose three one-row splits are stored as blobs."""
    stored = {split: blobs.store([split_bytes(split)]) for split in Split}
    spec = RunSpec(
        base_model=BaseModelRef(id=base_model),
        evaluation=EvaluationSettings(arms=(Arm.ZERO_SHOT,)),
        inputs=tuple(
            InputFile(split=split, sha256=blob.sha256, size_bytes=blob.size_bytes, rows=1)
            for split, blob in stored.items()
        ),
    )
    return spec.model_copy(update={"training": spec.training.model_copy(update={"max_steps": max_steps})})


def with_rows(spec: RunSpec, rows: int) -> RunSpec:
    """The spec, as if each split had so many rows."""
    return spec.model_copy(update={"inputs": tuple(file.model_copy(update={"rows": rows}) for file in spec.inputs)})


def asking_for(spec: RunSpec, *arms: Arm) -> RunSpec:
    """The spec, as if it asked for these arms; with documents when one of them searches."""
    blob = blobs.store([b'{"text": "The office opens at nine."}\n'])
    documents = DocumentsFile(sha256=blob.sha256, size_bytes=blob.size_bytes, documents=1)
    return spec.model_copy(
        update={
            "evaluation": spec.evaluation.model_copy(update={"arms": arms}),
            "documents": documents if any(arm.retrieves for arm in arms) else None,
        }
    )


def make_job(
    use_case: UseCase, created_by: User, *, base_model: str = "tiny", priority: int = 0, max_steps: int = 30
) -> Job:
    return launch_job(
        use_case=use_case,
        created_by=created_by,
        title="LoRA on tickets",
        spec=make_spec(base_model=base_model, max_steps=max_steps),
        recipe="lora-small",
        priority=priority,
    )


def make_capabilities(*base_models: str) -> Capabilities:
    return Capabilities(hostname="gpu-1", memory_bytes=8 * 1024**3, cpu_count=2, base_models=base_models or ("tiny",))


def make_report(spec: RunSpec) -> Report:
    """A report whose rows every arm got wrong: one of each, in the specs made here."""
    rows = spec.measured_rows.rows
    item = ItemResult(
        index=0,
        prompt=(Message(role="user", content="test"),),
        expected="ok",
        output="no",
        correct=False,
        json_valid=False,
        prompt_tokens=4,
        output_tokens=1,
        natural_stop=True,
    )
    score = Score(metric=spec.evaluation.metric, successes=0, n=rows, value=0.0, low=0.0, high=0.79)
    items = tuple(item.model_copy(update={"index": index}) for index in range(rows))
    return Report(
        spec=spec,
        arms=tuple(ArmReport(arm=arm, items=items, scores=(score,), seconds=0.1) for arm in spec.evaluation.arms),
        comparisons=(),
        training=None,
        overlap=Overlap(shared_rows=0, shared_templates=None, test_templates=None),
        device="cpu",
        versions={},
        started_at=AT,
        finished_at=AT,
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def event_file(job: Job) -> bytes:
    """Return events.jsonl of the newest attempt, byte for byte as far as it has arrived."""
    attempt = job.latest_attempt
    if attempt is None:
        return b""
    return b"".join(bytes(data) for data in attempt.event_chunks.values_list("data", flat=True))
