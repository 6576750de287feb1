"""What runs on a CUDA device alone. Without one these tests skip and say so."""

import importlib.util
from pathlib import Path

import pytest
import torch

from playbook.contracts.events import Configured
from playbook.contracts.run_spec import LoraSettings
from playbook.trainer.loss import packs_exactly
from playbook.trainer.memory import Shape
from tests.benchmarks.cuda_models import BILLION, BILLION_ID, write_random_llama
from tests.trainer.conftest import MakeRun, Train, events_of, report_of
from tests.trainer.test_train import job, rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and this machine has none"),
]


def effective(folder: Path) -> dict[str, str | int | float | bool | None]:
    return next(event for event in events_of(folder) if isinstance(event, Configured)).effective


def test_a_run_on_cuda_uses_bfloat16_and_sdpa_or_flash_attention(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"max_steps": 6})

    assert train(folder) == 0

    used = effective(folder)
    assert used["compute_dtype"] == (
        "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    )
    assert used["attention"] in ("sdpa", "flash_attention_2")
    training = report_of(folder).training
    assert training is not None
    assert 0 < training.peak_memory_bytes < torch.cuda.get_device_properties(0).total_memory


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs the package bitsandbytes")
def test_qlora_trains_on_four_bit_weights(make_run: MakeRun, train: Train) -> None:
    folder = make_run(method="qlora", training={"max_steps": 6})

    assert train(folder) == 0

    assert effective(folder)["method"] == "qlora"
    assert (folder / "artifacts" / "adapter" / "adapter_model.safetensors").is_file()


def test_packed_rows_are_exact_on_cuda(tiny_models_dir: Path, tmp_path: Path) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    made.emitter.close()

    assert packs_exactly(made.loaded, rows(4), pad_id=0)


@pytest.mark.model
def test_a_model_of_a_billion_parameters_trains(
    make_run: MakeRun, train: Train, sample_model: Path, tmp_path: Path
) -> None:
    write_random_llama(tmp_path / "large", BILLION_ID, BILLION)
    folder = make_run(base_model={"id": BILLION_ID}, training={"max_steps": 4, "per_device_train_batch_size": 8})

    assert train(folder, models_dir=tmp_path / "large") == 0

    training = report_of(folder).training
    assert training is not None
    assert training.total_parameters > 1_000_000_000
    assert training.trainable_parameters == Shape(
        hidden=2048, intermediate=8192, layers=16, heads=32, attention=2048, keys=512, vocabulary=128_256, tied=True
    ).adapter_parameters(LoraSettings())
