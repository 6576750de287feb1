"""The site of the whole module run, a use case on it, and workers that are ended with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker, Settings

from playbook.web.accounts.models import User
from playbook.web.jobs.actions import create_worker
from playbook.web.jobs.models import Job, Merge, PlaygroundSession
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.e2e.demo import database
from tests.web.jobs.factories import make_job
from tests.worker.stack import Site, WorkerProcess, make_models

BEHAVIOURS = (
    "ok",
    "whole-model",
    "crash",
    "killed",
    "out-of-memory",
    "bad-event",
    "lease-lost",
    "stubborn",
    "no-report",
    "bad-report",
    "pickle",
    "measuring",
    "out-of-memory-measuring",
)


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with database() as environ:
        site = Site(tmp_path_factory.mktemp("site"), environ)
        site.start()
        yield site
        site.close()


@pytest.fixture
def site(running_site: Site, settings: Settings, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """The site, empty of jobs, and the ORM of the test looking at its database."""
    settings.PLAYBOOK_DATA_DIR = running_site.data_dir
    with django_db_blocker.unblock(), running_site.database():
        yield running_site
        PlaygroundSession.objects.all().delete()
        Merge.objects.all().delete()
        Job.objects.all().delete()


@pytest.fixture
def launch(site: Site) -> Callable[..., Job]:
    """`launch("ok", max_steps=5)` queues a job whose fake trainer does what the base model's name says."""
    person, _ = User.objects.get_or_create(username="alice", defaults={"name": "Alice Moreau"})
    use_case = UseCase.objects.first() or create_use_case(
        name="Support ticket triage", description="", created_by=person, members={}
    )

    def queue(behaviour: str, *, max_steps: int = 5) -> Job:
        return make_job(use_case, person, base_model=behaviour, max_steps=max_steps)

    return queue


@pytest.fixture
def start_worker(site: Site, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """`start_worker("gpu-1")`; the same name again is the same machine, restarted: same token, same work folder.

    `wait_after=12`: its trainers wait after step 12 until `let_go()`. `grace_seconds`: how long a trainer that was told
    to stop may take; the default is more than a busy machine needs.
    """
    tokens: dict[str, str] = {}
    started: list[WorkerProcess] = []
    models = make_models(tmp_path / "models", *BEHAVIOURS)

    def start(name: str = "gpu-1", *, wait_after: int | None = None, grace_seconds: int = 60) -> WorkerProcess:
        if name not in tokens:
            tokens[name] = create_worker(name=name, created_by=None)[1]
        work_dir = tmp_path / name
        if wait_after is not None:
            work_dir.mkdir(exist_ok=True)
            (work_dir / f"wait-after-{wait_after}").touch()
        worker = WorkerProcess(
            site, token=tokens[name], work_dir=work_dir, models_dir=models, grace_seconds=grace_seconds
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        assert worker.stop() in (0, -9)
