"""History from a real git repository: commits by file, diffs word by word, and folders that have none."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from playbook.library import history
from playbook.library.history import NO_HISTORY, GitFailed, HistoryCache, Hunk, Span, read_diff, read_history

FIRST = "articles/train/lora.md"
SECOND = "articles/train/renamed.md"


def git(folder: Path, *arguments: str, day: int = 1) -> str:
    moment = f"2026-11-{day:02d}T09:00:00+00:00"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_AUTHOR_DATE": moment,
        "GIT_COMMITTER_DATE": moment,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    identity = ["-c", "user.name=Alice Moreau", "-c", "user.email=alice@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(folder: Path, path: str, text: str, subject: str, *, day: int) -> str:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", subject, day=day)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A content folder inside a repository that holds more than it."""
    git(tmp_path, "init", "-q")
    folder = tmp_path / "content"
    folder.mkdir()
    commit(folder, FIRST, "One line.\nTwo lines.\n", "Write about LoRA", day=1)
    commit(folder, SECOND, "Else.\n", "Write 'another'\n\nWith a body.", day=2)
    commit(tmp_path, "README.md", "Outside.\n", "Outside the content", day=3)
    commit(folder, FIRST, "One line.\nTwo short lines.\n", "Say it shorter", day=4)
    return folder


def test_history_lists_the_commits_of_each_file_newest_first(content: Path) -> None:
    found = read_history(content)

    assert found.head == git(content, "rev-parse", "HEAD")
    assert sorted(found.commits) == [FIRST, SECOND]
    assert [(commit.subject, commit.author, commit.at) for commit in found.of(FIRST)] == [
        ("Say it shorter", "Alice Moreau", datetime(2026, 11, 4, 9, tzinfo=UTC)),
        ("Write about LoRA", "Alice Moreau", datetime(2026, 11, 1, 9, tzinfo=UTC)),
    ]


def test_former_paths_belong_to_the_same_history(content: Path) -> None:
    subjects = [commit.subject for commit in read_history(content).of(FIRST, SECOND)]

    assert subjects == ["Say it shorter", "Write 'another'", "Write about LoRA"]
    assert read_history(content).of("articles/train/none.md") == ()


def test_diff_shows_the_words_that_changed(content: Path) -> None:
    newest, _ = read_history(content).of(FIRST)

    assert read_diff(content, newest.id, FIRST).hunks == (
        Hunk(
            line=1,
            lines=(
                (Span("same", "One line."),),
                (Span("same", "Two "), Span("added", "short"), Span("same", " lines.")),
            ),
        ),
    )


def test_diff_of_the_first_commit_adds_every_line(content: Path) -> None:
    _, first = read_history(content).of(FIRST)

    diff = read_diff(content, first.id, FIRST)

    assert [[(span.kind, span.text) for span in line] for line in diff.hunks[0].lines] == [
        [("added", "One line.")],
        [("added", "Two lines.")],
    ]
    assert not diff.cut


def test_a_long_diff_is_cut(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_DIFF_BYTES", 300)
    changed = commit(content, FIRST, "word\n" * 500, "Fill it", day=5)

    assert read_diff(content, changed, FIRST).cut


@pytest.mark.parametrize("commit_id", ["--output=/tmp/x", "HEAD", "", "a" * 39, "A" * 40, "a" * 40 + "\n"])
def test_only_commit_ids_reach_git(content: Path, commit_id: str) -> None:
    with pytest.raises(ValueError, match="is not 40 or 64 hexadecimal digits"):
        read_diff(content, commit_id, FIRST)


def test_an_unknown_commit_fails(content: Path) -> None:
    with pytest.raises(GitFailed, match="git diff-tree"):
        read_diff(content, "0" * 40, FIRST)


def test_a_folder_outside_git_has_no_history(tmp_path: Path) -> None:
    assert HistoryCache(tmp_path).current() == NO_HISTORY


def test_a_repository_without_a_commit_has_no_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    assert HistoryCache(tmp_path).current() == NO_HISTORY


def test_a_machine_without_git_has_no_history(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert HistoryCache(content).current() == NO_HISTORY


def test_history_is_read_again_when_head_moves(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "CHECK_SECONDS", 0.0)
    cache = HistoryCache(content)
    before = cache.current()
    assert cache.current() is before

    commit(content, SECOND, "Changed.\n", "Change the other", day=6)

    assert [entry.subject for entry in cache.current().of(SECOND)] == ["Change the other", "Write 'another'"]


def test_git_is_not_asked_again_within_the_interval(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = HistoryCache(content)
    before = cache.current()
    monkeypatch.setenv("PATH", "/nowhere")

    assert cache.current() is before


def test_the_account_cannot_make_git_run_a_program(content: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = content / "ran"
    program = content / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    git(content, "config", "diff.external", str(program))

    newest, _ = read_history(content).of(FIRST)
    read_diff(content, newest.id, FIRST)

    assert not marker.exists()
