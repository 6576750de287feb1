"""Adapter and base as one model, on demand: measured again, and loaded by transformers alone."""

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from playbook.contracts.events import Progress
from playbook.contracts.merging import MergeCheck, MergeSpec, ReportFile
from playbook.contracts.playground import AdapterFile
from playbook.contracts.states import EndReason
from playbook.trainer.folder import RunFolder
from playbook.trainer.merge import main
from playbook.trainer.prepare import read_spec
from tests.trainer.conftest import MakeRun, Train, ended, events_of, report_of
from tests.trainer.test_ends import at, fails
from tests.trainer.test_methods import FEW, logits_of


def test_the_merged_model_answers_as_the_adapter_and_is_measured_again(
    make_run: MakeRun, train: Train, tiny_models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(training=FEW)
    train(folder)
    capsys.readouterr()

    assert main([str(folder), "--models-dir", str(tiny_models_dir)]) == 0

    merged = folder / "artifacts" / "merged"
    said = capsys.readouterr().out
    check = json.loads((merged / "manifest.json").read_text())["merge_check"]
    right = sum(item.correct for item in report_of(folder).arms[1].items)
    assert check == {
        "metric": "exact_match", "rows": 4, "adapter_right": right, "merged_right": right, "differing": 0,
    }  # fmt: skip
    assert "exact_match: adapter 0 of 4, merged 0 of 4; 0 of 4 answers differ." in said
    assert not list(merged.glob("adapter*"))
    card = (merged / "README.md").read_text()
    assert "base_model_relation: finetune" in card
    assert "library_name: transformers" in card
    assert card.count("answers differ") == 1


def test_transformers_loads_the_merged_model_by_itself(make_run: MakeRun, train: Train, tiny_models_dir: Path) -> None:
    folder = make_run(training=FEW)
    train(folder)
    main([str(folder), "--models-dir", str(tiny_models_dir)])

    merged, base = folder / "artifacts" / "merged", tiny_models_dir / "tiny-llama"
    tuned, untuned = (logits_of(AutoModelForCausalLM.from_pretrained(path), base) for path in (merged, base))
    assert (tuned - untuned).abs().max() > 0.01
    assert torch.isfinite(tuned).all()


@pytest.mark.parametrize("given", [{"method": "full"}, {"evaluation": {"arms": ["zero_shot"], "max_new_tokens": 4}}])
def test_a_run_without_an_adapter_has_nothing_to_merge(
    make_run: MakeRun, train: Train, tiny_models_dir: Path, capsys: pytest.CaptureFixture[str], given: dict[str, str]
) -> None:
    folder = make_run(training={"max_steps": 1}, **given)
    train(folder)

    assert main([str(folder), "--models-dir", str(tiny_models_dir)]) == 1

    assert "artifacts/adapter is not there: only a run that completed with an adapter" in capsys.readouterr().err


def as_a_worker_would(run: Path, merge: Path) -> Path:
    """Fill a run folder with a merge of what another run left."""
    shutil.copytree(run / "inputs", merge / "inputs")
    shutil.copytree(run / "artifacts" / "adapter", merge / "inputs" / "adapter")
    shutil.copy(run / "report.json", merge / "inputs" / "report.json")
    spec = MergeSpec(
        run=read_spec(RunFolder(run)),
        adapter=AdapterFile(sha256="0" * 64, size_bytes=1),
        report=ReportFile(sha256="0" * 64, size_bytes=1),
    )
    (merge / "spec.json").write_text(spec.model_dump_json())
    return merge


def test_a_merge_that_the_site_asked_for_tells_its_events_and_its_check(
    make_run: MakeRun, train: Train, tmp_path: Path
) -> None:
    run = make_run(training=FEW)
    train(run)
    merge = as_a_worker_would(run, tmp_path / "merge")

    assert train(merge) == 0

    merged = merge / "artifacts" / "merged"
    check = MergeCheck.model_validate(json.loads((merged / "manifest.json").read_text())["merge_check"])
    assert (check.rows, check.differing) == (4, 0)
    assert (ended(merge).reason, ended(merge).message) == (EndReason.COMPLETED, str(check))
    progress = [(event.done, event.total) for event in events_of(merge) if isinstance(event, Progress)]
    assert progress[-1] == (4, 4)
    assert (merged / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("function", "error", "reason", "advice"),
    [
        ("_measure", MemoryError(), EndReason.OUT_OF_MEMORY, "use a worker with more memory."),
        ("_describe", OSError(errno.ENOSPC, "No space left on device"), EndReason.DISK_FULL, "and launch again."),
    ],
)
def test_a_merge_that_finds_no_room_or_memory_leaves_no_model_that_was_not_measured(
    make_run: MakeRun,
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    error: Exception,
    reason: EndReason,
    advice: str,
) -> None:
    run = make_run(training={"max_steps": 1})
    train(run)
    folder = as_a_worker_would(run, tmp_path / "merge")
    at(("merge", function, 1), fails(error), monkeypatch)

    assert train(folder) == 1

    assert ended(folder).reason is reason
    assert ended(folder).message.endswith(advice)
    assert not (folder / "artifacts").exists() or not list((folder / "artifacts").iterdir())


def test_a_merge_without_its_report_is_an_input_mismatch(make_run: MakeRun, train: Train, tmp_path: Path) -> None:
    run = make_run(training={"max_steps": 1})
    train(run)
    merge = as_a_worker_would(run, tmp_path / "merge")
    (merge / "inputs" / "report.json").unlink()

    assert train(merge) == 1

    assert ended(merge).reason is EndReason.INPUT_MISMATCH
    assert "report.json is not among the inputs" in ended(merge).message
