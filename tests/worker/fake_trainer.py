"""A trainer that learns nothing, in a tenth of a second: it keeps the trainer's contract with the worker.

The base model's id says what it does: `ok`, or one of the ways to fail below. It waits after the step named in
`RUN_DIR/../wait-after-<step>` until `RUN_DIR/../go` exists, so that tests need not guess at times.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from playbook.contracts import events
from playbook.contracts.events import Event
from playbook.contracts.report import ArmReport, ItemResult, Overlap, Report, Score
from playbook.contracts.run_spec import Arm, RunSpec
from playbook.contracts.states import EndReason, Stage
from tests.worker import fake_merge, fake_playground

parser = argparse.ArgumentParser()
parser.add_argument("run_dir", type=Path)
parser.add_argument("--models-dir", type=Path, required=True)
parser.add_argument("--max-lease-age", type=float, required=True)
options = parser.parse_args()
run_dir: Path = options.run_dir
kind = json.loads((run_dir / "spec.json").read_bytes()).get("kind")
if kind == "playground":
    fake_playground.serve(run_dir)
if kind == "merge":
    fake_merge.merge(run_dir)
spec = RunSpec.model_validate_json((run_dir / "spec.json").read_bytes())
how = spec.base_model.id


def now() -> datetime:
    return datetime.now(UTC)


def emit(event: Event) -> None:
    with (run_dir / "events.jsonl").open("ab") as file:
        file.write(event.model_dump_json().encode() + b"\n")


def end(reason: EndReason, message: str) -> None:
    emit(events.Ended(at=now(), reason=reason, message=message))
    sys.exit(0 if reason is EndReason.COMPLETED else 1)


def stop(number: int, frame: object) -> None:
    if how == "measuring":
        write_report(partial=True)
    end(EndReason.CANCELLED_BY_USER, "stopped")


def train(first: int) -> None:
    gates = {int(path.name.rpartition("-")[2]) for path in run_dir.parent.glob("wait-after-*")}
    for step in range(first, spec.training.max_steps + 1):
        emit(events.MetricPoint(at=now(), step=step, values={"train_loss": 1 / step}))
        if step % spec.training.save_steps == 0:
            save(step)
        while step in gates and not (run_dir.parent / "go").exists():
            time.sleep(0.02)


def save(step: int) -> None:
    name = f"step-{step:06d}"
    folder = run_dir / "checkpoints" / name
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights of step %d" % step)
    (folder / "state.json").write_text(json.dumps({"step": step}))
    emit(events.CheckpointSaved(at=now(), step=step, name=name))


def write_results() -> None:
    if how == "whole-model":
        (run_dir / "artifacts" / "model").mkdir(parents=True)
        (run_dir / "artifacts" / "model" / "model.safetensors").write_bytes(b"all weights")
        write_report(partial=False)
        return
    write_adapter()
    if how != "no-report":
        write_report(partial=False)


def write_adapter() -> None:
    adapter = run_dir / "artifacts" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / ("adapter_model.bin" if how == "pickle" else "adapter_model.safetensors")).write_bytes(b"weights")


def write_report(*, partial: bool) -> None:
    report = Report(
        spec=spec,
        arms=() if partial else tuple(failed_arm(arm) for arm in spec.evaluation.arms),
        comparisons=(),
        training=None,
        overlap=Overlap(shared_rows=0, shared_templates=None, test_templates=None),
        device="cpu",
        versions={},
        started_at=now(),
        finished_at=now(),
        partial=partial,
    )
    (run_dir / "report.json").write_text("{}" if how == "bad-report" else report.model_dump_json())


def failed_arm(arm: Arm) -> ArmReport:
    """An arm that answered nothing: this trainer has no model."""
    items = tuple(
        ItemResult(
            index=index,
            prompt=(),
            expected="",
            output="",
            correct=False,
            json_valid=False,
            prompt_tokens=0,
            output_tokens=0,
            natural_stop=False,
            error="no model",
        )
        for index in range(spec.measured_rows.rows)
    )
    score = Score(metric=spec.evaluation.metric, successes=0, n=len(items), value=0, low=0, high=1)
    return ArmReport(arm=arm, items=items, scores=(score,), seconds=0)


signal.signal(signal.SIGTERM, stop)
(run_dir / "pid").write_text(str(os.getpid()))
print("fake trainer", how, "token" if "PLAYBOOK_WORKER_TOKEN" in os.environ else "no token")
emit(events.StageStarted(at=now(), stage=Stage.DATA))
for file in spec.inputs:
    assert (run_dir / "inputs" / file.name).stat().st_size == file.size_bytes
if how == "crash":
    raise RuntimeError("the fake trainer fell over")
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "out-of-memory":
    end(EndReason.OUT_OF_MEMORY, "Memory ran out in step 0.")
if how == "lease-lost":
    end(EndReason.LEASE_LOST, "lease was last renewed 600 s ago")
if how == "bad-event":
    with (run_dir / "events.jsonl").open("ab") as broken:
        broken.write(b'{"kind": "party"}\n')
    time.sleep(60)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    for own_session in (False, True):
        grandchild = subprocess.Popen([sys.executable, "-c", child], start_new_session=own_session)
        (run_dir / f"grandchild-{own_session}").write_text(str(grandchild.pid))
    emit(events.Log(at=now(), message="grandchildren started"))
    time.sleep(60)
saved = sorted((run_dir / "checkpoints").glob("step-*"))
first_step = json.loads((saved[-1] / "state.json").read_text())["step"] + 1 if saved else 1
emit(events.Log(at=now(), message=f"from step {first_step}"))
emit(events.StageStarted(at=now(), stage=Stage.TRAINING))
train(first_step)
if how == "out-of-memory-measuring":
    write_adapter()
    write_report(partial=True)
    end(EndReason.OUT_OF_MEMORY, "Memory ran out while answers were measured.")
write_results()
end(EndReason.COMPLETED, "done")
