"""Freed memory is kept: what was allocated and freed once costs no new page the next time."""

import subprocess
import sys

import pytest

from playbook.trainer.allocator import keep_freed_memory

PAGE = 4096
_TOUCH = """
import resource
from playbook.trainer.allocator import keep_freed_memory
kept = {keep} and keep_freed_memory()
def touch():
    # A step keeps many blocks and then frees them together.
    held = [bytearray(b"x") * (8 << 20) for _ in range(8)]
for _ in range(3):
    touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(*, keep: bool) -> int:
    command = [sys.executable, "-c", _TOUCH.format(keep=keep)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env={}).stdout.split()
    assert said[0] == str(keep)
    return int(said[1])


def test_blocks_that_were_freed_are_used_again() -> None:
    touched = 5 * 8 * (8 << 20) / PAGE

    assert new_pages(keep=True) < touched / 100
    assert new_pages(keep=False) > touched / 2


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")

    assert not keep_freed_memory()


def test_where_there_is_no_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())

    assert not keep_freed_memory()
