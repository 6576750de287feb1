"""A trial of a prompt cannot be written down so that it would read the locked test split, or train."""

import pytest
from pydantic import ValidationError

from playbook.contracts.dataset import Split
from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.run_spec import Arm, BaseModelRef, EvaluationSettings, InputFile, PromptTrial, RunSpec

INPUTS = tuple(InputFile(split=split, sha256="0" * 64, size_bytes=1, rows=1) for split in Split)


def trial(*arms: Arm, split: Split = Split.VALIDATION) -> PromptTrial:
    return PromptTrial(
        base_model=BaseModelRef(id="tiny"),
        evaluation=EvaluationSettings(arms=arms, split=split),
        inputs=INPUTS,
        documents=DocumentsFile(sha256="0" * 64, size_bytes=1, documents=1),
    )


@pytest.mark.parametrize("arm", [Arm.ZERO_SHOT, Arm.FEW_SHOT])
def test_a_trial_answers_validation_rows_by_a_prompt_alone(arm: Arm) -> None:
    spec = trial(arm)
    assert (spec.evaluation.split, spec.trains) == (Split.VALIDATION, False)
    assert RunSpec.model_validate_json(spec.model_dump_json()) == RunSpec.model_validate(spec.model_dump())


def test_a_trial_on_the_test_split_is_refused() -> None:
    with pytest.raises(ValidationError, match="tried on the validation split, never on test"):
        trial(Arm.ZERO_SHOT, split=Split.TEST)


@pytest.mark.parametrize(
    ("arm", "said"), [(Arm.RAG, "not with rag"), (Arm.LORA, "cannot measure lora"), (Arm.RAG_LORA, "measure rag_lora")]
)
def test_a_trial_with_anything_but_a_prompt_is_refused(arm: Arm, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        trial(Arm.ZERO_SHOT, arm)
