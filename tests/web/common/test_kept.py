"""Rows kept in memory: read once, read again after a change, also by another process."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from playbook.web.common.kept import Kept


@pytest.mark.django_db
def test_a_value_is_read_once_and_again_after_a_change() -> None:
    reads = list[int]()
    kept = Kept("test", lambda: reads.append(1) or len(reads))  # type: ignore[func-returns-value]

    assert [kept.get(), kept.get()] == [1, 1]
    kept.note_change()
    assert [kept.get(), kept.get()] == [2, 2]


@pytest.mark.django_db
def test_a_commit_is_a_change_of_its_own(
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[Any]],
) -> None:
    """What another process read between the write and its commit must not stay."""
    reads = list[int]()
    kept = Kept("test", lambda: reads.append(1) or len(reads))  # type: ignore[func-returns-value]
    with django_capture_on_commit_callbacks(execute=True):
        kept.note_change()
        assert kept.get() == 1

    assert kept.get() == 2


def test_a_change_in_another_process_is_seen() -> None:
    reads = list[int]()
    kept = Kept("test", lambda: reads.append(1) or len(reads))  # type: ignore[func-returns-value]
    kept.get()
    file = Path(settings.PLAYBOOK_DATA_DIR) / "versions/test"
    script = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(parents=True); p.write_bytes(b'.')"

    subprocess.run([sys.executable, "-c", script, file], check=True)

    assert kept.get() == 2
