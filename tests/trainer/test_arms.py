"""Whole runs of the prompt arms on a tiny model: what each asks, repeats, failed rows, and a cancel on the way."""

import json
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from playbook.contracts.events import Configured, Preflight
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.report import ArmReport, Report
from playbook.contracts.run_spec import Arm, Metric
from playbook.contracts.states import EndReason
from playbook.trainer import generate
from playbook.trainer.generate import Generated, Generator
from tests.trainer.conftest import (
    TINY_ID,
    TRAIN_ROWS,
    VALIDATION_ROWS,
    MakeRun,
    Train,
    ended,
    events_of,
    events_so_far,
    meanwhile,
    report_of,
    row,
    sample_rows,
    warnings_of,
)

DOCUMENTS = b"".join(
    json.dumps({"id": f"n{n}", "title": "Facts", "text": f"The code of {n} is {n * 7}."}).encode() + b"\n"
    for n in (200, 201, 202, 300)
)
ALL_ARMS = ["zero_shot", "few_shot", "rag", "lora", "rag_lora"]


def arm_of(report: Report, arm: Arm) -> ArmReport:
    found = report.arm(arm)
    assert found is not None
    return found


def asked(report: Report, arm: Arm, *, row: int = 0) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in arm_of(report, arm).items[row].prompt]


@pytest.mark.parametrize("training", [True, False])
def test_every_arm_is_measured_in_float32_where_that_is_asked(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch, training: bool
) -> None:
    monkeypatch.setattr("playbook.trainer.preflight.faster_dtype", lambda device: "bfloat16")
    asked_in = []

    def answer(generator: Generator, prompts: Sequence[tuple[int, ...]]) -> Iterator[dict[int, Generated]]:
        asked_in.append(generator.model.dtype)
        return generate.answer(generator, prompts)

    monkeypatch.setattr("playbook.trainer.evaluate.answer", answer)
    arms = ["zero_shot", "lora"] if training else ["zero_shot", "few_shot"]
    folder = make_run(evaluation={"arms": arms, "evaluation_dtype": "float32"}, training={"max_steps": 1})

    assert train(folder) == 0

    assert asked_in == [torch.float32, torch.float32]
    summary = report_of(folder).training
    if training:
        assert summary is not None
        assert summary.export is not None
        assert summary.export.largest_logit_difference < 1e-4
        manifest = json.loads((folder / "artifacts" / "adapter" / "manifest.json").read_bytes())
        assert manifest["compute_dtype"] == "float32"


def test_every_arm_is_measured_in_one_run_on_the_same_rows(make_run: MakeRun, train: Train) -> None:
    folder = make_run(
        documents=DOCUMENTS,
        evaluation={"arms": ALL_ARMS, "few_shot_examples": 1},
        retrieval={"top_k": 1, "passages_template": "{passages} / {input}"},
        training={"max_steps": 1},
    )

    assert train(folder) == 0

    report = report_of(folder)
    assert [arm.arm for arm in report.arms] == ALL_ARMS
    assert [[item.index for item in arm.items] for arm in report.arms] == [[0, 1, 2, 3]] * 5
    assert asked(report, Arm.ZERO_SHOT) == asked(report, Arm.LORA) == [("user", "say xxxx 200")]
    with_passage = [("user", "Facts: The code of 200 is 1400. / say xxxx 200")]
    assert asked(report, Arm.RAG) == asked(report, Arm.RAG_LORA) == with_passage
    assert asked(report, Arm.RAG, row=3) == asked(report, Arm.ZERO_SHOT, row=3), "nothing was found for it"
    assert [role for role, _ in asked(report, Arm.FEW_SHOT)] == ["user", "assistant", "user"]
    retrieval = arm_of(report, Arm.RAG).retrieval
    assert retrieval is not None
    assert (retrieval.documents, retrieval.passages, retrieval.retriever, retrieval.top_k) == (4, 4, "bm25", 1)
    assert (report.arms[0].retrieval, report.arms[1].shots, report.arms[1].shot_selection) == (None, 1, "seed")
    assert all(item.latency_seconds is not None for arm in report.arms for item in arm.items)
    assert [arm.batch_size for arm in report.arms] == [3] * 5
    configured = [event for event in events_of(folder) if isinstance(event, Configured)]
    assert len(configured) == 1, "the base model was loaded more than once"


