"""A tiny random Llama, run folders around it, and the real sample model for the tests marked `model`."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from playbook.contracts.dataset import Split
from playbook.contracts.events import EVENT, Ended, Event, Log, LogLevel
from playbook.contracts.report import Report
from playbook.contracts.run_spec import InputFile, RunSpec
from playbook.trainer.__main__ import main
from playbook.trainer.folder import default_models_dir
from playbook.trainer.sample_model import SAMPLE_MODEL_ID
from tests.waiting import wait_for

TINY_ID = "tiny-llama"
ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Rows = Sequence[dict[str, Any]]
MakeRun = Callable[..., Path]
Train = Callable[..., int]


@pytest.fixture(scope="session")
def tiny_models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one 2-layer Llama of random weights and a byte-level tokenizer; context of 256 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / TINY_ID
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate(special + alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", bos_token="<|im_start|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(special) + len(alphabet),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    model.save_pretrained(folder)
    return folder.parent


def row(user: str, answer: str, *, system: str | None = None) -> dict[str, Any]:
    messages = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": [*messages, {"role": "user", "content": user}, {"role": "assistant", "content": answer}]}


def sample_rows(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    """Short rows of different lengths."""
    return [row(f"say {'x' * (n % 7)} {n}", json.dumps({"n": n})) for n in range(start, start + count)]


TRAIN_ROWS = sample_rows(12)
VALIDATION_ROWS = sample_rows(4, start=100)
TEST_ROWS = sample_rows(4, start=200)


def input_file(split: Split, data: bytes) -> InputFile:
    """Return the spec's entry for a split: as many rows as lines that are not blank."""
    rows = sum(1 for line in data.splitlines() if line.strip())
    return InputFile(split=split, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), rows=max(rows, 1))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run folder and returns it. Rows are dicts, or bytes written as they stand."""

    def make(
        *,
        train: Rows | bytes = TRAIN_ROWS,
        validation: Rows | bytes = VALIDATION_ROWS,
        test: Rows | bytes = TEST_ROWS,
        documents: bytes | None = None,
        name: str = "run",
        **settings: Any,
    ) -> Path:
        folder = tmp_path / name
        (folder / "inputs").mkdir(parents=True)
        files = []
        for split, rows in ((Split.TRAIN, train), (Split.VALIDATION, validation), (Split.TEST, test)):
            data = rows if isinstance(rows, bytes) else "".join(json.dumps(line) + "\n" for line in rows).encode()
            (folder / "inputs" / f"{split}.jsonl").write_bytes(data)
            files.append(input_file(split, data))
        if documents is not None:
            (folder / "inputs" / "documents.jsonl").write_bytes(documents)
            sha256 = hashlib.sha256(documents).hexdigest()
            settings["documents"] = {"sha256": sha256, "size_bytes": len(documents) or 1, "documents": 1}
        training = {"per_device_train_batch_size": 4, "max_steps": 4, "eval_steps": 2, "save_steps": 2}
        spec = RunSpec.model_validate(
            {
                "base_model": {"id": TINY_ID},
                "seed": 1,
                "inputs": files,
                **settings,
                "evaluation": {"max_new_tokens": 4, "batch_size": 3} | settings.get("evaluation", {}),
                "training": training | settings.get("training", {}),
            }
        )
        (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
        return folder

    return make


def start_trainer(folder: Path, models_dir: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "playbook.trainer", str(folder), "--models-dir", str(models_dir), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events_of(folder: Path) -> list[Event]:
    return [EVENT.validate_json(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]


def events_so_far(folder: Path) -> list[Event]:
    """The events of a trainer that is still writing, or was killed: none before the file, no half line at its end."""
    path = folder / "events.jsonl"
    written = path.read_bytes() if path.exists() else b""
    return [EVENT.validate_json(line) for line in written[: written.rfind(b"\n") + 1].splitlines()]


@pytest.fixture(scope="session")
def sample_model() -> Path:
    """The models folder that holds the sample base model, fetched and converted on a fresh machine."""
    models_dir = default_models_dir()
    done = subprocess.run(
        [sys.executable, "-m", "playbook.trainer.sample_model", "--models-dir", str(models_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (models_dir / SAMPLE_MODEL_ID / "config.json").is_file()
    return models_dir


@pytest.fixture(scope="session")
def general_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten rows of the general set, some of each kind: measuring all hundred would be most of what a tiny run does."""
    lines = (ROOT / "playbook/trainer/retention.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    some = tmp_path_factory.mktemp("general") / "retention.jsonl"
    some.write_text("".join([*lines[:6], *lines[-4:]]), encoding="utf-8")
    return some


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, tiny_models_dir: Path, general_set: Path) -> Iterator[Train]:
    """Run the command in this process; its signal handlers and environment do not outlive the test."""
    monkeypatch.setattr("playbook.trainer.retention.FILE", general_set)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for name in ("OMP_WAIT_POLICY", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "1")

    def run(folder: Path, *options: str, models_dir: Path = tiny_models_dir) -> int:
        return main([str(folder), "--models-dir", str(models_dir), *options])

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def meanwhile(happened: Callable[[], object], act: Callable[[], object] | None = None) -> Iterator[None]:
    """While a run goes on in this thread, wait in another until something happened, then act: by default, stop the run
    as the worker would, by a SIGTERM to this process. A process for each run would load torch anew."""

    def wait_and_act() -> None:
        wait_for(happened)
        if act is None:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            act()

    with ThreadPoolExecutor(1) as threads:
        acted = threads.submit(wait_and_act)
        yield
        acted.result()


def ended(folder: Path) -> Ended:
    last = events_of(folder)[-1]
    assert isinstance(last, Ended)
    return last


def warnings_of(folder: Path) -> list[str]:
    return [event.message for event in events_of(folder) if isinstance(event, Log) and event.level is LogLevel.WARNING]


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "report.json").read_bytes())


@pytest.fixture
def own_models_dir(tiny_models_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    models_dir = tmp_path / "own-models"
    shutil.copytree(tiny_models_dir, models_dir)
    return models_dir
