"""The worker's command line: what it refuses, with which words and exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from playbook.worker.__main__ import main
from playbook.worker.gpu import capabilities, list_base_models
from playbook.worker.loop import hold
from tests.waiting import DEADLINE_SECONDS
from tests.worker.stack import Site, make_models


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "token").write_text("pbw_token\n")
    make_models(tmp_path / "models", "tiny")
    paths = {name: str(tmp_path / name) for name in ("token", "work", "models")}
    return [
        *("--site", "http://127.0.0.1:9", "--token-file", paths["token"], "--work-dir", paths["work"]),
        *("--models-dir", paths["models"], "--once"),
    ]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--site", "playbook.example.org"], "--site 'playbook.example.org' is not an address; write it as https://"),
        (["--token-file", "/nowhere"], "--token-file /nowhere: No such file or directory; make one with create_worker"),
        (["--token-file", "/dev/null"], "--token-file /dev/null holds no token; make one with create_worker"),
        (["--models-dir", "/nowhere"], "--models-dir /nowhere is not a folder; make it and put base models in"),
        (["--poll-seconds", "nan"], "--poll-seconds nan must be above 0"),
        (["--grace-seconds", "-1"], "--grace-seconds -1.0 must be above 0"),
    ],
)
def test_wrong_option_is_named_with_the_fix(
    arguments: list[str], extra: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, *extra])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_work_folder_in_use_is_named(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(tmp_path / "work"):
        done = subprocess.run(
            [sys.executable, "-m", "playbook.worker", *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
    assert (done.returncode, f"another worker runs in {tmp_path / 'work'}; stop it, or" in done.stderr) == (2, True)


def test_wrong_token_ends_the_worker_with_the_way_to_a_new_one(site: Site, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "playbook.worker", *arguments, "--site", site.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "playbook.worker: The worker token that starts with 'pbw_to' is not known here; make a new one on the site's "
        "machine: python manage.py create_worker NAME (HTTP 401)"
    )


def test_base_models_are_folders_with_configuration_and_safetensors(tmp_path: Path) -> None:
    models = make_models(tmp_path, "tiny", "owner/small")
    (models / "pickled").mkdir()
    (models / "pickled" / "config.json").write_text("{}")
    (models / "pickled" / "pytorch_model.bin").write_bytes(b"")
    assert list_base_models(models) == ("owner/small", "tiny")
    assert capabilities((), models).base_models == ("owner/small", "tiny")
