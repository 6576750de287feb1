"""What an adapter costs on the held-out answers, by one piece of code for every trainer: teacher-forced, in float32.

The last training loss of two trainers says little: other batches, other precision, other tokens counted.
"""

import contextlib
import os
import time
from pathlib import Path
from statistics import fmean

import torch
from peft import PeftModel

from playbook.contracts.run_spec import RunSpec
from playbook.scoring.bootstrap import mean_interval
from playbook.scoring.statistics import Interval
from playbook.trainer.emit import Emitter
from playbook.trainer.folder import RunFolder
from playbook.trainer.likelihood import likelihoods
from playbook.trainer.model import LoadedModel, load_base
from playbook.trainer.prepare import Run, prepare
from playbook.trainer.stop import Stop


def held_out_loss(folder: RunFolder, adapter: Path, *, models_dir: Path) -> list[float]:
    """Return the mean nats a token of each expected answer of the test split, in the rows' order."""
    spec = RunSpec.model_validate_json(folder.spec.read_bytes())
    stop = Stop(lease=folder.lease, max_lease_age_seconds=None)
    with contextlib.closing(Emitter(Path(os.devnull))) as emitter:
        prepared = prepare(Run(folder, spec, models_dir, emitter, stop, process_start=time.monotonic()))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base = load_base(prepared.source, device=device, dtype="float32", attention="sdpa")
    model = PeftModel.from_pretrained(base, adapter).eval()
    loaded = LoadedModel(model, spec.method, device, "float32", "sdpa", False, 0, 0)
    found = likelihoods(loaded, prepared.held, pad_id=prepared.tokenizer.pad_token_id, stop=stop)
    return [fmean(row.nats) for row in found]


def difference(ours: list[float], theirs: list[float]) -> Interval:
    """The 95 % interval of ours minus theirs over the same rows: nats a token, below 0 where ours is better."""
    return mean_interval([own - other for own, other in zip(ours, theirs, strict=True)], low=-20, high=20)
