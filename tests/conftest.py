"""The cast: alice proposes, bob and charlie sign, mallory is a stranger who knows every address."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker, Settings

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase

PASSWORD = "correct horse battery"
CHROMIUM = Path("/usr/bin/chromium")
#: No machine of ours has one, so these may skip even where everything else is required.
MAY_ALWAYS_SKIP = "gpu"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the browser tests, with the reason, where Debian's chromium is missing."""
    if not CHROMIUM.exists():
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is missing (on Debian: apt-get install chromium)"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under REQUIRE_ALL=1 a skipped test fails: a CI machine must have what the suite needs."""
    report = yield
    allowed = item.get_closest_marker(MAY_ALWAYS_SKIP) or hasattr(report, "wasxfail")
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

    On PostgreSQL each process of a parallel run gets a database of its own, by the suffix.
    """
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


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
