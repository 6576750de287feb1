"""The shipped sample: its generator, its data card, the recipes and the list of base models."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from playbook.contracts.dataset import Example, Split, read_examples
from playbook.contracts.run_spec import Recipe
from playbook.scoring.overlap import measure_overlap
from playbook.trainer.sample_model import SAMPLE_MODEL_ID

CONTENT = Path(__file__).resolve().parents[2] / "content"
FOLDER = CONTENT / "datasets" / "support-tickets"
RECIPES = sorted((CONTENT / "recipes").glob("*.yaml"))


def split(name: Split) -> list[Example]:
    with (FOLDER / f"{name}.jsonl").open("rb") as lines:
        result = read_examples(lines)
    assert result.problems == ()
    return list(result.examples)


def test_generator_writes_the_committed_bytes(tmp_path: Path) -> None:
    written = tmp_path / "written"
    written.mkdir()

    subprocess.run([sys.executable, FOLDER / "generate.py", written], check=True)

    names = ["card.md", "test.jsonl", "train.jsonl", "validation.jsonl"]
    assert sorted(path.name for path in written.iterdir()) == names
    assert [(written / name).read_bytes() == (FOLDER / name).read_bytes() for name in names] == [True] * 4


def test_splits_share_no_ticket_and_the_card_reports_shared_templates() -> None:
    front_matter = yaml.safe_load((FOLDER / "card.md").read_text(encoding="utf-8").split("---\n")[1])
    train, test = split(Split.TRAIN), split(Split.TEST)

    overlap = measure_overlap(train, test)

    known = {example.metadata["template"] for example in train}
    assert overlap.shared_rows == 0
    assert measure_overlap(train, split(Split.VALIDATION)).shared_rows == 0
    assert measure_overlap(split(Split.VALIDATION), test).shared_rows == 0
    assert front_matter["overlap"] == {
        "shared_rows": overlap.shared_rows,
        "test_templates": overlap.test_templates,
        "shared_templates": overlap.shared_templates,
        "test_rows_from_unseen_templates": sum(example.metadata["template"] not in known for example in test),
    }
    assert 0 < front_matter["overlap"]["shared_templates"] < front_matter["overlap"]["test_templates"]


def test_card_names_each_split_by_its_content() -> None:
    front_matter = yaml.safe_load((FOLDER / "card.md").read_text(encoding="utf-8").split("---\n")[1])

    counted = {}
    for name in Split:
        data = (FOLDER / f"{name}.jsonl").read_bytes()
        counted[str(name)] = {
            "rows": len(split(name)),
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    assert front_matter["splits"] == counted


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipe_parses_is_named_after_its_file_and_uses_a_listed_model(path: Path) -> None:
    recipe = Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))

    models = yaml.safe_load((CONTENT / "models.yaml").read_text(encoding="utf-8"))
    assert recipe.slug == path.stem
    assert recipe.settings.base_model.id in [model["id"] for model in models]


def test_the_bundled_model_is_the_one_that_is_fetched() -> None:
    models = yaml.safe_load((CONTENT / "models.yaml").read_text(encoding="utf-8"))

    assert [model["id"] for model in models if model.get("bundled")] == [SAMPLE_MODEL_ID]
