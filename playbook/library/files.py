"""Reading content files: bounded, UTF-8, never through a symlink or out of the content folder.

The first step of the library; knows folders and bytes, nothing of what they mean.
"""

import contextlib
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from playbook.library.problems import ContentError, ContentProblem

MAX_FILE_BYTES = 512 * 1024
MAX_FOLDER_DEPTH = 4
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

#: Modification time, size and inode of a file: changes when the file does.
Stamp = tuple[int, int, int]

#: In a large library, this many files are looked at each time; folders are, always.
FILES_PER_LOOK = 1_000
#: A folder changed this recently is listed again: its clock ticks too slowly to show a second change at once.
SETTLED_NS = 2_000_000_000
UNSETTLED = -1


def walk(content_dir: Path) -> tuple[dict[str, Stamp], tuple[ContentProblem, ...]]:
    """Return the stamps of all regular files by path, sorted, relative to `content_dir`; symlinks become problems.

    Hidden files and folders are skipped: editors and version control leave them.
    """
    files, problems = {}, []
    for entry, path in _entries(content_dir, "", 0):
        if (shown := path.encode(errors="replace").decode()) != path:
            problems.append(ContentProblem(path=shown, line=1, message="its name is not UTF-8; rename it"))
        elif entry.is_symlink():
            problems.append(
                ContentProblem(path=path, line=1, message="symlinks are refused; put the file itself in its place")
            )
        elif entry.is_dir(follow_symlinks=False) and not os.access(entry, os.R_OK | os.X_OK):
            problems.append(
                ContentProblem(path=path, line=1, message="the folder cannot be read; change its permissions")
            )
        elif entry.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                files[path] = _stamp_of(entry.stat(follow_symlinks=False))
    return dict(sorted(files.items())), tuple(problems)


class Watch:
    """Notices changes below a content folder, at a cost that does not grow with the number of files.

    Each look takes one stat for each folder, which shows files added, removed or replaced (what git and most editors
    do), and one for each of FILES_PER_LOOK files in turn, which shows files written in place.
    """

    def __init__(self, content_dir: Path) -> None:
        self._content_dir = content_dir
        self._folders: dict[str, int] = {}
        self._stamps: dict[str, Stamp] = {}
        self._turn: deque[str] = deque()

    def look(self) -> bool:
        """Return whether anything changed since the last look; true at the first."""
        if not self._folders or any(
            _modified(self._content_dir / folder) != seen or seen == UNSETTLED for folder, seen in self._folders.items()
        ):
            return self._look_again()
        for _ in range(min(FILES_PER_LOOK, len(self._turn))):
            path = self._turn[0]
            self._turn.rotate(-1)
            if _stamp(self._content_dir / path) != self._stamps[path]:
                return self._look_again()
        return False

    def _look_again(self) -> bool:
        """List the whole tree. Returns whether it differs from what was known."""
        now = time.time_ns()
        folders, stamps = {"": _modified(self._content_dir)}, {}
        for entry, path in _entries(self._content_dir, "", 0):
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                stat = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    folders[path] = stat.st_mtime_ns
                else:
                    stamps[path] = _stamp_of(stat)
        changed = not self._folders or stamps != self._stamps
        self._folders = {path: at if now - at > SETTLED_NS else UNSETTLED for path, at in folders.items()}
        self._stamps, self._turn = stamps, deque(stamps)
        return changed


def _stamp(file: Path) -> Stamp | None:
    try:
        return _stamp_of(file.lstat())
    except OSError:
        return None


def _modified(folder: Path) -> int:
    try:
        return folder.lstat().st_mtime_ns
    except OSError:
        return UNSETTLED


def _stamp_of(stat: os.stat_result) -> Stamp:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _entries(folder: Path, prefix: str, depth: int) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield files, folders and symlinks below `folder`, with their paths; what begins with a dot is left out."""
    try:
        listing = list(os.scandir(folder))
    except OSError:  # gone since it was listed, or not ours to read: `walk` says so
        return
    for entry in listing:
        if entry.name.startswith("."):
            continue
        path = f"{prefix}{entry.name}"
        yield entry, path
        if depth < MAX_FOLDER_DEPTH and entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), f"{path}/", depth + 1)


def read_text(content_dir: Path, path: str, *, most: int = MAX_FILE_BYTES) -> str:
    """Return a file of `most` bytes at most as text with `\\n` line ends, without a byte order mark.

    Raises ContentError when it is too large, no UTF-8, holds NUL, or cannot be opened. `O_NOFOLLOW` closes the gap
    between listing a file and opening it.
    """
    try:
        descriptor = os.open(content_dir / path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ContentError((1, f"cannot be read: {error.strerror}")) from error
    if len(content) > most:
        raise ContentError((1, f"larger than {most:,} bytes; split it"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContentError((line, f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8")) from error
    if "\x00" in text:
        raise ContentError((text.count("\n", 0, text.index("\x00")) + 1, "holds a NUL character; remove it"))
    return text.replace("\r\n", "\n").replace("\r", "\n")
