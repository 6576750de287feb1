"""What the trainer's benchmark measures with, where no GPU is at hand: the large model in small, and its products."""

from dataclasses import replace
from pathlib import Path

import pytest

from playbook.contracts.run_spec import RunSpec
from playbook.trainer.memory import Shape
from tests.benchmarks.ceiling import measured_ceiling_of, products_of, training_flops
from tests.benchmarks.cuda_models import BILLION, BILLION_ID, for_billion, write_random_llama
from tests.trainer.conftest import MakeRun, Train, report_of

SMALL = BILLION | {
    "vocab_size": 49_152,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
}
SHAPE = Shape(
    hidden=32, intermediate=64, layers=2, heads=4, attention=32, keys=16, vocabulary=49_152, tied=True
)  # fmt: skip


def small_run(make_run: MakeRun, name: str = "run", **settings: object) -> Path:
    folder = make_run(name=name, **settings)
    spec = for_billion(RunSpec.model_validate_json((folder / "spec.json").read_bytes()), steps=2)
    training = spec.training.model_copy(update={"per_device_train_batch_size": 4, "warmup_steps": 0})
    (folder / "spec.json").write_text(spec.model_copy(update={"training": training}).model_dump_json())
    return folder


@pytest.mark.model
def test_the_random_llama_trains_and_its_products_are_those_that_are_counted(
    make_run: MakeRun, train: Train, sample_model: Path, tmp_path: Path
) -> None:
    write_random_llama(tmp_path / "large", BILLION_ID, SMALL)
    folder = small_run(make_run)

    assert train(folder, models_dir=tmp_path / "large") == 0

    report = report_of(folder)
    training = report.training
    assert training is not None
    assert training.total_parameters == SHAPE.parameters + SHAPE.adapter_parameters(report.spec.lora)
    assert training.trainable_parameters == SHAPE.adapter_parameters(report.spec.lora)
    assert measured_ceiling_of(replace(SHAPE, vocabulary=64), report.spec, training, "float32") > 0
    for method in ("lora", "full"):
        spec = report.spec.model_copy(update={"method": method})
        rows = training.computed_tokens or training.tokens
        products = products_of(SHAPE, spec, rows=rows, learned=training.supervised_tokens)
        counted = training_flops(SHAPE, spec, training, mean_length=0)
        assert sum(2 * rows * inner * outer for rows, inner, outer in products) == counted
