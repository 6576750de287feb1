"""The installer against a copy of the project and an index that refuses every connection."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from playbook.demo.install import is_installed, mark_installed
from playbook.demo.settings import DemoSettings
from tests.waiting import DEADLINE_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent
#: How often the pip below ours asks, which fetches what builds the project: it names the cause as it asks again.
REFUSING_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "1",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that the installer needs, in a folder without a virtual environment."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "playbook/demo", root / "playbook/demo", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "playbook/__init__.py").touch()
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, root)
    return root


def _make(copy: Path, target: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    # Nor what `make test` tells a make below it.
    left_out = ("PIP_", "PLAYBOOK_", "MAKE", "MFLAGS")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={sys.executable}"],
        cwd=copy,
        env=inherited | REFUSING_INDEX | environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_unreachable_index_is_one_sentence(copy: Path) -> None:
    made = _make(copy, "install")
    assert made.returncode == 2
    assert made.stderr.splitlines()[0] == (
        "The package index could not be reached; check the network (or pip's index settings) and run the same "
        f"command again. Details: {copy}/.data/log/install.log"
    )
    assert (copy / ".venv/installing").exists()


def test_half_made_environment_is_made_anew(copy: Path) -> None:
    (copy / ".venv/bin").mkdir(parents=True)
    (copy / ".venv/bin/python").write_text("half a file")
    (copy / ".venv/leftover").touch()
    made = _make(copy, "install")
    assert "The package index could not be reached" in made.stderr
    assert not (copy / ".venv/leftover").exists()
    assert subprocess.run([copy / ".venv/bin/python", "-c", "import pip"], check=False).returncode == 0


def test_demo_with_a_wrong_port_is_one_sentence(copy: Path) -> None:
    made = _make(copy, "demo", PORT="http")
    assert made.stdout == "\nPORT='http' is not a port number from 1 to 65535; try PORT=8000.\n"


def test_installed_means_these_files_and_at_least_these_extras(copy: Path) -> None:
    settings = DemoSettings.from_environ({}, root=copy)
    assert not is_installed(settings, ["site"])
    (copy / ".venv/bin").mkdir(parents=True)
    settings.venv_python.touch()
    marker = copy / ".venv/playbook-installed.json"
    for text in ("", "{", json.dumps({"digest": "other", "extras": ["site"]})):
        marker.write_text(text)
        assert not is_installed(settings, ["site"])


def test_change_of_a_requirement_or_a_pin_asks_for_an_installation_and_a_change_of_a_tool_does_not(copy: Path) -> None:
    settings = DemoSettings.from_environ({}, root=copy)
    (copy / ".venv/bin").mkdir(parents=True)
    settings.venv_python.touch()
    pyproject, constraints = copy / "pyproject.toml", copy / "constraints.txt"

    def installed_after(file: Path, old: str, new: str) -> bool:
        before = file.read_text()
        assert old in before
        mark_installed(settings, ["site", "dev"])
        file.write_text(before.replace(old, new))
        try:
            return is_installed(settings, ["site"])
        finally:
            file.write_text(before)

    assert installed_after(pyproject, "line-length = 120", "line-length = 100")
    assert not installed_after(pyproject, '"pydantic>=2.12"', '"pydantic>=2.13"')
    assert not installed_after(constraints, "Django==", "Django==5.")
    mark_installed(settings, ["site"])
    assert not is_installed(settings, ["site", "dev"])
