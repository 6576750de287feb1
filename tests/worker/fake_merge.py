"""What the fake trainer does with a merge: it checks what it got, and leaves a merged model that says how it did."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from playbook.contracts.events import Ended
from playbook.contracts.merging import MergeCheck, MergeSpec
from playbook.contracts.metrics import Metric
from playbook.contracts.report import Report
from playbook.contracts.states import EndReason


def merge(run_dir: Path) -> NoReturn:
    """Write `artifacts/merged` and end."""
    spec = MergeSpec.model_validate_json((run_dir / "spec.json").read_bytes())
    assert (run_dir / "inputs" / "adapter" / "adapter_model.safetensors").is_file()
    report = Report.model_validate_json((run_dir / "inputs" / "report.json").read_bytes())
    assert report.spec == spec.run
    merged = run_dir / "artifacts" / "merged"
    merged.mkdir(parents=True)
    (merged / "model.safetensors").write_bytes(b"all weights")
    check = MergeCheck(metric=Metric.EXACT_MATCH, rows=1, adapter_right=1, merged_right=1, differing=0)
    (merged / "manifest.json").write_text(json.dumps({"merge_check": check.model_dump(mode="json")}))
    ended = Ended(at=datetime.now(UTC), reason=EndReason.COMPLETED, message=str(check))
    with (run_dir / "events.jsonl").open("ab") as file:
        file.write(ended.model_dump_json().encode() + b"\n")
    sys.exit(0)
