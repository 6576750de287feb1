"""Where the demo keeps its things, read from the environment once."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from playbook.demo.preflight import port_from

EXTRAS = ("site", "worker", "trainer")
_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class DemoSettings:
    """`environment` is what every child process gets."""

    root: Path
    data_dir: Path
    models_dir: Path
    port: int
    environment: Mapping[str, str]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, root: Path = _ROOT) -> Self:
        """Read PORT, PLAYBOOK_DATA_DIR and PLAYBOOK_MODELS_DIR. Raises Refused when PORT is no port number."""
        data_dir = Path(environ.get("PLAYBOOK_DATA_DIR") or root / ".data").absolute()
        models_dir = Path(environ.get("PLAYBOOK_MODELS_DIR") or root / ".data/models").absolute()
        environment = {
            **environ,
            "PLAYBOOK_DATA_DIR": str(data_dir),
            "PLAYBOOK_MODELS_DIR": str(models_dir),
            "PYTHONUNBUFFERED": "1",  # a log that can be read while it is written
            "NO_PROXY": ",".join(filter(None, [environ.get("NO_PROXY"), "127.0.0.1"])),  # worker → site is local
        }
        return cls(root, data_dir, models_dir, port_from(environ), environment)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def venv_python(self) -> Path:
        return self.venv / "bin/python"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def runs_in_venv(self) -> bool:
        return Path(sys.prefix).resolve() == self.venv.resolve()
