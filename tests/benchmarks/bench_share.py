"""The share of the best matrix product of this machine that training reaches, in less time than `trainer` takes.

`python -m tests.benchmarks share`. The sample job cut to its first steps, on whatever machine this is. The rows name
the number format, for where products are quicker and all between them is not, the same code reaches a smaller share.
"""

import os
import tempfile
from pathlib import Path

from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm
from tests.benchmarks.bench_trainer import quickest, share_rows, write_run_folder
from tests.benchmarks.ceiling import measured_ceiling
from tests.benchmarks.table import Row
from tests.shipped import run_python

STEPS = 30
PROMISED = 0.60


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold the device and the best product by number format."""
    run_python("-m", "playbook.trainer.sample_model")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        spec = write_run_folder(folder)
        training = spec.training.model_copy(update={"max_steps": STEPS})
        evaluation = spec.evaluation.model_copy(update={"arms": (Arm.LORA,)})
        short = spec.model_copy(update={"training": training, "evaluation": evaluation})
        (folder / "spec.json").write_text(short.model_dump_json(), encoding="utf-8")
        ceiling = measured_ceiling()
        run_python("-m", "playbook.trainer", str(folder))
        report = Report.model_validate_json((folder / "report.json").read_bytes())
    assert report.training is not None
    name = f"training in {quickest(ceiling)}"
    rows = [
        Row(name, report.training.tokens / report.training.seconds, "tokens/s"),
        *share_rows(name, report, ceiling, at_least=PROMISED),
    ]
    return rows, {
        "device": report.device,
        "steps": STEPS,
        "matmul_ceiling_flops": ceiling,
        "load_average_at_end": os.getloadavg(),
    }
