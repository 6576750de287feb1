"""Writes what a run leaves behind: the adapter in PEFT's format or the whole model, its card and manifest.

A folder is filled beside its final name and renamed, so whoever finds `artifacts/adapter` finds it whole. Card and
manifest are written with it, and once more when the evaluation has measured what they can then say.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from playbook.contracts.dataset import Split
from playbook.contracts.report import ArmReport, TrainingSummary
from playbook.contracts.run_spec import Method, RunSpec
from playbook.scoring.figures import counted
from playbook.trainer.folder import RunFolder, sha256_of
from playbook.trainer.model import LoadedModel, ModelSource
from playbook.trainer.model_folder import plain_files

ADAPTER_FILE = "adapter_model.safetensors"
_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "tokenizers")
#: What the Hub reads of a license.
_LICENSE_KEYS = ("license", "license_name", "license_link")
_PROJECT = Path(__file__).resolve().parents[2]

_USE = {
    True: """\
```python
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
```
""",
    False: """\
```python
from peft import AutoPeftModelForCausalLM
model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder")
```

The base model is found by its id: on the Hub, or in a folder of that name where the program is started.
""",
}


@dataclass(frozen=True)
class Description:
    """What card and manifest say. `chat_template_day`: what the template was told is today, if it asks. `arm`: how the
    tuned model did, None until it was measured. `commit_of_base`: of a model from the Hub."""

    spec: RunSpec
    source: ModelSource
    commit_of_base: str | None
    loaded: LoadedModel
    summary: TrainingSummary
    chat_template_day: str | None
    arm: ArmReport | None = None


def tuned_folder(folder: RunFolder, method: Method) -> Path:
    """Return where the tuned weights of a run lie: an adapter, or a whole model."""
    return folder.model if method is Method.FULL else folder.adapter


def save_tuned(folder: RunFolder, *, tokenizer: Any, described: Description, saved_dtype: torch.dtype) -> None:
    """Write `RUN_DIR/artifacts/adapter/` or `artifacts/model/`: weights, configuration, tokenizer, template, card,
    manifest. A whole model is saved in `saved_dtype`, that of the base model's files."""
    spec, model = described.spec, described.loaded.model
    target = tuned_folder(folder, spec.method)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        if spec.method is Method.FULL:
            model.to(saved_dtype).save_pretrained(partial)
        else:
            # The id, not the folder on this machine: the adapter travels.
            model.peft_config["default"].base_model_name_or_path = spec.base_model.id
            model.peft_config["default"].revision = spec.base_model.revision
            model.save_pretrained(partial, safe_serialization=True, save_embedding_layers=False)
        tokenizer.save_pretrained(partial)
        _describe(partial, described)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def describe(folder: RunFolder, described: Description) -> None:
    """Write card and manifest of the artifact anew, now that it has been measured."""
    _describe(tuned_folder(folder, described.spec.method), described)


def _describe(target: Path, described: Description) -> None:
    write_atomically(target / "README.md", _card(described))
    manifest = _manifest(described) | {
        "files": {
            file.name: sha256_of(file)
            for file in sorted(target.iterdir())
            if file.name != "manifest.json" and file.is_file()
        }
    }
    write_atomically(target / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def _manifest(described: Description) -> dict[str, Any]:
    spec, summary = described.spec, described.summary
    return {
        "spec": spec.model_dump(mode="json"),
        "spec_sha256": hashlib.sha256(spec.model_dump_json().encode()).hexdigest(),
        "seeds": {"adapter_initialisation": spec.seed, "data_order": spec.seed, "few_shot_choice": spec.seed},
        "base_model": spec.base_model.model_dump()
        | {"commit": described.commit_of_base, "files": _base_hashes(described.source)},
        "inputs": {str(file.split): file.sha256 for file in spec.inputs},
        "versions": versions(),
        "commit": project_commit(),
        "hardware": hardware(described.loaded.device),
        "chat_template_day": described.chat_template_day,
        "compute_dtype": described.loaded.compute_dtype,
        "attention": described.loaded.attention,
        "training": summary.model_dump(mode="json", exclude={"forecast"}),
        "predicted_and_actual": None if summary.forecast is None else summary.forecast.model_dump(mode="json"),
        "scores": [] if described.arm is None else [score.model_dump(mode="json") for score in described.arm.scores],
    }


@cache
def _base_hashes(source: ModelSource) -> dict[str, str]:
    """Return the SHA-256 of the base model's configurations, tokenizer and weights; of a Hub model its commit says as
    much."""
    if not source.is_local:
        return {}
    folder = Path(source.location)
    return {file.name: sha256_of(file) for file in (*plain_files(folder), *sorted(folder.glob("*.safetensors")))}


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}


