"""The shipped samples: their generators, their data cards, the recipes and the list of base models."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from playbook.contracts.dataset import Example, Split, read_examples
from playbook.contracts.documents import read_documents
from playbook.contracts.run_spec import Recipe
from playbook.scoring.overlap import measure_overlap
from playbook.trainer.sample_model import SAMPLE_MODEL_ID

CONTENT = Path(__file__).resolve().parents[2] / "content"
FOLDERS = sorted(path.parent for path in (CONTENT / "datasets").glob("*/card.md"))
EACH_DATASET = pytest.mark.parametrize("folder", FOLDERS, ids=[path.name for path in FOLDERS])
RECIPES = sorted((CONTENT / "recipes").glob("*.yaml"))


def split(folder: Path, name: Split) -> list[Example]:
    with (folder / f"{name}.jsonl").open("rb") as lines:
        result = read_examples(lines)
    assert result.problems == ()
    return list(result.examples)


def front_matter(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "card.md").read_text(encoding="utf-8").split("---\n")[1])
    return found


@EACH_DATASET
def test_generator_writes_the_committed_bytes(folder: Path, tmp_path: Path) -> None:
    written = tmp_path / "written"
    written.mkdir()

    subprocess.run([sys.executable, folder / "generate.py", written], check=True)

    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".md", ".jsonl"))
    assert sorted(path.name for path in written.iterdir()) == names
    assert [name for name in names if (written / name).read_bytes() != (folder / name).read_bytes()] == []


@EACH_DATASET
def test_splits_share_no_row_and_the_card_reports_shared_templates(folder: Path) -> None:
    train, test = split(folder, Split.TRAIN), split(folder, Split.TEST)

    overlap = measure_overlap(train, test)

    known = {example.metadata["template"] for example in train}
    assert overlap.shared_rows == 0
    assert measure_overlap(train, split(folder, Split.VALIDATION)).shared_rows == 0
    assert measure_overlap(split(folder, Split.VALIDATION), test).shared_rows == 0
    assert front_matter(folder)["overlap"] == {
        "shared_rows": overlap.shared_rows,
        "test_templates": overlap.test_templates,
        "shared_templates": overlap.shared_templates,
        "test_rows_from_unseen_templates": sum(example.metadata["template"] not in known for example in test),
    }
    assert front_matter(folder)["overlap"]["shared_templates"] > 0


@EACH_DATASET
def test_card_names_each_split_by_its_content(folder: Path) -> None:

    counted = {}
    for name in Split:
        data = (folder / f"{name}.jsonl").read_bytes()
        counted[str(name)] = {
            "rows": len(split(folder, name)),
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    assert front_matter(folder)["splits"] == counted


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipe_parses_is_named_after_its_file_and_uses_a_listed_model(path: Path) -> None:
    recipe = Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))

    models = yaml.safe_load((CONTENT / "models.yaml").read_text(encoding="utf-8"))
    assert recipe.slug == path.stem
    assert recipe.settings.base_model.id in [model["id"] for model in models]


def test_the_bundled_model_is_the_one_that_is_fetched() -> None:
    models = yaml.safe_load((CONTENT / "models.yaml").read_text(encoding="utf-8"))

    assert [model["id"] for model in models if model.get("bundled")] == [SAMPLE_MODEL_ID]


def test_a_test_fact_of_the_company_is_never_said_in_train_and_always_in_the_documents() -> None:
    folder = CONTENT / "datasets" / "company-facts"
    with (folder / "documents.jsonl").open("rb") as lines:
        said = " ".join(document.text for document in read_documents(lines))
    train = {example.prompt[-1].content for example in split(folder, Split.TRAIN)}
    test = split(folder, Split.TEST)
    assert [example.answer for example in test if example.answer not in said] == []
    assert [example for example in test if example.prompt[-1].content in train] == []
