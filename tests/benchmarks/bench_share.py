"""The share of the quickest matrix product of this machine that training reaches, in less time than `trainer` takes.

`python -m tests.benchmarks share`. The sample job cut to its first steps, on whatever machine this is, and the same job
with four times the rows a step: what a step costs beside its products does not grow with them. The rows name the number
format, for where products are quicker and all between them is not, the same code reaches a smaller share; each has a
result file of its own. What rows begin with alike counts as computed, once: tokens/s are those of the rows.
"""

import os
import tempfile
from pathlib import Path

from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm
from tests.benchmarks.bench_trainer import quickest, share_rows, write_run_folder
from tests.benchmarks.ceiling import between, measured_ceiling
from tests.benchmarks.table import Row
from tests.shipped import run_python

STEPS = 20
#: Rows that are answered afterwards, which is not measured here.
_ANSWERED = 4
#: How many times the rows of the sample job a step has.
_TIMES = (1, 4)
PROMISED = 0.60


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold the device and what the quickest product reached, before and after each run."""
    run_python("-m", "playbook.trainer.sample_model")
    rows, ceilings = [], [measured_ceiling()]
    for times in _TIMES:
        report = _trained(times)
        ceilings.append(measured_ceiling())
        rows += _rows(report, between(*ceilings[-2:]))
    return rows, {
        "kind": quickest(ceilings[0]),
        "device": report.device,
        "steps": STEPS,
        "matmul_ceiling_flops": ceilings,
        "load_average_at_end": os.getloadavg(),
    }


def _trained(times: int) -> Report:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        spec = write_run_folder(folder, test_rows=_ANSWERED)
        size = spec.training.per_device_train_batch_size * times
        training = spec.training.model_copy(update={"max_steps": STEPS, "per_device_train_batch_size": size})
        evaluation = spec.evaluation.model_copy(update={"arms": (Arm.LORA,)})
        short = spec.model_copy(update={"training": training, "evaluation": evaluation})
        (folder / "spec.json").write_text(short.model_dump_json(), encoding="utf-8")
        run_python("-m", "playbook.trainer", str(folder))
        return Report.model_validate_json((folder / "report.json").read_bytes())


def _rows(report: Report, ceiling: dict[str, float]) -> list[Row]:
    training = report.training
    assert training is not None
    rows = report.spec.training.per_device_train_batch_size
    name = f"training on {rows} rows a step in {quickest(ceiling)}"
    return [
        Row(name, training.tokens / training.seconds, "tokens/s"),
        *share_rows(name, report, ceiling, at_least=PROMISED),
    ]
