"""What this machine offers, and how it does: GPUs as nvidia-smi lists them, memory, base models, telemetry."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import psutil

from playbook.contracts.protocol import Capabilities, Gpu, GpuTelemetry, Telemetry

#: nvidia-smi answers in a fraction of a second; one that hangs must not hold up the heartbeat for long.
TELEMETRY_TIMEOUT_SECONDS = 3
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
    found = []
    for line in done.stdout.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if mebibytes.strip().isdigit():
            found.append(Gpu(name=name.strip(), memory_bytes=int(mebibytes) * 1024**2))
    return tuple(found)


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
    """Reads telemetry. A driver that once fails to answer is not asked again."""

    def __init__(self) -> None:
        self._command = shutil.which("nvidia-smi")
        psutil.cpu_percent()  # the first call only begins to count

    def read(self) -> Telemetry:
        memory = psutil.virtual_memory()
        return Telemetry(
            memory_used_bytes=memory.total - memory.available, cpu_percent=psutil.cpu_percent(), gpus=self._gpus()
        )

    def _gpus(self) -> tuple[GpuTelemetry, ...]:
        if self._command is None:
            return ()
        query = [self._command, f"--query-gpu={_TELEMETRY_FIELDS}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=TELEMETRY_TIMEOUT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            self._command = None
            return ()
        return tuple(found for line in done.stdout.splitlines() if (found := _gpu_telemetry(line)) is not None)[:16]


def _gpu_telemetry(line: str) -> GpuTelemetry | None:
    """Return what one line of nvidia-smi says, `0, 1024, 37, 54` or `0, 1024, [N/A], 54`; None without memory."""
    values = [_number(word) for word in line.split(",")]
    if len(values) != 4 or values[0] is None or values[1] is None:
        return None
    return GpuTelemetry(
        index=int(values[0]),
        memory_used_bytes=int(values[1]) * 1024**2,
        utilisation_percent=values[2],
        temperature_celsius=values[3],
    )


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None  # "[N/A]", "[Not Supported]"
