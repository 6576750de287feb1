"""Checks before anything is changed: free disk, free port, and that no second demo runs in this folder."""

import fcntl
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import IO

FIRST_INSTALL_BYTES = 3 * 10**9
DEFAULT_PORT = 8000


class Refused(Exception):
    """The demo cannot go on. The message is one sentence with the value, the place and the fix."""


def port_from(environ: Mapping[str, str]) -> int:
    """Return PORT, or 8000. Raises Refused when it is no port number."""
    text = environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise Refused(f"PORT={text!r} is not a port number from 1 to 65535; try PORT={DEFAULT_PORT}.")
    return int(text)


def require_free_port(port: int) -> None:
    """Raise Refused when something listens on 127.0.0.1:`port`, or when this user may not."""
    with socket.socket() as probe:
        # As gunicorn does: connections of an ended demo that still wait for their last packet do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except PermissionError:
            raise Refused(f"Port {port} is reserved for the administrator; choose another with PORT=8001.") from None
        except OSError:
            raise Refused(f"Port {port} is in use; choose another with PORT={_other(port)}.") from None


def require_free_disk(folder: Path, needed_bytes: int) -> int:
    """Return the free bytes of the disk that holds `folder`. Raises Refused below `needed_bytes`."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise Refused(
            f"Only {free_bytes / 1e9:.1f} GB are free on the disk of {folder}; the first start needs "
            f"{needed_bytes / 1e9:.0f} GB."
        )
    return free_bytes


def lock(data_dir: Path) -> IO[str]:
    """Return the open lock file of this data folder, held until it is closed. Raises Refused when another holds it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / "demo.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise Refused(
            f"Process {holder} already runs or installs the demo in {data_dir}; stop it with Ctrl-C there."
        ) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def _other(port: int) -> int:
    return port + 1 if port < 65535 else DEFAULT_PORT
