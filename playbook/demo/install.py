"""The virtual environment: created, filled with pinned packages, and left alone while nothing about them changes.

`python -m playbook.demo.install site worker trainer dev` is `make install`. An interrupted installation leaves
`.venv/installing` behind and is begun anew, because a half-copied package looks installed to pip.
"""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from playbook.demo.preflight import FIRST_INSTALL_BYTES, Refused, lock, require_free_disk
from playbook.demo.processes import ChildFailed, Processes, Stopped
from playbook.demo.settings import DemoSettings

_NO_NETWORK = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Network is unreachable",
    "Connection refused",
)
_NO_SPACE = ("No space left on device",)


def is_installed(settings: DemoSettings, extras: Sequence[str]) -> bool:
    """True when the environment holds at least these extras of the present pyproject.toml and constraints.txt."""
    try:
        installed = json.loads(_marker(settings).read_text())
    except (OSError, ValueError):
        return False
    return (
        settings.venv_python.exists()
        and installed["digest"] == _digest(settings)
        and set(extras) <= set(installed["extras"])
    )


def mark_installed(settings: DemoSettings, extras: Sequence[str]) -> None:
    """Note what the environment holds now, for `is_installed`."""
    _marker(settings).write_text(json.dumps({"digest": _digest(settings), "extras": sorted(extras)}))


def install(settings: DemoSettings, extras: Sequence[str], processes: Processes) -> None:
    """Create the environment if needed and install the extras into it. Raises Refused with one sentence."""
    started = settings.venv / "installing"
    if started.exists() or not _works(settings):
        _create(settings, processes)
    started.touch()
    _marker(settings).unlink(missing_ok=True)
    command = [
        *(str(settings.venv_python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
        *("--retries", "2", "--constraint", "constraints.txt", "--editable", f".[{','.join(sorted(extras))}]"),
    ]
    try:
        processes.run("install", command)
    except ChildFailed:
        _refuse_if_known(settings)
        # A damaged download in pip's cache fails every time; one attempt past the cache tells.
        try:
            processes.run("install", [*command, "--no-cache-dir"])
        except ChildFailed as failure:
            _refuse_if_known(settings)
            raise Refused(f"The packages could not be installed. {failure}") from None
    mark_installed(settings, extras)
    started.unlink()


def _create(settings: DemoSettings, processes: Processes) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise Refused(
            f"{sys.executable} lacks the venv module; install it (on Debian: apt-get install python3-venv) and run "
            "the same command again."
        )
    shutil.rmtree(settings.venv, ignore_errors=True)
    try:
        processes.run("venv", [sys.executable, "-m", "venv", str(settings.venv)])
    except ChildFailed as failure:
        raise Refused(f"The virtual environment {settings.venv} could not be created. {failure}") from None


def _works(settings: DemoSettings) -> bool:
    """True when the environment has a Python of a fitting version and a pip that starts."""
    probe = "import sys, pip; sys.exit(sys.version_info[:2] != " + repr(sys.version_info[:2]) + ")"
    try:
        return subprocess.run([settings.venv_python, "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _refuse_if_known(settings: DemoSettings) -> None:
    """Raise Refused with one sentence when pip's log names a cause that a person knows how to mend."""
    log = settings.log_dir / "install.log"
    text = log.read_text(errors="replace")
    if any(sign in text for sign in _NO_SPACE):
        raise Refused(f"The disk of {settings.venv} is full; free some space and run the same command again.")
    if any(sign in text for sign in _NO_NETWORK):
        raise Refused(
            "The package index could not be reached; check the network (or pip's index settings) and run the same "
            f"command again. Details: {log}"
        )


def _marker(settings: DemoSettings) -> Path:
    return settings.venv / "playbook-installed.json"


def _digest(settings: DemoSettings) -> str:
    """Changes with whatever decides what is installed: requirements, pins, and the place of the editable install."""
    project = tomllib.loads((settings.root / "pyproject.toml").read_text())
    decisive = {name: project[name] for name in ("build-system", "project")}
    digest = hashlib.sha256(json.dumps([str(settings.root), decisive], sort_keys=True).encode())
    digest.update((settings.root / "constraints.txt").read_bytes())
    return digest.hexdigest()


def main(extras: Sequence[str]) -> int:
    """Install the extras unless they are there, and say so in one line."""
    settings = DemoSettings.from_environ()
    try:
        with (
            lock(settings.data_dir),
            Processes(cwd=settings.root, environment=settings.environment, log_dir=settings.log_dir) as processes,
        ):
            if is_installed(settings, extras):
                return 0
            require_free_disk(settings.root, FIRST_INSTALL_BYTES)
            print(f"Installing {', '.join(extras)} into {settings.venv} (some minutes at first) …", flush=True)
            install(settings, extras, processes)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    except Stopped:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
