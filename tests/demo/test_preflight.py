import socket
import subprocess
import sys
from pathlib import Path

import pytest

from playbook.demo import preflight, python_version
from playbook.demo.preflight import Refused
from tests.ports import port_of, reserve_port
from tests.waiting import DEADLINE_SECONDS


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_fitting_python_is_not_refused(version: tuple[int, int]) -> None:
    assert python_version.refusal(version) is None


@pytest.mark.parametrize("version", [(3, 7), (3, 10), (3, 14), (4, 0)])
def test_wrong_python_is_refused_with_its_version_and_the_fix(version: tuple[int, int]) -> None:
    assert python_version.refusal(version) == (
        f"Python {version[0]}.{version[1]} ({sys.executable}) cannot run Playbook, which needs Python 3.11, 3.12 or "
        "3.13; name one with: make demo PYTHON=python3.11"
    )


@pytest.mark.parametrize(("environ", "port"), [({}, 8000), ({"PORT": ""}, 8000), ({"PORT": "8123"}, 8123)])
def test_port_comes_from_the_environment(environ: dict[str, str], port: int) -> None:
    assert preflight.port_from(environ) == port


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80 80", "8000.5"])
def test_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        preflight.port_from({"PORT": text})
    assert str(refused.value) == f"PORT={text!r} is not a port number from 1 to 65535; try PORT=8000."


def test_port_in_use_is_refused_with_another_to_choose() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Refused) as refused:
            preflight.require_free_port(port)
    assert str(refused.value) == f"Port {port} is in use; choose another with PORT={port + 1}."


def test_free_port_passes() -> None:
    with reserve_port() as held:
        preflight.require_free_port(port_of(held))


def test_too_little_disk_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"^Only \d+\.\d GB are free on the disk of {tmp_path}; .* needs 900000 GB\.$"):
        preflight.require_free_disk(tmp_path, 900_000 * 10**9)


def test_second_demo_in_the_same_folder_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    script = f"""
import pathlib
from playbook.demo.preflight import lock
held = lock(pathlib.Path({str(tmp_path)!r}))
print("locked", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(Refused) as refused:
            preflight.lock(tmp_path)
        first.communicate("\n", timeout=DEADLINE_SECONDS)
    assert str(refused.value) == (
        f"Process {first.pid} already runs or installs the demo in {tmp_path}; stop it with Ctrl-C there."
    )
    preflight.lock(tmp_path).close()