def test_train_rows_carry_passages_when_the_spec_asks_for_it(make_run: MakeRun, train: Train) -> None:
    train_rows = [row(f"say {n}", json.dumps({"n": n})) for n in (200, 201, 300)]
    retrieval = {"top_k": 1, "in_training": True}
    folder = make_run(
        train=train_rows,
        documents=DOCUMENTS,
        evaluation={"arms": ["lora", "rag_lora"]},
        retrieval=retrieval,
        training={"max_steps": 1},
    )

    assert train(folder) == 0

    samples = next(event for event in events_of(folder) if isinstance(event, Preflight)).samples
    assert "Facts: The code of 200 is 1400." in "".join(token.text for token in samples[0].tokens)
    assert [text for text in warnings_of(folder) if "the lora arm is asked without any" in text]


def test_a_prompt_is_used_alike_in_training_and_in_every_arm(make_run: MakeRun, train: Train) -> None:
    prompt = {"system": "Only JSON.", "user_template": "Row: {input}"}
    folder = make_run(prompt=prompt, evaluation={"arms": ["zero_shot", "lora"]}, training={"max_steps": 1})

    assert train(folder) == 0

    report = report_of(folder)
    expected = [("system", "Only JSON."), ("user", "Row: say xxxx 200")]
    assert asked(report, Arm.ZERO_SHOT) == asked(report, Arm.LORA) == expected
    assert report.arms[0].prompt_sha256 == PromptSettings(**prompt).digest
    sample = next(event for event in events_of(folder) if isinstance(event, Preflight)).samples[0]
    read = "".join(token.text for token in sample.tokens)
    assert read.startswith("<|im_start|>system\nOnly JSON.<|im_end|>\n<|im_start|>user\nRow: say ")


def test_nearest_examples_are_chosen_for_each_question(make_run: MakeRun, train: Train) -> None:
    rows = [row("the red fox", "1"), row("a blue whale", "2"), row("one green frog", "3")]
    test = [row("where is the blue whale", "2"), row("that green frog", "3")]
    evaluation = {"arms": ["few_shot"], "few_shot_examples": 2, "few_shot_choice": "nearest"}
    folder = make_run(train=rows, test=test, evaluation=evaluation)

    assert train(folder) == 0

    report = report_of(folder)
    assert [content for _, content in asked(report, Arm.FEW_SHOT)][2:] == [
        "a blue whale",
        "2",
        "where is the blue whale",
    ]
    assert [content for _, content in asked(report, Arm.FEW_SHOT, row=1)][2:] == [
        "one green frog",
        "3",
        "that green frog",
    ]
    assert report.arms[0].shot_selection == "nearest"


@pytest.mark.parametrize("choice", ["seed", "nearest"])
def test_a_train_row_that_is_held_out_too_is_never_an_example(make_run: MakeRun, train: Train, choice: str) -> None:
    test = sample_rows(3, start=9)  # rows 9, 10 and 11 are train rows
    evaluation = {"arms": ["few_shot"], "few_shot_examples": 12, "few_shot_choice": choice, "max_new_tokens": 1}
    folder = make_run(test=test, validation=sample_rows(2, start=300), evaluation=evaluation)

    train(folder)

    examples = {content for role, content in asked(report_of(folder), Arm.FEW_SHOT)[:-1] if role == "user"}
    assert examples == {item["messages"][0]["content"] for item in TRAIN_ROWS[:9]}


