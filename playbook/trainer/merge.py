"""Adapter and base model as one plain model, made on demand: `python -m playbook.trainer.merge RUN_DIR`.

The merged model is written, read back from its files, and answers the test split once more: what is handed on is what
was measured, and its difference from the adapter is said (peft issue 2321: a merged model can be worse).
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from playbook.contracts.merging import CHECK, MergeCheck, MergeSpec
from playbook.contracts.report import Report
from playbook.contracts.run_spec import RunSpec
from playbook.contracts.states import EndReason, Stage
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import IN_MERGE, RunError, ending_of
from playbook.trainer.folder import RunFolder, default_models_dir, sha256_of
from playbook.trainer.model import ModelSource, choose_attention, choose_device, load_base
from playbook.trainer.prepare import Prepared, Run, prepare, read_spec
from playbook.trainer.stop import Stop

HELP = """\
Merge the adapter of a finished run into its base model, and measure the merged model on the same test split.

Reads RUN_DIR/artifacts/adapter and RUN_DIR/report.json; writes RUN_DIR/artifacts/merged: a model that transformers
loads by itself, with tokenizer, chat template, card and manifest. The manifest and the last line printed say how many
answers differ from the adapter's. Merging rounds to the precision of the base model's files, so a few may.
"""


@dataclass(frozen=True)
class Source:
    """What is merged: the run that left the adapter, and where adapter and report lie."""

    spec: RunSpec
    adapter: Path
    report: Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m playbook.trainer.merge", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the folder of a run that completed")
    parser.add_argument("--models-dir", type=Path, default=default_models_dir(), help="folder of base models")
    options = parser.parse_args(arguments)
    folder = RunFolder(options.run_dir)
    try:
        check = merge(folder, models_dir=options.models_dir)
    except Exception as error:
        ending = ending_of(error, less_memory=IN_MERGE)
        print(f"{ending.reason}: {ending.message}", file=sys.stderr)
        return 1
    print(f"{folder.merged} is written and measured. {check}")
    return 0


def merge(folder: RunFolder, *, models_dir: Path) -> MergeCheck:
    """Write `RUN_DIR/artifacts/merged` anew and return how it compares.

    Raises RunError: invalid_spec (the run left no adapter or no report), and as `prepare` and `load_base`.
    """
    missing = next((path for path in (folder.adapter, folder.report) if not path.exists()), None)
    if missing is not None:
        raise RunError(
            EndReason.INVALID_SPEC,
            f"{missing} is not there: only a run that completed with an adapter can be merged. Run python -m "
            f"playbook.trainer {folder.root} first; after method: full the model is whole already.",
        )
    source = Source(read_spec(folder), folder.adapter, folder.report)
    stop = Stop(lease=folder.lease, max_lease_age_seconds=None)
    # What preparing would say is in the events of the run already.
    with contextlib.closing(Emitter(Path(os.devnull))) as emitter:
        run = Run(folder, source.spec, models_dir, emitter, stop, process_start=time.monotonic())
        return _merge(run, source)


def merge_for_worker(folder: RunFolder, emitter: Emitter, stop: Stop, *, models_dir: Path, process_start: float) -> str:
    """Do what a `MergeSpec` in the run folder asks for and return one sentence about it.

    Raises RunError as `merge`, and input_mismatch when adapter or report cannot be read.
    """
    source = _source_of(folder)
    run = Run(folder, source.spec, models_dir, emitter, stop, process_start=process_start)
    return str(_merge(run, source))


def _source_of(folder: RunFolder) -> Source:
    try:
        spec = MergeSpec.model_validate_json(folder.spec.read_bytes())
    except ValidationError as error:
        raise RunError(EndReason.INVALID_SPEC, f"spec.json is no merge: {error.errors()[0]['msg']}.") from error
    for path in (folder.input_adapter / "adapter_config.json", folder.input_report):
        if not path.is_file():
            raise RunError(EndReason.INPUT_MISMATCH, f"{path.name} is not among the inputs; ask for the merge again.")
    return Source(spec.run, folder.input_adapter, folder.input_report)


def _merge(run: Run, source: Source) -> MergeCheck:
    folder, emitter = run.folder, run.emitter
    report = Report.model_validate_json(source.report.read_bytes())
    with emitter.stage(Stage.DATA):
        prepared = prepare(run)
    # Until it is measured and described it is not what was asked for, and has another name.
    merged = folder.merged.with_name(f".{folder.merged.name}.partial")
    shutil.rmtree(merged, ignore_errors=True)
    try:
        with emitter.stage(Stage.DATA):
            prepared = prepare(run)
            emitter.log(f"Merging the adapter into {run.spec.base_model.id}.")
            _write(merged, prepared, source.adapter)
        with emitter.stage(Stage.EVALUATION):
            check = _measure(run, merged, prepared, source, report)
        _describe(merged, source.adapter, check)
    except BaseException:
        shutil.rmtree(merged, ignore_errors=True)
        raise
    shutil.rmtree(folder.merged, ignore_errors=True)
    merged.rename(folder.merged)
    return check


def _write(target: Path, prepared: Prepared, adapter: Path) -> None:
    # Heavy, and needless until the run folder is known to be right.
    import torch
    from peft import PeftModel

    dtype = prepared.config.dtype or torch.float32
    base = _load(prepared.source, prepared, dtype=str(dtype).removeprefix("torch."))
    with warnings.catch_warnings():
        # peft asks transformers for a name that transformers has just deprecated; nothing a reader can act on.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        merged = PeftModel.from_pretrained(base, adapter).merge_and_unload(safe_merge=True)
    merged.save_pretrained(target)
    prepared.tokenizer.save_pretrained(target)


def _load(source: ModelSource, prepared: Prepared, *, dtype: str) -> Any:
    device = choose_device()
    attention = choose_attention(device, longest=prepared.longest, compute_dtype=dtype)
    return load_base(source, device=device, dtype=dtype, attention=attention)


def _measure(run: Run, path: Path, prepared: Prepared, merged_from: Source, report: Report) -> MergeCheck:
    """Answer the test split with the model read back from its files, and hold the answers against the adapter's."""
    from playbook.scoring.metrics import Judge
    from playbook.trainer.decode import attend_in_groups
    from playbook.trainer.evaluate import ArmRun
    from playbook.trainer.generate import Generator

    adapter = next(arm for arm in report.arms if arm.arm.is_tuned)  # the run left an adapter, so it measured it
    source = ModelSource(location=str(path), revision=None, is_local=True)
    model = _load(source, prepared, dtype=_compute_dtype(merged_from.adapter)).eval()
    attend_in_groups(model)
    generator = Generator(
        model=model,
        tokenizer=prepared.tokenizer,
        device=choose_device(),
        end_ids=prepared.end_ids,
        max_new_tokens=run.spec.evaluation.max_new_tokens,
        batch_size=run.spec.evaluation.batch_size,
        stop=run.stop,
        opening=prepared.builder.opening,
    )
    again = ArmRun(adapter.arm, run.spec, prepared.questions[adapter.arm], Judge(run.spec.evaluation))
    total = len(again.questions)

    def tell(done: int) -> None:
        run.emitter.progress(Stage.EVALUATION, done=done, total=total, unit="rows", remaining_seconds=None)

    again.run(generator, on_rows_done=tell)
    merged = again.report()
    return MergeCheck(
        metric=run.spec.evaluation.metric,
        rows=len(merged.items),
        adapter_right=sum(item.correct for item in adapter.items),
        merged_right=sum(item.correct for item in merged.items),
        differing=sum(one.output != other.output for one, other in zip(adapter.items, merged.items, strict=True)),
    )