def project_commit() -> str | None:
    """Return the commit of this project's checkout, or None outside a git repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_PROJECT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def hardware(device: torch.device) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "device": device_name(device),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    if device.type == "cuda":
        found["gpu_memory_bytes"] = torch.cuda.get_device_properties(device).total_memory
    return found


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


def _card(described: Description) -> str:
    """Return the model card: front matter as the Hub reads it, then what a person wants to know."""
    spec, summary = described.spec, described.summary
    whole = spec.method is Method.FULL
    front = yaml.safe_dump(_metadata(described), sort_keys=False, allow_unicode=True)
    targets = spec.lora.target_modules
    kind = [name for name, used in (("rsLoRA", spec.lora.use_rslora), ("DoRA", spec.lora.use_dora)) if used]
    how = (
        "All weights were trained."
        if whole
        else f"{' and '.join(kind) or 'LoRA'}, rank {spec.lora.r}, alpha {spec.lora.lora_alpha:g}, target modules "
        f"{targets if isinstance(targets, str) else ', '.join(targets)}"
        + (", base model in 4 bits." if spec.method is Method.QLORA else ".")
    )
    steps = f"{counted(summary.steps, 'step')}" + (
        f" (stopped early of {spec.training.max_steps})" if summary.stopped_early else ""
    )
    best = "" if summary.best_step is None else f" The weights are those of step {summary.best_step}, the best one."
    measured = "\n".join(
        f"- {score.metric}: {score.successes} of {score.n} test rows ({score.value:.3f}, 95 % interval {score.low:.3f} "
        f"to {score.high:.3f})"
        for score in (described.arm.scores if described.arm else ())
    )
    title = f"# {'Model tuned from' if whole else 'LoRA adapter for'} {spec.base_model.id}"
    rows = counted(spec.input(Split.TRAIN).rows, "row")
    body = (
        f"{how} Trained for {steps} on {rows}, seed {spec.seed}; final train loss "
        f"{summary.final_train_loss:.4f}, validation loss {summary.final_validation_loss:.4f}.{best}"
    )
    parts = [f"---\n{front}---", title, body, measured, _USE[whole].strip(), "`manifest.json` holds everything else."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(described: Description) -> dict[str, Any]:
    spec, arm = described.spec, described.arm
    whole = spec.method is Method.FULL
    metadata: dict[str, Any] = {
        **_license_of(described.source),
        "base_model": spec.base_model.id,
        "base_model_relation": "finetune" if whole else "adapter",
        "library_name": "transformers" if whole else "peft",
        "pipeline_tag": "text-generation",
        "tags": [str(spec.method), "playbook"],
    }
    if arm is not None:
        test = spec.input(Split.TEST)
        metadata["model-index"] = [
            {
                "name": f"{spec.base_model.id}-{spec.method}",
                "results": [
                    {
                        "task": {"type": "text-generation"},
                        "dataset": {
                            "type": "playbook",
                            "name": f"test split {test.sha256[:12]}",
                            "split": str(Split.TEST),
                            "revision": test.sha256,
                        },
                        "metrics": [
                            {"type": str(score.metric), "name": str(score.metric), "value": round(score.value, 6)}
                            for score in arm.scores
                        ],
                    }
                ],
            }
        ]
    return metadata


def _license_of(source: ModelSource) -> dict[str, str]:
    """Return the license that the base model's own card names, else the manifest beside a model that was converted
    here; what is tuned from it stands under it. `other` has a name and a link."""
    if not source.is_local:
        return {}
    folder = Path(source.location)
    named = _front_matter(folder / "README.md")
    found = {key: named[key] for key in _LICENSE_KEYS if isinstance(named.get(key), str)}
    if found:
        return found
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    license_name = manifest.get("licence") if isinstance(manifest, dict) else None
    # The Hub writes the names of licenses small.
    return {"license": license_name.lower()} if isinstance(license_name, str) else {}


def _front_matter(card: Path) -> Mapping[str, Any]:
    """Return the metadata of a model card; none where there is no card, or none that can be read."""
    try:
        parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
        front = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except (OSError, yaml.YAMLError):
        return {}
    return front if isinstance(front, Mapping) else {}


def read_back_adapter(path: Path, *, model: Any, device: torch.device, merge: bool) -> None:
    """Read the adapter back from its file, and merge it into the base weights of `model` where these are no 4-bit.

    The tuned arm then measures the exported file, not the tensors in memory (peft issue 2321: the two can differ).
    """
    set_peft_model_state_dict(model, load_file(path / ADAPTER_FILE, device=str(device)))
    if merge:
        model.merge_adapter(safe_merge=True)


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the new one, never a half."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
