"""Which Pythons run Playbook. Written so that Python 3.7 can read it and say so."""

from __future__ import annotations

import sys

OLDEST = (3, 11)
NEWEST = (3, 13)


def refusal(version: tuple[int, int]) -> str | None:
    """Return one sentence when this (major, minor) version cannot run Playbook, else None."""
    if OLDEST <= version <= NEWEST:
        return None
    return (
        f"Python {version[0]}.{version[1]} ({sys.executable}) cannot run Playbook, which needs Python 3.11, 3.12 or "
        "3.13; name one with: make demo PYTHON=python3.11"
    )