def _compute_dtype(adapter: Path) -> str:
    """Return the precision in which the adapter was measured."""
    return str(json.loads((adapter / "manifest.json").read_bytes())["compute_dtype"])


def _describe(merged: Path, adapter: Path, check: MergeCheck) -> None:
    """Write card and manifest: those of the adapter, with what is different about a merged model."""
    from playbook.trainer.artifacts import ADAPTER_FILE, write_atomically

    front, body = (adapter / "README.md").read_text(encoding="utf-8").split("---\n", 2)[1:]
    metadata = yaml.safe_load(front) | {"library_name": "transformers", "base_model_relation": "finetune"}
    title, _, rest = body.strip().partition("\n")
    used = rest.partition("```python")[0].strip()
    card = (
        f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)}---\n\n"
        f"{title.replace('LoRA adapter for', 'Merged model tuned from')}\n\n{used}\n\n"
        f"Adapter and base model as one, measured again on the same test rows. {check}\n\n"
        "```python\nfrom transformers import AutoModelForCausalLM\n"
        'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")\n```\n'
    )
    write_atomically(merged / "README.md", card)
    manifest = json.loads((adapter / "manifest.json").read_bytes()) | {
        "merged_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "merged_from": {ADAPTER_FILE: sha256_of(adapter / ADAPTER_FILE)},
        CHECK: check.model_dump(mode="json"),
    }
    manifest["files"] = {
        file.name: sha256_of(file) for file in sorted(merged.iterdir()) if file.name != "manifest.json"
    }
    write_atomically(merged / "manifest.json", json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
