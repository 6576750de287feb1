"""A merge: the adapter of a finished run and its base made into one model, by a worker, because a person asked for it.

A unit of work that is claimed like a job. The worker gets the run's splits, its adapter and its report; the trainer
writes `artifacts/merged/`, reads it back, answers the test split with it and says how the answers differ. What comes
back is `merged.zip`, whose `manifest.json` holds the `MergeCheck` as `merge_check`.
"""

from typing import Literal

from pydantic import Field

from playbook.contracts.metrics import Metric
from playbook.contracts.model import Frozen, Sha256
from playbook.contracts.playground import AdapterFile
from playbook.contracts.run_spec import RunSpec

#: The artifact, and the entry of it that holds the check.
MERGED, MANIFEST, CHECK = "merged.zip", "manifest.json", "merge_check"


class ReportFile(Frozen):
    """The report of the run, with the answers that the adapter gave: `RUN_DIR/inputs/report.json`."""

    sha256: Sha256 = Field(description="of report.json")
    size_bytes: int = Field(ge=1, description="of report.json")


class MergeSpec(Frozen):
    """What is merged, and what the merged model is held against."""

    kind: Literal["merge"] = Field(default="merge", description="tells a merge from a run")
    run: RunSpec = Field(description="the run that left the adapter")
    adapter: AdapterFile = Field(description="what is merged into the run's base model")
    report: ReportFile = Field(description="the answers of the adapter, row by row")


class MergeCheck(Frozen):
    """The merged model against the adapter on the test rows. `differing` counts rows whose answers are not the same."""

    metric: Metric
    rows: int = Field(ge=0)
    adapter_right: int = Field(ge=0)
    merged_right: int = Field(ge=0)
    differing: int = Field(ge=0)

    def __str__(self) -> str:
        return (
            f"{self.metric}: adapter {self.adapter_right} of {self.rows}, merged {self.merged_right} of {self.rows}; "
            f"{self.differing} of {self.rows} answers differ."
        )
