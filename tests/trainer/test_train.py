"""The loop itself: the loss against a plain reference, gradient accumulation, and the words about overfitting."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, Trainer

from playbook.contracts.events import MetricPoint, Progress
from playbook.contracts.run_spec import BaseModelRef, LoraSettings, TrainingSettings
from playbook.trainer.adapters import with_lora
from playbook.trainer.checkpoint import TrainingState
from playbook.trainer.data import Row
from playbook.trainer.emit import Emitter
from playbook.trainer.folder import RunFolder
from playbook.trainer.forecast import Foresight
from playbook.trainer.loss import IGNORED, loss_sum, make_batch
from playbook.trainer.memory import Pass
from playbook.trainer.model import load_for_training, resolve
from playbook.trainer.prompt import Encoded
from playbook.trainer.schedule import Workload
from playbook.trainer.stop import Stop
from playbook.trainer.train import TrainingJob, groups_of, train
from playbook.trainer.watch import overfits
from tests.trainer.conftest import TINY_ID, events_of


def rows(count: int) -> tuple[Row, ...]:
    """Rows of different lengths with answers of different lengths, so that a mean of means would differ."""
    made = []
    for n in range(count):
        prompt, answer = tuple(range(10, 16 + n % 5)), tuple(range(40, 42 + n % 4))
        made.append(Row(line=n + 1, encoded=Encoded(input_ids=(*prompt, *answer, 2), prompt_length=len(prompt))))
    return tuple(made)


def job(models_dir: Path, folder: Path, **training: Any) -> TrainingJob:
    folder.mkdir()
    settings = {"max_steps": 3, "eval_steps": 10, "save_steps": 10, "warmup_steps": 0, "learning_rate": 0.01}
    run = RunFolder(folder)
    emitter = Emitter(run.events)
    made = TrainingSettings.model_validate(settings | training)
    workload = Workload(training_step=1, validation=1, validations=1, generated_tokens=1)
    foresight = Foresight(workload, made, emitter, time.monotonic(), bytes_of=lambda _: 0, largest=Pass(1, 1, 1))
    return TrainingJob(
        loaded=load_for_training(
            resolve(BaseModelRef(id=TINY_ID), models_dir), LoraSettings(), seed=5, longest=16, compute_dtype="float32"
        ),
        settings=made,
        rows=rows(16),
        validation_rows=rows(4),
        seed=0,
        pad_id=0,
        folder=run,
        emitter=emitter,
        stop=Stop(lease=run.lease, max_lease_age_seconds=None),
        workload=workload,
        process_start=time.monotonic(),
        made_with={},
        foresight=foresight,
    )


def test_labels_are_the_answers_shifted_by_one() -> None:
    short = Row(1, Encoded(input_ids=(11, 12, 21, 2), prompt_length=2))
    long = Row(2, Encoded(input_ids=(11, 12, 13, 31, 32, 2), prompt_length=3))

    batch = make_batch([short, long], pad_id=0, device=torch.device("cpu"))

    assert batch.input_ids.tolist() == [[0, 0, 11, 12, 21, 2], [11, 12, 13, 31, 32, 2]]
    assert batch.attention_mask is not None
    assert batch.attention_mask.tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 0, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert batch.labels.tolist() == [
        [IGNORED, IGNORED, IGNORED, 21, 2, IGNORED],
        [IGNORED, IGNORED, 31, 32, 2, IGNORED],
    ]


def test_rows_of_one_length_need_no_mask() -> None:
    assert make_batch([rows(1)[0]] * 2, pad_id=0, device=torch.device("cpu")).attention_mask is None


def test_the_loss_equals_that_of_plain_full_logits_row_by_row(tiny_models_dir: Path, tmp_path: Path) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    expected = 0.0
    for row in made.rows:
        ids = torch.tensor([row.encoded.input_ids])
        logits = made.loaded.model(input_ids=ids).logits[0, row.encoded.prompt_length - 1 : -1]
        answer = ids[0, row.encoded.prompt_length :]
        expected += functional.cross_entropy(logits, answer, reduction="sum").item()
    made.emitter.close()

    assert loss_sum(made.loaded, made.rows, pad_id=0).item() == pytest.approx(expected, rel=1e-5)


def test_one_batch_of_eight_and_eight_batches_of_one_are_the_same_run(tiny_models_dir: Path, tmp_path: Path) -> None:
    curves, adapters = [], []
    for size in (8, 1):
        made = job(
            tiny_models_dir,
            tmp_path / str(size),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=8 // size,
        )
        train(made, resume=None)
        made.emitter.close()
        points = [event for event in events_of(made.folder.root) if isinstance(event, MetricPoint)]
        curves.append([point.values["train_loss"] for point in points if "train_loss" in point.values])
        adapters.append([p.detach().clone() for p in made.loaded.model.parameters() if p.requires_grad])

    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    assert max((a - b).abs().max().item() for a, b in zip(*adapters, strict=True)) < 1e-4
    assert curves[0][-1] < curves[0][0]


def losses_and_weights(made: TrainingJob) -> tuple[list[float], list[torch.Tensor]]:
    train(made, resume=None)
    made.emitter.close()
    points = [event.values for event in events_of(made.folder.root) if isinstance(event, MetricPoint)]
    weights = [parameter.detach().clone() for parameter in made.loaded.model.parameters() if parameter.requires_grad]
    return [values["train_loss"] for values in points if "train_loss" in values], weights


def test_a_gradient_is_scaled_to_its_limit_and_by_0_never(tiny_models_dir: Path, tmp_path: Path) -> None:
    never, far, near = (
        losses_and_weights(job(tiny_models_dir, tmp_path / str(limit), max_grad_norm=limit)) for limit in (0, 1e6, 1e-9)
    )

    assert never[0] == far[0]
    assert all(map(torch.equal, never[1], far[1]))
    assert never[0] != near[0]


def configuration(kind: str) -> Any:
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return AutoConfig.for_model(kind, **sizes, intermediate_size=32)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma3_text", "gpt2", "phi", "opt"])
@pytest.mark.parametrize("lora", [None, {"use_dora": True}], ids=["full", "dora"])
def test_what_decays_is_what_decays_in_transformers(kind: str, lora: Any) -> None:
    model = AutoModelForCausalLM.from_config(configuration(kind))
    if lora is not None:
        model = with_lora(model, LoraSettings(**lora), seed=1)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    expected = trained.keys() & set(Trainer.get_decay_parameter_names(None, model))

    groups = groups_of(model, 0.1)

    decayed = {id(one) for group in groups if group["weight_decay"] == 0.1 for one in group["params"]}
    assert {name for name, parameter in trained.items() if id(parameter) in decayed} == expected
    assert sorted(id(one) for group in groups for one in group["params"]) == sorted(map(id, trained.values()))


def test_what_is_left_is_told_by_the_pace_of_the_last_steps(tiny_models_dir: Path, tmp_path: Path) -> None:
    made = job(tiny_models_dir, tmp_path / "run")
    train(made, resume=None)
    made.emitter.close()
    told = [event.remaining_seconds for event in events_of(made.folder.root) if isinstance(event, Progress)]

    per_step = made.pace.seconds_per_token * made.workload.training_step
    left = made.workload.remaining_after(3, max_steps=3, eval_steps=10, seconds_per_step=per_step)
    assert told[-1] == pytest.approx(left)


@pytest.mark.parametrize(
    ("validation", "train_means", "expected"),
    [
        ((0.5, 0.4), (0.6, 0.3), False),
        ((0.5, 0.404, 0.41), (0.6, 0.3, 0.2), False),
        ((0.5, 0.4, 0.5), (0.6, 0.3, 0.2), True),
        ((0.5, 0.4, 0.5), (0.6, 0.3, 0.35), False),
        ((0.5,), (0.6,), False),
    ],
)
def test_overfitting_is_a_rising_validation_loss_while_train_loss_falls(
    validation: tuple[float, ...], train_means: tuple[float, ...], expected: bool
) -> None:
    state = TrainingState(made_with={}, compute_dtype="float32", validation_losses=validation, train_means=train_means)

    assert overfits(state) is expected
