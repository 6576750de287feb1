"""A merge with a real site, a real worker process and a fake trainer that leaves a merged model."""

from collections.abc import Callable

from playbook.contracts.states import EndReason, JobState
from playbook.web.jobs import merging
from playbook.web.jobs.models import Artifact, Job
from tests.worker.stack import WorkerProcess
from tests.worker.test_jobs import ended
from tests.worker.test_playground import tuned

Start = Callable[..., WorkerProcess]
__all__ = ["tuned"]


def test_a_merged_model_comes_back_and_leaves_the_worker(
    tuned: Job, start_worker: Callable[..., WorkerProcess]
) -> None:
    merge = merging.request_merge(tuned, actor=tuned.created_by)
    worker = start_worker("gpu-2")

    assert ended(merge.job) == (JobState.SUCCEEDED, EndReason.COMPLETED)

    assert [artifact.name for artifact in Artifact.objects.filter(job=merge.job)] == ["merged.zip"]
    found = merging.merged_of(tuned)
    assert found is not None
    assert str(found.check) == "exact_match: adapter 1 of 1, merged 1 of 1; 0 of 1 answers differ."
    folder = worker.run_dir(merge.job_id)
    assert not (folder / "artifacts" / "merged").exists()
    assert not (folder / "merged.zip").exists()
