"""What this machine offers, and how it does: GPUs as nvidia-smi lists them, memory, base models, telemetry."""

import math
import os
import shutil
import socket
import subprocess
from pathlib import Path

import psutil
from pydantic import ValidationError

from playbook.contracts.protocol import Capabilities, Gpu, GpuTelemetry, Telemetry

#: nvidia-smi answers in a fraction of a second; one that hangs must not hold up the heartbeat for long.
TELEMETRY_TIMEOUT_SECONDS = 3
#: How long the processors are looked at for the first reading; each later one looks back to the one before.
FIRST_LOOK_SECONDS = 0.2
#: One slow answer says little: without its persistence mode the driver is started by the question.
_TRIES = 3
_TELEMETRY_FIELDS = "index,memory.used,utilization.gpu,temperature.gpu"


def list_gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs; empty when there is no driver. Takes up to a second, so ask once."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()  # a driver that does not answer gives the trainer no GPU either
    return tuple(found for line in done.stdout.splitlines() if (found := _gpu(line)) is not None)


def _gpu(line: str) -> Gpu | None:
    """Return the GPU that a line names, `NVIDIA L4, 23034`; None for a line of another kind.

    A GPU without memory of its own says `[N/A]`: it works in that of the machine.
    """
    name, comma, mebibytes = line.rpartition(",")
    size = _number(mebibytes)
    if not comma or not name.strip() or (size is None and not mebibytes.strip().startswith("[")):
        return None
    shared = psutil.virtual_memory().total
    return Gpu(name=name.strip(), memory_bytes=shared if size is None else int(size) * 1024**2)


def list_base_models(models_dir: Path) -> tuple[str, ...]:
    """Return the ids of complete base models: `folder` or `owner/folder` with config.json and safetensors weights."""
    configs = [*models_dir.glob("*/config.json"), *models_dir.glob("*/*/config.json")]
    folders = [config.parent for config in configs if any(config.parent.glob("*.safetensors"))]
    return tuple(sorted(folder.relative_to(models_dir).as_posix() for folder in folders))


def capabilities(gpus: tuple[Gpu, ...], models_dir: Path) -> Capabilities:
    return Capabilities(
        hostname=socket.gethostname(),
        gpus=gpus,
        memory_bytes=psutil.virtual_memory().total,
        cpu_count=len(os.sched_getaffinity(0)),
        base_models=list_base_models(models_dir),
    )


class Sensors:
    """Reads telemetry. A driver that fails three times in a row is not asked again."""

    def __init__(self) -> None:
        self._command = shutil.which("nvidia-smi")
        self._failures = 0
        self._look_seconds: float | None = FIRST_LOOK_SECONDS

    def read(self) -> Telemetry:
        """Return how the machine does; its processors since the last call, in the first one for a moment.

        Call it in one thread alone: psutil counts from the last call of the same thread.
        """
        memory, cpu_percent = psutil.virtual_memory(), psutil.cpu_percent(self._look_seconds)
        self._look_seconds = None
        return Telemetry(memory_used_bytes=memory.total - memory.available, cpu_percent=cpu_percent, gpus=self._gpus())

    def _gpus(self) -> tuple[GpuTelemetry, ...]:
        if self._command is None:
            return ()
        query = [self._command, f"--query-gpu={_TELEMETRY_FIELDS}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=TELEMETRY_TIMEOUT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            self._failures += 1
            if self._failures == _TRIES:
                self._command = None
            return ()
        self._failures = 0
        return tuple(found for line in done.stdout.splitlines() if (found := _gpu_telemetry(line)) is not None)[:16]


def _gpu_telemetry(line: str) -> GpuTelemetry | None:
    """Return what one line of nvidia-smi says, `0, 1024, 37, 54` or `0, 1024, [N/A], 54`; None without memory."""
    values = [_number(word) for word in line.split(",")]
    if len(values) != 4 or values[0] is None or values[1] is None:
        return None
    used = int(values[1]) * 1024**2
    try:
        return GpuTelemetry(
            index=int(values[0]), memory_used_bytes=used, utilisation_percent=values[2], temperature_celsius=values[3]
        )
    except ValidationError:
        return None  # a value that no GPU has must not end the heartbeat


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None  # "[N/A]", "[Not Supported]"
    return number if math.isfinite(number) else None
