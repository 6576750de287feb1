"""Search by meaning: how vectors are pooled, what stands before a question, and that the work can be stopped."""

import json
from pathlib import Path

import pytest
import torch

from playbook.contracts.states import EndReason
from playbook.trainer.embed import EmbeddingIndex, pool
from playbook.trainer.errors import RunError
from playbook.trainer.retrieve import Passage
from tests.trainer.conftest import TINY_ID

PASSAGES = [Passage(str(n), "", f"passage number {n}") for n in range(70)]


def write(folder: Path, name: str, content: object) -> None:
    path = folder / TINY_ID / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def models_dir(tiny_models_dir: Path, tmp_path: Path) -> Path:
    """A models folder of its own, whose model can be given files."""
    folder = tmp_path / TINY_ID
    folder.mkdir()
    for file in (tiny_models_dir / TINY_ID).iterdir():
        (folder / file.name).symlink_to(file)
    return tmp_path


def index(models_dir: Path, noted: list[int]) -> EmbeddingIndex:
    return EmbeddingIndex(PASSAGES, model=TINY_ID, models_dir=models_dir, note=noted.append)


@pytest.mark.parametrize(
    ("pooling", "left", "right"), [("mean", 25.0, 15.0), ("cls", 20.0, 10.0), ("last", 30.0, 20.0)]
)
def test_padding_on_either_side_is_left_out(pooling: str, left: float, right: float) -> None:
    hidden = torch.tensor([[[10.0], [20.0], [30.0]]] * 2)
    mask = torch.tensor([[0, 1, 1], [1, 1, 0]])
    assert pool(hidden, mask, pooling).tolist() == [[left], [right]]


def test_progress_is_noted_before_each_bounded_batch(models_dir: Path) -> None:
    noted: list[int] = []
    found = index(models_dir, noted).find("passage number 7", 1)
    assert (noted, found[0].text) == ([0, 32, 64], "passage number 7")


def test_what_the_note_raises_ends_the_work(models_dir: Path) -> None:
    def stopped(done: int) -> None:
        if done:
            raise RunError(EndReason.CANCELLED_BY_USER, "stopped")

    with pytest.raises(RunError, match="stopped"):
        EmbeddingIndex(PASSAGES, model=TINY_ID, models_dir=models_dir, note=stopped)


def test_a_prompt_of_the_model_stands_before_the_question(models_dir: Path) -> None:
    write(models_dir, "config_sentence_transformers.json", {"prompts": {"query": "passage ", "document": ""}})
    assert index(models_dir, []).find("number 7", 1)[0].text == "passage number 7"


def test_a_pooling_that_is_not_known_is_refused_by_name(models_dir: Path) -> None:
    write(models_dir, "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    index(models_dir, [])
    write(models_dir, "1_Pooling/config.json", {"pooling_mode_max_tokens": True})
    with pytest.raises(RunError, match="pools by pooling_mode_max_tokens") as refused:
        index(models_dir, [])
    assert refused.value.reason is EndReason.BASE_MODEL_UNREADABLE
