"""Merged models: asked for on a run's page, made by a worker, held against the adapter, and no more kept than fit."""

import hashlib
import io
import json
import zipfile

import pytest
from django.test import Client

from playbook.contracts.merging import MergeCheck, MergeSpec
from playbook.contracts.metrics import Metric
from playbook.contracts.roles import Role
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.jobs import actions, merging
from playbook.web.jobs.models import Artifact, Attempt, Job, Merge
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.web.jobs.conftest import Caller
from tests.web.jobs.ended import event_lines, succeeded_job
from tests.web.jobs.factories import make_job

pytestmark = pytest.mark.django_db
CHECK = MergeCheck(metric=Metric.EXACT_MATCH, rows=40, adapter_right=38, merged_right=37, differing=2)


@pytest.fixture
def alice_client(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def tuned(use_case: UseCase, alice: User) -> Job:
    return succeeded_job(use_case, alice)


def merged_zip(manifest: object, *, weights: bytes = b"all weights") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("model.safetensors", weights)
        archive.writestr("manifest.json", json.dumps(manifest))
    return held.getvalue()


def make_merge(source: Job, caller: Caller, *, weights: bytes = b"all weights") -> Merge:
    """Ask for a merge and have a worker hand it over."""
    merge = merging.request_merge(source, actor=source.created_by)
    claim = caller.claimed()
    data = merged_zip({"merge_check": CHECK.model_dump(mode="json")}, weights=weights)
    assert caller.upload(claim, "merged.zip", data, sha256=hashlib.sha256(data).hexdigest()).status_code == 200
    assert caller.finish(claim, "succeeded", "completed", str(CHECK)).json() == {"state": "succeeded"}
    return Merge.objects.select_related("job").get(pk=merge.pk)


def test_the_button_queues_a_merge_with_adapter_and_report(alice_client: Client, tuned: Job, caller: Caller) -> None:
    assert "Make the merged model" in alice_client.get(f"/jobs/{tuned.pk}/").content.decode()

    response = alice_client.post(f"/jobs/{tuned.pk}/merge/")

    merge = Merge.objects.get(source=tuned)
    assert (response.status_code, response["Location"]) == (302, f"/jobs/{merge.job_id}/merged/")
    claim = caller.claimed()
    assert claim.job_id == merge.job_id
    assert isinstance(claim.spec, MergeSpec)
    assert claim.spec.run == tuned.run_spec
    stored = {name: Artifact.objects.get(job=tuned, name=name).sha256 for name in ("adapter.zip", "report.json")}
    assert {one.name: one.sha256 for one in claim.inputs} == {
        **{f"inputs/{file.name}": file.sha256 for file in tuned.run_spec.inputs},
        **{f"inputs/{name}": sha256 for name, sha256 in stored.items()},
    }


def test_the_merged_model_is_downloaded_and_says_how_it_compares(
    alice_client: Client, tuned: Job, caller: Caller
) -> None:
    merge = make_merge(tuned, caller)

    assert merging.check_of(merge) == CHECK
    for path in (f"/jobs/{tuned.pk}/", f"/jobs/{merge.job_id}/merged/"):
        page = " ".join(alice_client.get(path).content.decode().split())
        assert "38 of 40 right (exact match)" in page
        assert "37 of 40 right" in page
        assert "2 of 40" in page
        assert f'href="/jobs/{merge.job_id}/files/merged.zip"' in page
    got = b"".join(alice_client.get(f"/jobs/{merge.job_id}/files/merged.zip"))
    assert zipfile.ZipFile(io.BytesIO(got)).read("model.safetensors") == b"all weights"


def test_a_second_merge_is_refused_while_one_waits_and_when_it_is_there(
    alice_client: Client, tuned: Job, caller: Caller
) -> None:
    merging.request_merge(tuned, actor=tuned.created_by)
    with pytest.raises(Conflict, match="is being made already"):
        merging.request_merge(tuned, actor=tuned.created_by)
    actions.request_cancel(Merge.objects.get().job, actor=tuned.created_by)
    make_merge(tuned, caller)

    response = alice_client.post(f"/jobs/{tuned.pk}/merge/", follow=True)

    assert "is there already; download it." in response.content.decode()
    assert Merge.objects.count() == 2


def test_a_run_without_an_adapter_cannot_be_merged(use_case: UseCase, alice: User, tuned: Job) -> None:
    waiting = make_job(use_case, alice)
    with pytest.raises(Conflict, match="left no adapter to merge"):
        merging.request_merge(waiting, actor=alice)
    blobs.path_of(Artifact.objects.get(job=tuned, name="adapter.zip").sha256).unlink()
    with pytest.raises(Conflict, match=r"adapter.zip of job \d+ is gone from the data folder"):
        merging.request_merge(tuned, actor=alice)


def test_a_model_over_what_the_site_takes_is_refused_with_the_command(tuned: Job) -> None:
    spec = tuned.spec | {"base_model": {"id": "Qwen/Qwen2.5-7B-Instruct"}}
    Job.objects.filter(pk=tuned.pk).update(spec=spec)
    with pytest.raises(Conflict, match=r"the site takes files of up to 4\.3 GB\. .*python -m playbook.trainer.merge"):
        merging.request_merge(Job.objects.get(pk=tuned.pk), actor=tuned.created_by)


@pytest.mark.parametrize("manifest", [{}, [], {"merge_check": {"rows": -1}}])
def test_a_merged_model_that_was_not_measured_is_refused(tuned: Job, caller: Caller, manifest: object) -> None:
    merging.request_merge(tuned, actor=tuned.created_by)
    claim = caller.claimed()
    assert "no merged.zip was uploaded" in caller.finish(claim, "succeeded", "completed").json()["detail"]
    data = merged_zip(manifest)
    caller.upload(claim, "merged.zip", data, sha256=hashlib.sha256(data).hexdigest())

    response = caller.finish(claim, "succeeded", "completed")

    assert response.status_code == 422
    assert "merged.zip holds no manifest.json with a merge_check" in response.json()["detail"]


def test_the_oldest_merged_models_make_room(
    use_case: UseCase, alice: User, caller: Caller, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "KEPT", 2)
    runs = [succeeded_job(use_case, alice) for _ in range(3)]
    token = actions.create_worker(name="gpu-1", created_by=None)[1]
    caller.token = token
    made = []
    for number, run in enumerate(runs):
        made.append(make_merge(run, caller, weights=b"weights %d" % number))

    kept = Artifact.objects.filter(name="merged.zip")
    assert set(kept.values_list("job", flat=True)) == {merge.job_id for merge in made[1:]}
    removed = AuditEntry.objects.filter(action="removed merged model")
    assert [entry.subject_id for entry in removed] == [made[0].job_id]
    page = alice_client.get(f"/jobs/{runs[0].pk}/").content.decode()
    assert "It was removed to make room for newer ones: the site keeps 2." in page
    assert "Make the merged model" in page
    assert "The file was removed to make room" in alice_client.get(f"/jobs/{made[0].job_id}/merged/").content.decode()


def test_a_failed_merge_says_why_and_can_be_asked_for_again(alice_client: Client, tuned: Job, caller: Caller) -> None:
    merge = merging.request_merge(tuned, actor=tuned.created_by)
    claim = caller.claimed()
    caller.events(claim, event_lines({"kind": "log", "message": "Merging the adapter into tiny."}))
    caller.finish(claim, "failed", "disk_full", "The disk is full.")

    page = alice_client.get(f"/jobs/{merge.job_id}/merged/").content.decode()
    assert "The disk is full." in page
    assert "Merging the adapter into tiny." in page
    source = alice_client.get(f"/jobs/{tuned.pk}/").content.decode()
    assert "ended: disk full" in source
    assert "Make the merged model" in source
    assert Job.objects.get(pk=merge.job_id).end_reason == EndReason.DISK_FULL


def test_a_running_merge_shows_progress_and_stops_polling_at_its_end(
    alice_client: Client, tuned: Job, caller: Caller
) -> None:
    merge = merging.request_merge(tuned, actor=tuned.created_by)
    claim = caller.claimed()
    progress = {"kind": "progress", "stage": "evaluation", "done": 10, "total": 40, "unit": "rows"}
    caller.events(claim, event_lines({**progress, "remaining_seconds": None}))
    headers = {"HX-Request": "true"}

    part = alice_client.get(f"/jobs/{merge.job_id}/merged/", headers=headers)
    assert "with the merged model: 10 of 40" in part.content.decode()
    assert Job.objects.get(pk=merge.job_id).state == JobState.RUNNING
    log = alice_client.get(f"/jobs/{merge.job_id}/merged/", headers={**headers, "HX-Target": "log-lines"})
    assert "every 3s" in log.content.decode()
    assert 'hx-include="#log-search"' in log.content.decode()
    caller.events(
        claim,
        event_lines({"kind": "log", "message": "Merging 30 modules"}, {"kind": "log", "message": "Measuring"}),
        offset=Attempt.objects.get(job=merge.job_id).event_bytes,
    )
    page = alice_client.get(f"/jobs/{merge.job_id}/merged/", {"q": "modules"}).content.decode()
    assert 'id="log-search"' in page
    assert "Merging 30 <mark>modules</mark>" in page
    assert "Measuring" not in page
    caller.finish(claim, "failed", "trainer_crashed", "")
    assert alice_client.get(f"/jobs/{merge.job_id}/merged/", headers=headers).status_code == 286
    log = alice_client.get(f"/jobs/{merge.job_id}/merged/", headers={**headers, "HX-Target": "log-lines"})
    assert 'id="log-lines"' in log.content.decode()


def test_a_viewer_reads_and_downloads_but_asks_for_nothing(
    client: Client, mallory: User, use_case: UseCase, tuned: Job, caller: Caller, alice: User
) -> None:
    merge = make_merge(tuned, caller)
    client.force_login(mallory)
    assert client.get(f"/jobs/{merge.job_id}/merged/").status_code == 404
    assert client.get(f"/jobs/{merge.job_id}/files/merged.zip").status_code == 404
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    assert b"".join(client.get(f"/jobs/{merge.job_id}/files/merged.zip")).startswith(b"PK")
    assert "Make the merged model" not in client.get(f"/jobs/{tuned.pk}/").content.decode()
    assert client.post(f"/jobs/{tuned.pk}/merge/").status_code == 403


def test_the_page_of_another_job_is_no_merge(alice_client: Client, tuned: Job, caller: Caller) -> None:
    assert alice_client.get(f"/jobs/{tuned.pk}/merged/").status_code == 404
    merge = make_merge(tuned, caller)
    assert alice_client.get(f"/jobs/{merge.job_id}/")["Location"] == f"/jobs/{merge.job_id}/merged/"
