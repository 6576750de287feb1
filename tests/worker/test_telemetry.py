"""How the machine does: read from a stand-in for nvidia-smi, and carried by the heartbeat to the site."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psutil
import pytest

from playbook.contracts.protocol import Gpu, GpuTelemetry, HeartbeatRequest, Telemetry
from playbook.web.jobs.models import Curve, Job
from playbook.worker.gpu import Sensors, list_gpus
from tests.waiting import wait_for
from tests.worker.stack import WorkerProcess

MIB = 1024**2


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the place of the driver's own."""
    script = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return script


def write(script: Path, text: str) -> None:
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)


def test_each_gpu_is_read_and_what_the_driver_does_not_say_is_none(nvidia_smi: Path) -> None:
    write(nvidia_smi, "echo '0, 1024, 37, 54'; echo '1, 2048, [N/A], [Not Supported]'; echo '2, [N/A], 1, 1'")
    read = Sensors().read()
    assert read.gpus == (
        GpuTelemetry(index=0, memory_used_bytes=1024 * MIB, utilisation_percent=37, temperature_celsius=54),
        GpuTelemetry(index=1, memory_used_bytes=2048 * MIB),
    )
    assert read.memory_used_bytes > 0
    assert 0 <= read.cpu_percent <= 100


def test_the_driver_is_asked_for_the_fields_in_the_order_that_is_read(nvidia_smi: Path) -> None:
    asked = "--query-gpu=index,memory.used,utilization.gpu,temperature.gpu --format=csv,noheader,nounits"
    write(nvidia_smi, f'test "$*" = "{asked}" && echo "3, 1, 2, 3"')
    assert [gpu.index for gpu in Sensors().read().gpus] == [3]


def test_a_value_that_no_gpu_has_leaves_the_others(nvidia_smi: Path) -> None:
    write(nvidia_smi, "echo '0, 1024, 3000, 54'; echo '1, 2048, nan, 50'; echo '2, inf, 1, 1'; echo 'Unable to read'")
    assert Sensors().read().gpus == (GpuTelemetry(index=1, memory_used_bytes=2048 * MIB, temperature_celsius=50),)


def test_a_gpu_without_memory_of_its_own_works_in_that_of_the_machine(nvidia_smi: Path) -> None:
    write(nvidia_smi, "echo 'NVIDIA L4, 23034'; echo 'NVIDIA GB10, [N/A]'; echo 'No devices were found'")
    assert list_gpus() == (
        Gpu(name="NVIDIA L4", memory_bytes=23034 * MIB),
        Gpu(name="NVIDIA GB10", memory_bytes=psutil.virtual_memory().total),
    )


def test_a_driver_that_is_late_once_is_asked_again(nvidia_smi: Path, tmp_path: Path) -> None:
    write(nvidia_smi, f"if test -e {tmp_path}/asked; then echo '0, 1, 2, 3'; else touch {tmp_path}/asked; exit 9; fi")
    sensors = Sensors()
    assert sensors.read().gpus == ()
    assert [gpu.index for gpu in sensors.read().gpus] == [0]


def test_a_driver_that_fails_three_times_is_not_asked_again(nvidia_smi: Path, tmp_path: Path) -> None:
    write(nvidia_smi, f"echo x >> {tmp_path}/asked; exit 9")
    sensors = Sensors()
    assert [sensors.read().gpus for _ in range(5)] == [()] * 5
    assert (tmp_path / "asked").read_text() == "x\n" * 3


def test_the_first_reading_in_a_thread_says_how_busy_the_processors_are() -> None:
    sensors = Sensors()
    with ThreadPoolExecutor(2) as threads:
        done = Event()
        spinning = threads.submit(lambda: all(not done.is_set() for _ in itertools.count()))
        read = threads.submit(sensors.read)
        try:
            assert read.result().cpu_percent > 0
        finally:
            done.set()
            spinning.result()


def test_values_are_named_by_device() -> None:
    gpu = GpuTelemetry(index=1, memory_used_bytes=5, temperature_celsius=40)
    assert Telemetry(memory_used_bytes=7, cpu_percent=1.5, gpus=(gpu,)).values() == {
        "machine.memory_used_bytes": 7.0,
        "machine.cpu_percent": 1.5,
        "gpu1.memory_used_bytes": 5.0,
        "gpu1.temperature_celsius": 40.0,
    }


def test_a_heartbeat_of_an_older_worker_is_understood() -> None:
    assert HeartbeatRequest.model_validate_json('{"attempt": 1}').telemetry is None


def test_the_heartbeat_carries_it_to_the_site(
    launch: Callable[..., Job], start_worker: Callable[..., WorkerProcess]
) -> None:
    job = launch("ok")
    worker = start_worker(wait_after=2)
    wait_for(lambda: Curve.objects.filter(attempt__job=job, name="machine.cpu_percent").exists() or None)
    worker.let_go()
    wait_for(lambda: Job.objects.filter(pk=job.pk, state="succeeded").exists() or None)
