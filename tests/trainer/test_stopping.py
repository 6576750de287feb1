"""When training stops before its last step, and whose weights are handed over."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from playbook.contracts.events import Log, MetricPoint
from playbook.contracts.report import TrainingSummary
from tests.trainer.conftest import MakeRun, Train, events_of, report_of, row

#: So small that no validation loss moves.
STANDING = {"learning_rate": 1e-12, "max_steps": 10, "eval_steps": 1, "save_steps": 4}
#: The same at every step, so that a shorter run is the beginning of a longer one.
RISING = {"learning_rate": 0.02, "lr_scheduler_type": "constant", "warmup_steps": 0, "eval_steps": 1, "save_steps": 100}
#: Answers that training makes ever less likely, so that the validation loss soon rises.
OTHERS = [row("say", "QQQQ"), row("say x", "ZZZZ")]


def summary(folder: Path) -> TrainingSummary:
    found = report_of(folder).training
    assert found is not None
    return found


def validation_losses(folder: Path) -> dict[int, float]:
    points = [event for event in events_of(folder) if isinstance(event, MetricPoint)]
    return {point.step: point.values["validation_loss"] for point in points if "validation_loss" in point.values}


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / "artifacts" / "adapter" / "adapter_model.safetensors"))


def test_early_stopping_ends_training_after_so_many_checks_without_gain(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={**STANDING, "early_stopping_patience": 2})

    assert train(folder) == 0

    assert (summary(folder).steps, summary(folder).stopped_early) == (3, True)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-000003"]
    said = [event.message for event in events_of(folder) if isinstance(event, Log)]
    assert [text for text in said if text.startswith("Training stops at step 3: 2 checks in a row")]


def test_without_patience_training_goes_on(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training=STANDING)
    train(folder)

    assert (summary(folder).steps, summary(folder).stopped_early) == (10, False)


def test_the_best_checkpoint_is_handed_over_and_is_that_of_its_step(make_run: MakeRun, train: Train) -> None:
    whole = make_run(
        name="whole", validation=OTHERS, training={**RISING, "max_steps": 12, "load_best_model_at_end": True}
    )
    assert train(whole) == 0
    losses = validation_losses(whole)
    best = min(losses, key=lambda step: losses[step])
    assert best < 12, "the validation loss was meant to rise"
    short = make_run(name="short", validation=OTHERS, training={**RISING, "max_steps": best})
    assert train(short) == 0

    assert (summary(whole).steps, summary(whole).best_step) == (12, best)
    handed_over, of_the_step = adapter(whole), adapter(short)
    assert handed_over.keys() == of_the_step.keys()
    assert all(torch.equal(handed_over[name], of_the_step[name]) for name in handed_over)
    assert f"step {best}, the best one" in (whole / "artifacts" / "adapter" / "README.md").read_text()


def test_the_last_weights_are_handed_over_unless_the_best_were_asked_for(make_run: MakeRun, train: Train) -> None:
    last = make_run(name="last", validation=OTHERS, training={**RISING, "max_steps": 12})
    best = make_run(
        name="best", validation=OTHERS, training={**RISING, "max_steps": 12, "load_best_model_at_end": True}
    )
    train(last)
    train(best)

    assert summary(last).best_step is None
    assert any(not torch.equal(adapter(last)[name], adapter(best)[name]) for name in adapter(last))
