"""What a spec is refused for, said by field, value and range."""

import doctest

import pytest
from pydantic import ValidationError

from playbook.contracts import refusals
from playbook.contracts.run_spec import RunSettings


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(refusals).failed == 0


def test_what_is_missing_unknown_or_in_a_list_is_named_by_its_path() -> None:
    with pytest.raises(ValidationError) as caught:
        RunSettings.model_validate({"lora": {"rank": 8}, "evaluation": {"arms": ["guess"]}, "seed": None})
    found = {refusal.path: refusal.text for refusal in refusals.refusals(caught.value, RunSettings)}
    assert found["base_model",] == "is missing: Field required."
    assert found["lora", "rank"] == "is no setting of this version; remove it."
    assert found["evaluation", "arms", "0"].startswith("is guess; Input should be 'zero_shot'")
    assert found["seed",] == "is none; it must be a whole number at least 0, below 4,294,967,296."


@pytest.mark.parametrize(
    ("value", "text"), [(0.0005, "0.0005"), (32.0, "32"), (2e-5, "2e-05"), (0.00012345678, "0.00012345678")]
)
def test_a_number_is_written_short_where_that_says_the_same(value: float, text: str) -> None:
    assert refusals.setting_text(value) == text
