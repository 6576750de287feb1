"""Rows that every page needs and that seldom change, kept in memory: the same in all processes of the site.

A file in the data folder, which the processes share, grows by a byte with each write; its size says whether what is in
memory still holds. So a page asks the file system instead of the database. For small sets of rows alone.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from django.conf import settings
from django.db import transaction

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The result of `read`, read again when `note_change` was called in any process.

    >>> flags = Kept("flags", read_open_flags)
    >>> flags.get()          # one query the first time, none while nothing changes
    >>> flags.note_change()  # in the transaction that changes a row
    """

    def __init__(self, name: str, read: Callable[[], Value]) -> None:
        self._name = name
        self._read = read
        self._lock = threading.Lock()
        self._value: tuple[tuple[str, int], Value] | None = None

    def get(self) -> Value:
        version, value = self._version(), self._value
        if value is None or value[0] != version:
            with self._lock:
                # The version was taken before reading: a row written meanwhile is seen by the next call.
                value = self._value = (version, self._read())
        return value[1]

    def note_change(self) -> None:
        """Say that the rows change, now to this transaction and with its commit to everybody."""
        self._append()
        transaction.on_commit(self._append)

    def _append(self) -> None:
        file = Path(self._file())
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            stream.write(b".")

    def _file(self) -> str:
        return f"{settings.PLAYBOOK_DATA_DIR}/versions/{self._name}"

    def _version(self) -> tuple[str, int]:
        """Return the file and its size. Asked for by every page, so without pathlib, which costs more than the look."""
        file = self._file()
        try:
            return file, os.stat(file).st_size  # noqa: PTH116
        except FileNotFoundError:
            return file, 0
