"""The shipped list of base models: enough of them, their sizes agree with what their makers publish, and each recipe
starts from one that runs."""

from pathlib import Path

import pytest

from playbook.library.catalog import BaseModelEntry
from playbook.library.content import load_library
from playbook.trainer.sample_model import SAMPLE_MODEL_ID

LIBRARY = load_library(Path(__file__).parent.parent.parent / "content")
MODELS = LIBRARY.base_models

#: Billions of parameters as the makers or the Hub state them, rounded as there.
PUBLISHED = {
    "Qwen/Qwen2.5-0.5B-Instruct": 0.49,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54,
    "Qwen/Qwen2.5-7B-Instruct": 7.62,
    "Qwen/Qwen3-1.7B": 1.7,
    "mistralai/Mistral-7B-Instruct-v0.3": 7.25,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1.1,
    "utter-project/EuroLLM-1.7B-Instruct": 1.657,
}

each_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)


def test_there_are_at_least_fifteen_and_all_can_be_read() -> None:
    assert len(MODELS) >= 15
    assert [problem for problem in LIBRARY.problems if problem.path == "models.yaml"] == []


@each_model
def test_each_model_says_where_and_when_it_was_read(model: BaseModelEntry) -> None:
    assert model.url
    assert model.accessed
    assert model.shape


@each_model
def test_parameters_are_those_of_the_shape(model: BaseModelEntry) -> None:
    assert model.shape
    assert model.parameters == model.shape.model_shape.parameters


@pytest.mark.parametrize(("name", "billions"), PUBLISHED.items())
def test_parameters_are_those_that_the_makers_publish(name: str, billions: float) -> None:
    assert MODELS[name].parameters / 1e9 == pytest.approx(billions, rel=0.015)


@each_model
def test_memory_is_computed_and_four_bits_take_less(model: BaseModelEntry) -> None:
    assert model.lora_bytes
    assert model.qlora_bytes
    assert model.qlora_bytes < model.lora_bytes < 18 * model.parameters + 8 * 2**30


@each_model
def test_heads_divide_the_hidden_size(model: BaseModelEntry) -> None:
    """The formula takes a head to be hidden size / heads; models whose heads are wider have no place here."""
    assert model.shape
    assert (model.shape.hidden_size % model.shape.heads, model.shape.heads % model.shape.kv_heads) == (0, 0)


@each_model
def test_what_is_superseded_names_its_successor(model: BaseModelEntry) -> None:
    assert (model.status == "superseded") == (model.superseded_by is not None)
    if model.superseded_by:
        assert MODELS[model.superseded_by].status == "active"


def test_every_recipe_starts_from_a_model_that_runs_without_a_download() -> None:
    bundled = [model.id for model in MODELS.values() if model.bundled]

    assert bundled == [SAMPLE_MODEL_ID]
    assert {recipe.settings.base_model.id for recipe in LIBRARY.recipes.values()} == set(bundled)
