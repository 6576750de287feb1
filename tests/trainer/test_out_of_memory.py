"""Memory that runs out: said at which step and what to change, and measured in halves where that is enough."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError
from playbook.trainer.train import train as train_loop
from tests.trainer.conftest import MakeRun, Train, ended
from tests.trainer.test_bad_input import steps_of
from tests.trainer.test_train import job


@pytest.mark.parametrize(
    ("size", "advice"), [(4, "Set per_device_train_batch_size 2 (now 4)"), (1, "Lower max_length")]
)
@pytest.mark.parametrize(("passes", "step", "kept"), [(0, 1, "Nothing was saved."), (5, 6, "of step 4 is kept")])
def test_out_of_memory_at_the_first_and_at_a_late_step_says_what_to_change(
    tiny_models_dir: Path, tmp_path: Path, passes: int, step: int, kept: str, size: int, advice: str
) -> None:
    made = job(tiny_models_dir, tmp_path / "run", max_steps=8, save_steps=2, per_device_train_batch_size=size)
    counted: list[int] = []

    def take_all_memory(*_: Any) -> None:
        counted.append(1)
        if len(counted) > passes:
            torch.empty(2**55)

    made.loaded.model.get_input_embeddings().register_forward_hook(take_all_memory)
    with pytest.raises(RunError, match="Memory ran out") as caught:
        train_loop(made, resume=None)
    made.emitter.close()

    assert caught.value.reason is EndReason.OUT_OF_MEMORY
    assert f"Memory ran out at step {step} of 8" in caught.value.message
    assert advice in caught.value.message
    assert kept in caught.value.message
    assert steps_of(made.folder.root) == list(range(1, step))


def test_validation_rows_that_do_not_fit_the_memory_together_are_measured_in_halves(
    tiny_models_dir: Path, tmp_path: Path
) -> None:
    losses = []
    for most_rows in (8, 1):
        made = job(tiny_models_dir, tmp_path / f"run-{most_rows}", max_steps=1, per_device_train_batch_size=1)
        too_many: list[int] = []

        def take_all_memory(
            _: object, inputs: tuple[torch.Tensor, ...], most_rows: int = most_rows, too_many: list[int] = too_many
        ) -> None:
            if len(inputs[0]) > most_rows:
                too_many.append(len(inputs[0]))
                torch.empty(2**55)

        made.loaded.model.get_input_embeddings().register_forward_pre_hook(take_all_memory)
        state = train_loop(made, resume=None)
        made.emitter.close()
        losses.append(state.validation_losses[-1])
        assert bool(too_many) == (most_rows == 1)

    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def _with_memory_for(tokens: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have torch run out of memory when more losses are measured at once; return how many it was asked for."""
    measured_loss, asked = functional.cross_entropy, list[int]()

    def limited(logits: torch.Tensor, wanted: torch.Tensor, *, reduction: str = "mean") -> torch.Tensor:
        if reduction == "none":
            asked.append(len(wanted))
            if asked[-1] > tokens:
                torch.empty(2**55)
        return measured_loss(logits, wanted, reduction=reduction)

    monkeypatch.setattr(functional, "cross_entropy", limited)
    return asked


def test_out_of_memory_in_the_measurement_says_what_to_change_there_and_keeps_what_was_trained(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_memory_for(0, monkeypatch)
    folder = make_run()

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.OUT_OF_MEMORY
    assert "Lower batch_size and max_new_tokens of the measurement" in ended(folder).message
    assert steps_of(folder) == [1, 2, 3, 4]
    assert (folder / "artifacts" / "adapter" / "adapter_model.safetensors").is_file()


def test_losses_that_do_not_fit_the_memory_together_are_measured_in_halves(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 250  # fewer tokens than the ten rows of the general set have together
    asked = _with_memory_for(most, monkeypatch)

    assert train(make_run(training={"max_steps": 1})) == 0

    halved = next(at for at, tokens in enumerate(asked) if tokens > most)
    assert sum(asked[halved + 1 : halved + 3]) == asked[halved]
