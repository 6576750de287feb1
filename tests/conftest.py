"""The cast: alice proposes, bob and charlie sign, mallory is a stranger who knows every address."""

import os
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.waiting import DEADLINE_SECONDS

PASSWORD = "correct horse battery"
CHROMIUM = Path("/usr/bin/chromium")
#: What cannot be installed, so that these may skip even where everything else is required.
MAY_ALWAYS_SKIP = ("gpu", "processor")


# The processes of a parallel run share the cores, where threads that wait for each other wait for whoever has a core;
# and no product of a tiny model is work for two. torch and numpy read it once, as they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: The files that take longest, the longest first. Begun last, one of them would run on while other processes idle.
LONGEST = (
    "e2e/test_whole_loop.py",
    "web/test_every_page_in_browser.py",
    "worker/test_jobs.py",
    "e2e/test_demo.py",
    "trainer/test_process.py",
    "web/test_permissions.py",
    "worker/test_playground.py",
    "web/search/test_palette_in_browser.py",
    "web/datasets/test_imports.py",
    "web/jobs/test_report_page.py",
    "trainer/test_bad_input.py",
    "web/test_gunicorn.py",
    "demo/test_install.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files. Skip the browser tests, with the reason, where Debian's chromium is missing."""
    ranks = {str(Path(__file__).parent / name): rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(str(item.path), len(ranks)))
    if not CHROMIUM.exists():
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is missing (on Debian: apt-get install chromium)"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under REQUIRE_ALL=1 a skipped test fails: a CI machine must have what the suite needs."""
    report = yield
    allowed = any(map(item.get_closest_marker, MAY_ALWAYS_SKIP)) or hasattr(report, "wasxfail")
    if report.skipped and os.environ.get("REQUIRE_ALL") and not allowed:
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL is set and this was skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL is set and this was skipped: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _fast_and_apart(settings: Settings, tmp_path: Path) -> None:
    """Each test writes its files into its own folder; password hashing is quick."""
    settings.PLAYBOOK_DATA_DIR = tmp_path / "data"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()  # whitenoise warns when it is not there
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Keep the SQLite test database in a file, as in use: in memory, threads meet locks that no time-out waits for.

    On PostgreSQL each process of a parallel run gets a database of its own, by the suffix, and each checkout that is
    tested on the same server too: a run drops what it finds under its name.
    """
    test = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        test["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")
        # SQLite lets waiting writers in at random: on a busy machine, one of many may be unlucky for long.
        connection.settings_dict["OPTIONS"]["timeout"] = DEADLINE_SECONDS
    else:
        name = test.get("NAME") or f"test_{connection.settings_dict['NAME']}"
        test["NAME"] = f"{name}_{zlib.crc32(str(Path(__file__)).encode()):08x}"
        # Nothing here has to outlive a failure of the machine.
        connection.settings_dict["OPTIONS"]["options"] = "-c synchronous_commit=off"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before PostgreSQL drops the test database, end the sessions that threads of live servers have kept open in it."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def _person(username: str, name: str) -> User:
    return User.objects.create_user(username, password=PASSWORD, name=name)


@pytest.fixture
def alice(db: None) -> User:
    return _person("alice", "Alice Moreau")


@pytest.fixture
def bob(db: None) -> User:
    return _person("bob", "Bob Okafor")


@pytest.fixture
def charlie(db: None) -> User:
    return _person("charlie", "Charlie Lindqvist")


@pytest.fixture
def mallory(db: None) -> User:
    return _person("mallory", "Mallory Stone")


@pytest.fixture
def use_case(alice: User, bob: User, charlie: User) -> UseCase:
    return create_use_case(
        name="Support ticket triage",
        description="Turn a support ticket into the four fields that the queue needs.",
        created_by=alice,
        members={Role.ML_LEAD: [bob], Role.PRODUCT_OWNER: [charlie]},
    )
