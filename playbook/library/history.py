"""What git knows of the content files: who changed which, when and why, and one change as a word-by-word diff.

Git is asked once for each HEAD (one pass over the log), never once for each page. Beside `content`, which reads the
files themselves; a content folder that is in no repository simply has no history. No text of a reader reaches git:
paths and commit ids are looked up in the index first.
"""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

#: How often HEAD is looked at, at most. A pull shows its commits after that long.
CHECK_SECONDS = 5.0
MAX_COMMITS = 20_000
MAX_DIFF_BYTES = 1024 * 1024
GIT_SECONDS = 20
COMMIT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

#: What XML, and so the feed, cannot hold.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_KINDS: dict[str, Literal["same", "added", "removed"]] = {" ": "same", "+": "added", "-": "removed"}


@dataclass(frozen=True)
class Commit:
    """One commit. `at` is when its author wrote it."""

    id: str
    author: str
    at: datetime
    subject: str


@dataclass(frozen=True)
class Span:
    """A piece of a line that a commit left, added or removed."""

    kind: Literal["same", "added", "removed"]
    text: str


@dataclass(frozen=True)
class Hunk:
    """Neighbouring lines that changed, with three lines around them; `line` is where they begin in the new file."""

    line: int
    lines: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True)
class Diff:
    """What one commit changed in one file. `cut` when it was too long to show whole."""

    hunks: tuple[Hunk, ...]
    cut: bool


@dataclass(frozen=True)
class History:
    """The commits behind each content file, newest first. Paths are relative to the content folder."""

    head: str
    commits: Mapping[str, tuple[Commit, ...]] = field(repr=False)

    def of(self, *paths: str) -> tuple[Commit, ...]:
        """Return the commits that touched any of `paths` (an article's own and its former ones), newest first."""
        if len(paths) == 1:
            return self.commits.get(paths[0], ())
        found = {commit.id: commit for path in paths for commit in self.commits.get(path, ())}
        return tuple(sorted(found.values(), key=lambda commit: commit.at, reverse=True))


NO_HISTORY = History(head="", commits={})


class GitFailed(Exception):
    """Git is missing, refused, took too long, or this is no repository. The message is what it said."""


def read_history(content_dir: Path) -> History:
    """Return the history as of HEAD in one pass over the log. Raises GitFailed.

    Merges are left out: what they bring in stands in the commits that they merge.
    """
    head = _git(content_dir, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}").strip()
    log = _git(
        content_dir,
        *("-c", "core.quotePath=false"),
        *("log", f"--max-count={MAX_COMMITS}", "--no-merges", "--no-renames", "--name-only", "--relative"),
        *("--format=%x1e%H%x1f%an%x1f%aI%x1f%s", head, "--", "."),
    )
    commits: dict[str, list[Commit]] = {}
    for entry in log.split("\x1e")[1:]:
        line, *paths = entry.split("\n")
        parts = line.split("\x1f", 3)
        if len(parts) != 4:
            continue  # an author's name that holds our separator: no commit of an article
        commit = Commit(
            id=parts[0],
            author=_CONTROL.sub(" ", parts[1]),
            at=datetime.fromisoformat(parts[2]),
            subject=_CONTROL.sub(" ", parts[3]),
        )
        for path in filter(None, paths):
            commits.setdefault(path, []).append(commit)
    return History(head=head, commits={path: tuple(found) for path, found in commits.items()})


@lru_cache(maxsize=256)
def read_diff(content_dir: Path, commit_id: str, *paths: str) -> Diff:
    """Return what a commit changed in `paths` against its first parent, word by word. Raises GitFailed.

    Several paths are an article's own and its former ones. Take all from a `History`: raises ValueError for a commit id
    that is none.
    """
    if not COMMIT_ID.fullmatch(commit_id):
        raise ValueError(f"commit id {commit_id[:80]!r} is not 40 or 64 hexadecimal digits; take one from the history")
    text = _git(
        content_dir,
        *("diff-tree", "--root", "--no-commit-id", "-p", "--relative", "--no-color", "--no-ext-diff", "--no-textconv"),
        *(
            "--no-renames",
            "--word-diff=porcelain",
            "--unified=3",
            commit_id,
            "--",
            *(f":(literal){path}" for path in paths),
        ),
    )
    cut = len(text) > MAX_DIFF_BYTES
    return Diff(hunks=tuple(_hunks(text[:MAX_DIFF_BYTES])), cut=cut)


def _hunks(text: str) -> Iterator[Hunk]:
    """Parse `--word-diff=porcelain`: each line is a span, `~` ends a line of the file."""
    start, lines, spans = 0, list[tuple[Span, ...]](), list[Span]()
    for raw in text.split("\n"):
        if found := _HUNK.match(raw):
            if lines:
                yield Hunk(start, tuple(lines))
            start, lines, spans = int(found[2]), [], []
        elif start == 0 or raw.startswith("diff --git "):
            if lines:
                yield Hunk(start, tuple(lines))
            start, lines, spans = 0, [], []  # the header of a file, up to its first hunk
        elif raw == "~":
            lines.append(tuple(spans))
            spans = []
        elif raw[:1] in _KINDS:
            spans.append(Span(_KINDS[raw[0]], raw[1:]))
    if spans:
        lines.append(tuple(spans))
    if lines:
        yield Hunk(start, tuple(lines))


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints. Neither configuration nor environment of the account can make it run anything else."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitFailed(f"git {arguments[0]} in {folder}: {error}") from error
    if done.returncode != 0:
        raise GitFailed(f"git {arguments[0]} in {folder}: {done.stderr.decode(errors='replace').strip()[:300]}")
    return done.stdout.decode(errors="replace")


class HistoryCache:
    """The current history of a content folder, shared by all threads; read again when HEAD moves.

    While one thread reads a new HEAD, the others go on with the history of the last one.
    """

    def __init__(self, content_dir: Path) -> None:
        self._content_dir = content_dir
        self._lock = threading.Lock()
        self._history: History | None = None
        self._checked_at = float("-inf")

    def current(self) -> History:
        """Return the history, at most CHECK_SECONDS behind HEAD; NO_HISTORY where git cannot tell any."""
        history = self._history
        if history is not None and time.monotonic() - self._checked_at < CHECK_SECONDS:
            return history
        if not self._lock.acquire(blocking=history is None):
            return history or NO_HISTORY
        try:
            if self._history is None or time.monotonic() - self._checked_at >= CHECK_SECONDS:
                self._history = self._looked_up(self._history)
                self._checked_at = time.monotonic()
            return self._history
        finally:
            self._lock.release()

    def _looked_up(self, known: History | None) -> History:
        try:
            head = _git(self._content_dir, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}").strip()
            return known if known is not None and known.head == head else read_history(self._content_dir)
        except GitFailed:
            return NO_HISTORY
