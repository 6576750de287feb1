"""Settings carry the names of peft, transformers and TRL, so that a reader finds them in the upstream documentation."""

import dataclasses

import pytest
from peft import LoraConfig
from pydantic import BaseModel
from transformers import EarlyStoppingCallback, TrainingArguments

from playbook.contracts.run_spec import EvaluationSettings, LoraSettings, TrainingSettings

#: Of TRL's `SFTConfig`, which only the benchmark installs; and ours, where upstream decides in silence.
TRL, OURS = {"max_length", "packing"}, {"over_length"}


def names_of(config: type) -> set[str]:
    return {field.name for field in dataclasses.fields(config)}


def test_adapter_settings_are_those_of_peft() -> None:
    assert set(LoraSettings.model_fields) - names_of(LoraConfig) == set()


def test_training_settings_are_those_of_transformers_and_trl() -> None:
    stopping = set(EarlyStoppingCallback.__init__.__code__.co_varnames)
    known = names_of(TrainingArguments) | stopping | TRL | OURS
    assert set(TrainingSettings.model_fields) - known == set()


@pytest.mark.parametrize(
    "model", [LoraSettings, TrainingSettings, EvaluationSettings], ids=lambda model: model.__name__
)
def test_every_setting_says_what_it_is_and_has_a_default(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name


@pytest.mark.parametrize("model", [LoraSettings, TrainingSettings], ids=lambda model: model.__name__)
def test_every_number_has_a_range(model: type[BaseModel]) -> None:
    unbounded = [
        name
        for name, field in model.model_fields.items()
        if isinstance(field.default, int | float)
        and not isinstance(field.default, bool)
        and not any(hasattr(limit, edge) for limit in field.metadata for edge in ("ge", "gt"))
    ]
    assert unbounded == []
