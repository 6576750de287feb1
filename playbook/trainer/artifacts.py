"""Writes what a run leaves behind: the adapter in PEFT's format, and the report.

A folder is filled beside its final name and renamed, so whoever finds `artifacts/adapter` finds it whole.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import RunSpec
from playbook.trainer.checkpoint import ADAPTER_FILE, TrainingState
from playbook.trainer.folder import RunFolder

_CARD = """\
---
base_model: {base_model}
library_name: peft
tags: [lora]
---

# LoRA adapter for {base_model}

Rank {r}, alpha {alpha:g}, target modules {targets}. Trained for {steps} steps on {rows} rows, seed {seed}; final train
loss {train_loss:.4f}, validation loss {validation_loss}. The report of the run says how well it answers.

```python
from peft import AutoPeftModelForCausalLM
model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder")
```
"""


def save_adapter(folder: RunFolder, *, model: Any, tokenizer: Any, spec: RunSpec, state: TrainingState) -> None:
    """Write `RUN_DIR/artifacts/adapter/`: adapter, its configuration, tokenizer, chat template, card, manifest."""
    partial = folder.adapter.with_name(".adapter.partial")
    shutil.rmtree(partial, ignore_errors=True)
    # The id, not the folder on this machine: the adapter travels.
    model.peft_config["default"].base_model_name_or_path = spec.base_model.id
    model.save_pretrained(partial, safe_serialization=True, save_embedding_layers=False)
    tokenizer.save_pretrained(partial)
    (partial / "README.md").write_text(_card(spec, state), encoding="utf-8")
    manifest = {
        "base_model": spec.base_model.model_dump(),
        "spec_sha256": hashlib.sha256(spec.model_dump_json().encode()).hexdigest(),
        "inputs": {str(file.split): file.sha256 for file in spec.inputs},
        "steps": state.step,
        "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(partial.iterdir())},
    }
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder.adapter, ignore_errors=True)
    partial.rename(folder.adapter)


def _card(spec: RunSpec, state: TrainingState) -> str:
    targets = spec.lora.target_modules
    return _CARD.format(
        base_model=spec.base_model.id,
        r=spec.lora.r,
        alpha=spec.lora.lora_alpha,
        targets=targets if isinstance(targets, str) else ", ".join(targets),
        steps=state.step,
        rows=spec.input(Split.TRAIN).rows,
        seed=spec.seed,
        train_loss=state.final_train_loss,
        validation_loss=f"{state.validation_losses[-1]:.4f}",
    )


def merge_saved_adapter(folder: RunFolder, *, model: Any, device: Any) -> None:
    """Read the adapter back from its file and merge it into the base weights of `model`.

    The tuned arm then measures the exported file, not the tensors in memory (peft issue 2321: the two can differ).
    """
    set_peft_model_state_dict(model, load_file(folder.adapter / ADAPTER_FILE, device=str(device)))
    model.merge_adapter(safe_merge=True)


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the new one, never a half."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.rename(path)