def test_hand_written_examples_replace_train_rows_and_may_not_repeat_a_held_out_row(
    make_run: MakeRun, train: Train
) -> None:
    written = [{"user": "say 1", "assistant": '{"n": 1}'}, {"user": "say 2", "assistant": '{"n": 2}'}]
    good = make_run(prompt={"examples": written}, evaluation={"arms": ["few_shot"]}, name="good")
    leak = [{"user": " Say  XXXX 200", "assistant": "1"}]
    bad = make_run(prompt={"examples": leak}, evaluation={"arms": ["few_shot"]}, name="bad")

    assert (train(good), train(bad)) == (0, 1)

    report = report_of(good)
    assert [content for _, content in asked(report, Arm.FEW_SHOT)][:4] == ["say 1", '{"n": 1}', "say 2", '{"n": 2}']
    assert (report.arms[0].shots, report.arms[0].shot_selection) == (2, "written")
    assert ended(bad).reason is EndReason.INVALID_SPEC
    assert "example 1 asks what line 1 of test.jsonl asks" in ended(bad).message


def test_repeats_draw_other_examples_and_keep_the_scores(make_run: MakeRun, train: Train) -> None:
    evaluation = {"arms": ["zero_shot", "few_shot"], "few_shot_examples": 2, "repeats": 3}
    folder = make_run(evaluation=evaluation, seed=5)

    assert train(folder) == 0

    few = arm_of(report_of(folder), Arm.FEW_SHOT)
    assert [repeat.seed for repeat in few.repeats] == [6, 7]
    assert [len(repeat.scores) for repeat in few.repeats] == [4, 4]
    assert report_of(folder).arms[0].repeats == ()
    expected = random.Random(5).sample(TRAIN_ROWS, 2)  # noqa: S311 - what the run draws
    shown = [content for role, content in asked(report_of(folder), Arm.FEW_SHOT)[:-1] if role == "user"]
    assert shown == [item["messages"][0]["content"] for item in expected]


def test_repeats_that_could_not_differ_are_not_run(make_run: MakeRun, train: Train) -> None:
    folder = make_run(evaluation={"arms": ["zero_shot"], "repeats": 3})
    assert train(folder) == 0
    assert report_of(folder).arms[0].repeats == ()
    assert [text for text in warnings_of(folder) if text.startswith("repeats: 3 has no effect")]


def test_work_on_a_prompt_never_opens_the_test_split(make_run: MakeRun, train: Train) -> None:
    folder = make_run(evaluation={"arms": ["zero_shot", "few_shot"], "split": "validation", "few_shot_examples": 2})
    (folder / "inputs" / "test.jsonl").unlink()

    assert train(folder) == 0

    report = report_of(folder)
    assert [item.expected for item in report.arms[0].items] == [
        item["messages"][-1]["content"] for item in VALIDATION_ROWS
    ]
    preflight = next(event for event in events_of(folder) if isinstance(event, Preflight))
    assert sorted(preflight.splits) == ["train", "validation"]


def test_rows_that_an_arm_cannot_ask_are_failed_and_counted(make_run: MakeRun, train: Train) -> None:
    documents = json.dumps({"id": "a", "text": f"say xxxx 200 {'y' * 250}."}).encode()
    folder = make_run(documents=documents, evaluation={"arms": ["zero_shot", "rag"]}, retrieval={"top_k": 1})

    assert train(folder) == 0

    zero, rag = report_of(folder).arms
    assert [item.error is None for item in zero.items] == [True] * 4
    assert ("the rag prompt has" in (rag.items[0].error or ""), rag.items[0].correct, rag.items[0].score) == (
        True,
        False,
        0,
    )
    assert (rag.scores[0].n, len(rag.failed) >= 1) == (4, True)
    assert [text for text in warnings_of(folder) if text.startswith("rag: test.jsonl, line")]


