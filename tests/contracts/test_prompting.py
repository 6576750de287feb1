"""How a model is asked: templates, document files, and specs from before these settings existed."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from playbook.contracts.dataset import Split
from playbook.contracts.documents import BadDocuments, Document, read_documents
from playbook.contracts.prompting import PromptSettings, RetrievalSettings, WrittenExample
from playbook.contracts.run_spec import Arm, EvaluationSettings, RunSpec

SHA = "0" * 64
INPUTS = [{"split": split, "sha256": SHA, "size_bytes": 9, "rows": 1} for split in Split]
DOCUMENTS = {"sha256": SHA, "size_bytes": 9, "documents": 1}


def make_spec(**settings: Any) -> RunSpec:
    return RunSpec.model_validate({"base_model": {"id": "tiny"}, "inputs": INPUTS, **settings})


def test_a_spec_from_before_prompts_and_documents_still_parses() -> None:
    text = json.dumps(
        {
            "base_model": {"id": "tiny", "revision": None},
            "seed": 7,
            "lora": {"r": 16},
            "training": {"max_steps": 30},
            "evaluation": {
                "arms": ["zero_shot", "lora"],
                "metric": "exact_match",
                "max_new_tokens": 48,
                "batch_size": 20,
                "few_shot_examples": 4,
            },
            "schema_version": 1,
            "inputs": INPUTS,
        }
    )

    spec = RunSpec.model_validate_json(text)

    assert (spec.prompt, spec.retrieval, spec.documents) == (PromptSettings(), RetrievalSettings(), None)
    assert (spec.evaluation.split, spec.evaluation.repeats, spec.prompt.changes_rows) == (Split.TEST, 1, False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": {"user_template": "Answer!"}}, "the template must hold {input}"),
        ({"retrieval": {"passages_template": "{input}"}}, "the template must hold {passages}"),
        ({"retrieval": {"retriever": "embedding"}}, "needs embedding_model"),
        ({"evaluation": {"arms": ["rag"]}}, "rag: there are no documents to search"),
        ({"evaluation": {"arms": ["rag_lora", "rag"]}}, "rag_lora, rag: there are no documents"),
        ({"retrieval": {"in_training": True}}, "in_training: there are no documents"),
        ({"evaluation": {"split": "validation"}}, "cannot measure lora"),
        ({"evaluation": {"split": "train"}}, "Input should be"),
        ({"documents": DOCUMENTS | {"size_bytes": 50_000_001}}, "less than or equal to 50000000"),
        ({"documents": DOCUMENTS | {"size_bytes": 0}}, "greater than or equal to 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_spec(**given)
    assert words in str(refused.value)


def test_a_prompt_is_measured_on_the_validation_split_without_tuning() -> None:
    spec = make_spec(evaluation={"arms": ["zero_shot", "few_shot"], "split": "validation"})
    assert (spec.evaluation.split, spec.trains, spec.retrieves) == (Split.VALIDATION, False, False)


def test_what_a_spec_needs_follows_from_its_arms() -> None:
    spec = make_spec(evaluation={"arms": ["zero_shot", "rag", "rag_lora"]}, documents=DOCUMENTS)
    assert (spec.trains, spec.retrieves) == (True, True)
    assert [(arm.is_tuned, arm.retrieves) for arm in Arm] == [
        (False, False),
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]


def test_each_version_of_a_prompt_has_its_own_digest() -> None:
    prompts = [
        PromptSettings(),
        PromptSettings(system="Be brief."),
        PromptSettings(user_template="{input}!"),
        PromptSettings(examples=(WrittenExample(user="2 + 2?", assistant="4"),)),
    ]
    assert len({prompt.digest for prompt in prompts}) == 4
    assert PromptSettings(system="Be brief.").digest == prompts[1].digest
    assert [prompt.changes_rows for prompt in prompts] == [False, True, True, True]


def test_documents_are_read_line_by_line() -> None:
    lines = [b'{"id": "a", "title": "A", "text": "First."}\n', b"\n", b'{"id": "b", "text": "Second."}']
    assert read_documents(lines) == (Document(id="a", title="A", text="First."), Document(id="b", text="Second."))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file holds no document"),
        (b"\n\n", "the file holds no document"),
        (b"oops\n", "line 1: not JSON"),
        (b'["a"]\n', "line 1: the line: "),
        (b'{"id": "a"}\n', "line 1: text: Field required"),
        (b'{"id": "a", "text": 3}\n', "line 1: text: Input should be a valid string"),
        (b'{"id": "a", "text": " \\n "}\n', "line 1: document 'a' has no text"),
        (b'{"id": "a", "text": "\\ud800"}\n', "unable to parse raw data as a unicode string"),
        (b'{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n', "line 2: the id 'a' was used before"),
        (b"{}\n" * 7, "; and 2 more"),
        (b"[" * 100_000, "line 1: not JSON"),
    ],
)
def test_bad_documents_are_refused_by_line(content: bytes, words: str) -> None:
    with pytest.raises(BadDocuments) as refused:
        read_documents(content.splitlines())
    assert words in str(refused.value)


def test_arms_of_the_evaluation_are_distinct() -> None:
    with pytest.raises(ValidationError, match="without repeats"):
        EvaluationSettings(arms=(Arm.RAG, Arm.RAG))
