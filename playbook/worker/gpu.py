"""What this machine offers: GPUs as nvidia-smi lists them, memory, and the base models in the models folder."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import psutil

from playbook.contracts.protocol import Capabilities, Gpu


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
