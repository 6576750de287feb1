"""What a launch is refused or warned for, and how the form says so: base models, GPUs, wrong fields."""

import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.test import Client

from playbook.contracts.protocol import Gpu
from playbook.contracts.run_spec import RunSpec
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import import_sample_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.jobs import actions, launch_checks
from playbook.web.jobs.models import Job, Worker
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import make_capabilities, make_spec
from tests.web.jobs.test_launch import LAUNCH


@pytest.fixture
def sample(db: None) -> Dataset:
    return import_sample_dataset(Path(site.PLAYBOOK_CONTENT_DIR) / "datasets/support-tickets")


def test_a_base_model_of_a_worker_is_known(client: Client, use_case: UseCase, alice: User, sample: Dataset) -> None:
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    actions.see_worker(worker, make_capabilities("our-own"))
    client.force_login(alice)
    client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "dataset": sample.pk, "base_model": "our-own"})
    assert Job.objects.get().base_model == "our-own"


def test_a_base_model_that_no_online_worker_has_is_said_before_the_launch(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    """Also while the form is filled in, when the estimate alone is fetched anew."""
    query = {"use_case": use_case.slug, **LAUNCH, "dataset": str(sample.pk), "base_model": "Qwen/Qwen3-1.7B"}
    headers = {"HX-Request": "true", "HX-Target": "estimate"}
    client.force_login(alice)
    assert "the job waits until one does" not in client.get("/jobs/new/", query, headers=headers).content.decode()
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    actions.see_worker(worker, make_capabilities("smollm2-135m-instruct"))
    said = (
        "No online worker has the base model “Qwen/Qwen3-1.7B”: the job waits until one does. "
        "At hand: smollm2-135m-instruct."
    )
    assert said in client.get("/jobs/new/", query, headers=headers).content.decode()
    query["base_model"] = ""
    assert "the job waits until one does" not in client.get("/jobs/new/", query, headers=headers).content.decode()


def test_a_refused_launch_names_each_wrong_field_at_the_top_and_leads_to_it(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    client.force_login(alice)
    wrong = {**LAUNCH, "title": "", "dataset": sample.pk, "r": "0", "learning_rate": "1000", "priority": "99"}
    page = client.post(f"/jobs/new/?use_case={use_case.slug}", wrong).content.decode()
    listed = page.partition("The job was not launched")[2].partition("</ul>")[0]
    assert re.findall(r'<a href="#(.*?)">', listed) == ["id_title", "id_priority"]
    right = {**wrong, "title": "Now with a name", "priority": ""}
    page = client.post(f"/jobs/new/?use_case={use_case.slug}", right).content.decode()
    listed = page.partition("The job was not launched")[2].partition("</ul>")[0]
    links = re.findall(r'<a href="#(.*?)">', listed)
    assert links == ["id_r", "id_learning_rate"]
    assert [f'id="{link}"' in page for link in links] == [True, True]
    assert "The job was not launched" not in client.get(f"/jobs/new/?use_case={use_case.slug}&r=0").content.decode()


def worker_with(name: str, *, gpus: int, online: bool) -> Worker:
    worker, _ = actions.create_worker(name=name, created_by=None)
    offered = make_capabilities().model_copy(update={"gpus": (Gpu(name="H", memory_bytes=1),) * gpus})
    actions.see_worker(worker, offered)
    if not online:
        Worker.objects.filter(pk=worker.pk).update(last_seen_at=None)
    return Worker.objects.get(pk=worker.pk)


class _Quantised:
    """A run spec whose method needs CUDA, whichever part of the contract names it."""

    method = "qlora"
    lora = training = None


@pytest.mark.parametrize(
    ("workers", "said", "refuses"),
    [
        ([], "no worker is online", False),
        ([(0, False)], "no worker is online", False),
        ([(0, True)], "no worker reports one", True),
        ([(0, True), (1, False)], "w1 has one but is away", False),
    ],
)
def test_qlora_without_a_gpu_is_refused_unless_one_may_come(
    db: None, workers: list[tuple[int, bool]], said: str, refuses: bool
) -> None:
    rows = [worker_with(f"w{number}", gpus=gpus, online=there) for number, (gpus, there) in enumerate(workers)]
    found = launch_checks.gpu_problem(_Quantised(), rows)  # type: ignore[arg-type]
    assert found is not None
    assert said in found[0]
    assert found[1] is refuses


def test_qlora_runs_where_an_online_worker_has_a_gpu_and_lora_anywhere(db: None) -> None:
    rows = [worker_with("w0", gpus=1, online=True)]
    assert launch_checks.gpu_problem(_Quantised(), rows) is None  # type: ignore[arg-type]
    spec: RunSpec = make_spec()
    assert launch_checks.gpu_problem(spec, []) is None
