"""The command: a process of its own that reports how far it is, waits its turn and always says how it ended."""

import fcntl
import resource
import subprocess
import sys
from pathlib import Path

from playbook.contracts.dataset import Split
from playbook.datasets.importing import split_file
from playbook.datasets.spec import ORDER, PROGRESS, REPORT, Limits, Order, Progress, Report, Source, Stage
from tests.datasets.conftest import jsonl, rows_of
from tests.waiting import DEADLINE_SECONDS, wait_for

COMMAND = [sys.executable, "-m", "playbook.datasets"]


def order(folder: Path, content: bytes, **more: object) -> Path:
    file = folder / "rows.jsonl"
    file.write_bytes(content)
    source = Source(name="rows.jsonl", path=str(file), sha256="0" * 64, size_bytes=len(content))
    (folder / ORDER).write_text(Order.model_validate({"sources": (source,), **more}).model_dump_json())
    return folder


def progress(folder: Path) -> Progress:
    return Progress.model_validate_json((folder / PROGRESS).read_bytes())


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


def test_an_import_writes_report_and_splits(tmp_path: Path) -> None:
    done = run(str(order(tmp_path, jsonl(rows_of(20)))))
    assert (done.returncode, done.stdout) == (0, "Rows: 20, problems: 0\n")
    assert progress(tmp_path) == Progress(stage=Stage.DONE, share=1, rows=20)
    report = Report.model_validate_json((tmp_path / REPORT).read_bytes())
    assert [split.rows for split in report.splits] == [16, 2, 2]
    assert split_file(tmp_path, Split.TEST).read_bytes().count(b"\n") == 2
    assert not (tmp_path / "work").exists()


def test_refused_rows_are_a_result(tmp_path: Path) -> None:
    done = run(str(order(tmp_path, b"oops\n")))
    assert (done.returncode, done.stdout) == (0, "Rows: 0, problems: 1, refused\n")
    assert Report.model_validate_json((tmp_path / REPORT).read_bytes()).refused


def test_a_missing_file_is_named_in_the_progress(tmp_path: Path) -> None:
    folder = order(tmp_path, jsonl(rows_of(5)))
    (folder / "rows.jsonl").unlink()
    assert run(str(folder)).returncode == 1
    assert progress(folder).stage is Stage.FAILED
    assert progress(folder).message.startswith("The import stopped: FileNotFoundError")


def test_memory_beyond_the_limit_ends_in_one_sentence(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=130_000_000)
    folder = order(tmp_path, jsonl([{"prompt": "x y " * 200_000, "completion": "z"}] * 60), limits=limits)
    assert run(str(folder)).returncode == 1
    assert progress(folder) == Progress(
        stage=Stage.FAILED, share=0, message="The file needs more than 130 MB of memory to be read. Bring fewer rows."
    )


def test_computing_beyond_the_limit_ends_in_one_sentence(tmp_path: Path) -> None:
    folder = order(tmp_path, jsonl(rows_of(100_000)), limits=Limits(cpu_seconds=1))
    assert run(str(folder)).returncode == 1
    message = "The file takes more than 1 seconds of computing. Bring fewer rows, or shorter ones."
    assert progress(folder) == Progress(stage=Stage.FAILED, share=0, message=message)
    assert not (folder / "work").exists()


def test_a_full_disk_is_one_sentence_and_the_import_can_start_again(tmp_path: Path) -> None:
    """The system refuses to let a file of the import grow, as on a full disk."""
    folder = order(tmp_path, jsonl(rows_of(2_000)))
    kept = sorted(path.name for path in folder.iterdir())
    full = subprocess.run(
        [*COMMAND, str(folder)],
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert full.returncode == 1
    assert progress(folder) == Progress(
        stage=Stage.FAILED,
        share=0,
        message="The disk is full. Free some space, then start the import again; nothing was stored.",
    )
    assert sorted(path.name for path in folder.iterdir()) == sorted([*kept, PROGRESS])
    assert run(str(folder)).stdout == "Rows: 2,000, problems: 0\n"


def test_a_folder_without_an_order_is_a_usage_error(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert done.returncode == 2
    assert "import.json cannot be used" in done.stderr


def test_an_import_waits_for_its_turn(tmp_path: Path) -> None:
    folder = order(tmp_path, jsonl(rows_of(5)))
    queue = tmp_path / "queue"
    with queue.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = subprocess.Popen([*COMMAND, str(folder), "--queue", str(queue)], stdout=subprocess.DEVNULL)
        wait_for((folder / PROGRESS).exists, during=process)
        assert progress(folder).stage is Stage.WAITING
    assert process.wait(timeout=DEADLINE_SECONDS) == 0
    assert progress(folder).stage is Stage.DONE


def test_help_says_what_the_folder_holds() -> None:
    assert "Reads import.json" in run("--help").stdout
