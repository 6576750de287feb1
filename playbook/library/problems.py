"""What can be wrong with a content file, and where. Imports nothing of the library."""

from typing import Literal

from playbook.contracts.model import Frozen


class ContentProblem(Frozen):
    """One thing to mend. `path` is relative to the content folder, with forward slashes; lines count from 1. A warning
    still works for the reader; an error does not."""

    path: str
    line: int
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class ContentError(Exception):
    """Raised while one file is read. Whoever loads the library turns it into problems of that file alone."""

    def __init__(self, *found: tuple[int, str]) -> None:
        super().__init__("; ".join(f"line {line}: {message}" for line, message in found))
        self.found = found

    def problems(self, path: str) -> tuple[ContentProblem, ...]:
        return tuple(ContentProblem(path=path, line=line, message=message) for line, message in self.found)