def test_perplexity_is_that_of_the_expected_answers(make_run: MakeRun, train: Train) -> None:
    evaluation = {"arms": ["zero_shot"], "metric": "perplexity", "secondary_metrics": []}
    folder = make_run(evaluation=evaluation)

    assert train(folder) == 0

    arm = report_of(folder).arms[0]
    tokens = [len(item.expected.encode()) + 1 for item in arm.items]  # bytes, and the end of the turn
    assert [item.expected_tokens for item in arm.items] == tokens
    # A random model finds each of its 259 tokens about equally likely.
    assert 150 < arm.score(Metric.PERPLEXITY).value < 450


def test_one_test_row_is_enough_for_a_report(make_run: MakeRun, train: Train) -> None:
    folder = make_run(test=sample_rows(1, start=200), evaluation={"arms": ["zero_shot"]})
    assert train(folder) == 0
    assert report_of(folder).arms[0].scores[0].n == 1


@pytest.fixture
def cancel_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Send this process SIGTERM, as the worker would, once so many batches were answered."""

    def after(batches: int) -> None:
        real, seen = generate.generate, 0

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen > batches:
                signal.raise_signal(signal.SIGTERM)
            return real(*args, **kwargs)

        monkeypatch.setattr(generate, "generate", counted)

    return after


def test_a_cancel_during_the_evaluation_keeps_what_was_measured(
    make_run: MakeRun, train: Train, cancel_after: Callable[[int], None]
) -> None:
    folder = make_run(evaluation={"arms": ["zero_shot", "few_shot", "lora"]}, training={"max_steps": 1})
    cancel_after(3)  # two batches an arm: one of few_shot is answered

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.CANCELLED_BY_USER
    report = report_of(folder)
    assert report.partial
    assert [(arm.arm, arm.partial, len(arm.items)) for arm in report.arms] == [
        (Arm.ZERO_SHOT, False, 4),
        (Arm.FEW_SHOT, True, 3),
    ]
    assert (report.comparisons, report.retention) == ((), None)
    assert report.training is not None
    assert report.arms[1].scores[0].n == 3


def test_a_cancel_before_the_first_answer_leaves_no_report(
    make_run: MakeRun, train: Train, cancel_after: Callable[[int], None]
) -> None:
    folder = make_run(evaluation={"arms": ["zero_shot"]})
    cancel_after(0)

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.CANCELLED_BY_USER
    assert not (folder / "report.json").exists()


def test_the_embedding_retriever_reads_a_local_model_and_refuses_without_one(
    make_run: MakeRun, train: Train, tiny_models_dir: Path
) -> None:
    embedding = {"retriever": "embedding", "top_k": 2}
    found = make_run(
        documents=DOCUMENTS,
        evaluation={"arms": ["rag"]},
        retrieval=embedding | {"embedding_model": TINY_ID},
        name="found",
    )
    missing = make_run(
        documents=DOCUMENTS,
        evaluation={"arms": ["rag"]},
        retrieval=embedding | {"embedding_model": "org/not-here"},
        name="missing",
    )

    assert (train(found), train(missing)) == (0, 1)

    report = report_of(found)
    retrieval = arm_of(report, Arm.RAG).retrieval
    assert retrieval is not None
    assert retrieval.retriever == TINY_ID
    assert asked(report, Arm.RAG)[0][1].count("The code of") == 2
    assert ended(missing).reason is EndReason.BASE_MODEL_MISSING
    assert "search with retriever: bm25, which needs no model" in ended(missing).message


def test_a_sigterm_in_the_middle_of_an_arm_leaves_a_partial_report(make_run: MakeRun, train: Train) -> None:
    rows = sample_rows(400, start=200)
    evaluation = {"arms": ["zero_shot"], "max_new_tokens": 60, "batch_size": 2}
    folder = make_run(test=rows, evaluation=evaluation)
    with meanwhile(
        lambda: any(event.kind == "progress" and event.stage == "evaluation" for event in events_so_far(folder))
    ):
        assert train(folder) == 1
    report = report_of(folder)
    assert (report.partial, report.arms[0].partial) == (True, True)
    assert 2 <= len(report.arms[0].items) < 400
