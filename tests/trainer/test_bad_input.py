"""Bad input, each kind to its end: a reason from the closed list, what to change, nothing recorded lost.

Rows, specs and base models that are wrong in other ways are in `test_run`; files that people bring in `tests/datasets`.
"""

import json
import math
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoConfig, LlamaForCausalLM

from playbook.contracts.events import CheckpointSaved, MetricPoint, StageStarted
from playbook.contracts.run_spec import LoraSettings, TrainingSettings
from playbook.contracts.states import EndReason, Stage
from tests.trainer.conftest import (
    ROOT,
    TINY_ID,
    MakeRun,
    Train,
    ended,
    events_of,
    meanwhile,
    report_of,
    row,
    sample_rows,
)
from tests.trainer.test_process import LONG_RUN, has_step


def steps_of(folder: Path) -> list[int]:
    return [
        event.step for event in events_of(folder) if isinstance(event, MetricPoint) and "train_loss" in event.values
    ]


def with_setting(folder: Path, part: str, name: str, value: object) -> Path:
    """Write a value that the contract refuses into the spec of a run."""
    spec = json.loads((folder / "spec.json").read_text())
    spec[part][name] = value
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("training", "learning_rate", 1e3, "is 1000; it must be above 0, at most 1."),
        ("lora", "r", 0, "is 0; it must be from 1 to 1,024."),
        ("training", "learning_rate", math.nan, "is nan; it must be a finite number above 0, at most 1."),
        ("training", "max_grad_norm", math.inf, "is inf; it must be a finite number at least 0."),
        ("training", "learning_rate", "a tenth", "is a tenth; it must be a finite number above 0, at most 1."),
        ("training", "warmup_steps", math.nan, "is nan; it must be a whole number from 0 to 1,000,000."),
        ("training", "max_steps", "many", "is many; it must be a whole number from 1 to 1,000,000."),
        ("lora", "r", 1.5, "is 1.5; it must be a whole number from 1 to 1,024."),
        ("training", "warmup_steps", 10**30, f"is {10**30}; it must be from 0 to 1,000,000."),
        ("training", "eval_steps", 10**7, "is 10000000; it must be from 1 to 1,000,000."),
        ("training", "save_steps", 10**7, "is 10000000; it must be from 1 to 1,000,000."),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name_value_and_range(
    make_run: MakeRun, train: Train, part: str, name: str, value: float | str, words: str
) -> None:
    """In the words of the launch form, which `web/jobs/test_pages.py` reads."""
    folder = with_setting(make_run(), part, name, value)

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert ended(folder).message == f"spec.json: {part}.{name} {words}"


def test_a_warm_up_beyond_the_last_step_is_refused(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"warmup_steps": 5, "max_steps": 4, "learning_rate": 1e-3})

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert ended(folder).message == (
        "spec.json: training.warmup_steps is 5, beyond max_steps 4: the learning rate would never reach 0.001. Set "
        "warmup_steps to 4 at most, or raise max_steps."
    )


def test_a_warm_up_that_nobody_chose_is_no_longer_than_the_run() -> None:
    assert [TrainingSettings.model_validate({"max_steps": steps}).warmup_steps for steps in (1, 2, 3, 100)] == [
        1,
        2,
        3,
        3,
    ]


def _tie(models_dir: Path) -> None:
    """Have logits made of the embeddings' own weights, as most small models do."""
    config = AutoConfig.from_pretrained(models_dir / TINY_ID)
    config.tie_word_embeddings = True
    LlamaForCausalLM(config).save_pretrained(models_dir / TINY_ID)


def test_the_layer_of_the_logits_is_adapted_where_its_weights_are_its_own(make_run: MakeRun, train: Train) -> None:
    folder = make_run(lora={"target_modules": ["q_proj", "lm_head"]})

    assert train(folder) == 0

    training = report_of(folder).training
    assert training is not None
    assert training.export is not None
    # Not which token comes next: logits of a random model lie so near that rounding to bfloat16 decides.
    assert training.export.largest_logit_difference < 0.05
    tensors = load_file(folder / "artifacts" / "adapter" / "adapter_model.safetensors")
    assert tensors["base_model.model.lm_head.lora_B.weight"].abs().max() > 0


def test_the_layer_of_the_logits_is_refused_where_it_shares_the_embeddings(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    _tie(own_models_dir)
    folder = make_run(lora={"target_modules": ["q_proj", "lm_head"]})

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert "names 'lm_head', whose weights this base model shares with its embeddings" in ended(folder).message
    assert [event.stage for event in events_of(folder) if isinstance(event, StageStarted)] == [Stage.DATA]


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_base_model_that_wants_to_run_code_is_always_refused(
    make_run: MakeRun, train: Train, own_models_dir: Path, file: str
) -> None:
    path = own_models_dir / TINY_ID / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    (own_models_dir / TINY_ID / "evil.py").write_text("raise SystemExit('this code ran')")
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert f"auto_map in {file}" in ended(folder).message
    assert "always refused" in ended(folder).message


def test_a_configuration_that_is_no_json_is_unreadable(make_run: MakeRun, train: Train, own_models_dir: Path) -> None:
    (own_models_dir / TINY_ID / "config.json").write_text("{")
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "config.json of base model 'tiny-llama' is no JSON" in ended(folder).message


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"weight_map": {"model.embed_tokens.weight": "../evil.safetensors"}}, "names '../evil.safetensors'"),
        ({"weight_map": {"model.embed_tokens.weight": "weights.bin"}}, "names 'weights.bin'"),
        ([], "is no index of weights"),
    ],
)
def test_an_index_that_names_other_than_safetensors_of_its_folder_is_refused(
    make_run: MakeRun, train: Train, own_models_dir: Path, index: object, words: str
) -> None:
    (own_models_dir / TINY_ID / "model.safetensors.index.json").write_text(json.dumps(index))
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert f"model.safetensors.index.json of base model 'tiny-llama' {words}" in ended(folder).message


class _Hub(BaseHTTPRequestHandler):
    """Answers as the Hub does about a model whose license has to be accepted, about one that wants to run code, and
    about one that it has not."""

    def do_HEAD(self) -> None:
        if "/own-code/" in self.path and self.path.endswith("/config.json"):
            body = json.dumps({"model_type": "of-its-own", "auto_map": {"AutoConfig": "evil.Config"}}).encode()
            self.send_response(200)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)
            return
        gated = "/gated/" in self.path
        self.send_response(403 if gated else 404)
        self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
        self.send_header("X-Error-Message", "Access to model gated/model is restricted." if gated else "Not found")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("model", "reason", "words"),
    [
        (
            "own-code/model",
            EndReason.BASE_MODEL_UNREADABLE,
            "wants to run Python code of its own (auto_map in config.json, trust_remote_code elsewhere). That is",
        ),
        (
            "gated/model",
            EndReason.BASE_MODEL_MISSING,
            "is gated: its owner wants the license accepted first. Accept it on the model's page",
        ),
        (
            "nobody/nothing",
            EndReason.BASE_MODEL_MISSING,
            "is not in the models folder and could not be fetched from the Hub",
        ),
    ],
)
def test_a_base_model_that_the_hub_does_not_give_or_that_brings_code_is_refused_with_the_reason(
    make_run: MakeRun, tiny_models_dir: Path, tmp_path: Path, hub: str, model: str, reason: EndReason, words: str
) -> None:
    folder = make_run(base_model={"id": model})
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "playbook.trainer", str(folder), "--models-dir", str(tiny_models_dir)]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stderr
    assert ended(folder).reason is reason
    assert f"{model!r} {words}" in ended(folder).message


def test_a_dataset_of_one_row_trains_on_it_again_and_again(make_run: MakeRun, train: Train) -> None:
    """An import refuses to split one row; brought as three files of a row each, a run works and says how few."""
    one = make_run(train=sample_rows(1), validation=sample_rows(1, start=1), test=sample_rows(1, start=2))

    assert train(one) == 0

    assert [arm.scores[0].n for arm in report_of(one).arms] == [1, 1]
    assert steps_of(one) == [1, 2, 3, 4]


def test_a_row_of_a_hundred_thousand_tokens_is_refused_with_its_length(make_run: MakeRun, train: Train) -> None:
    folder = make_run(train=[*sample_rows(3), row("y" * 100_000, "done")])

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.ROW_TOO_LONG
    assert "line 4 (100" in ended(folder).message


def test_a_device_in_place_of_rows_is_not_read(make_run: MakeRun, train: Train) -> None:
    """One that has no end, /dev/zero for one, would take all memory."""
    folder = make_run()
    rows = folder / "inputs" / "train.jsonl"
    rows.unlink()
    rows.symlink_to("/dev/null")

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.INPUT_MISMATCH
    assert "inputs/train.jsonl cannot be read (it is no file)" in ended(folder).message


def test_a_run_folder_that_takes_no_events_says_so(
    make_run: MakeRun, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run()
    (folder / "events.jsonl").mkdir()

    assert train(folder) == 1

    assert "events.jsonl'. Give the run a folder of its own in which the trainer may write" in capsys.readouterr().err


def _limit_files_to_100_kb() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_disk_that_is_full_while_a_checkpoint_is_saved_loses_nothing_that_was_recorded(
    make_run: MakeRun, train: Train, tiny_models_dir: Path
) -> None:
    """The system refuses to let a file grow, as on a full disk; the weights of a checkpoint are larger than that."""
    folder = make_run(training={**LONG_RUN, "save_steps": 2})
    with meanwhile(lambda: has_step(folder, 3)):
        assert train(folder) == 1
    before = (folder / "events.jsonl").read_bytes()
    kept = [event.name for event in events_of(folder) if isinstance(event, CheckpointSaved)][-1]
    saved = {path.name: path.read_bytes() for path in (folder / "checkpoints" / kept).iterdir()}

    command = [sys.executable, "-m", "playbook.trainer", str(folder), "--models-dir", str(tiny_models_dir)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=_limit_files_to_100_kb
    )

    assert done.returncode == 1
    assert ended(folder).reason is EndReason.DISK_FULL
    assert "Free space on the worker" in ended(folder).message
    assert (folder / "events.jsonl").read_bytes().startswith(before)
    assert steps_of(folder)[-1] == int(kept.removeprefix("step-")) + 2
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [kept]
    assert {path.name: path.read_bytes() for path in (folder / "checkpoints" / kept).iterdir()} == saved


def test_all_linear_in_a_list_is_all_linear() -> None:
    assert LoraSettings.model_validate({"target_modules": ["all-linear"]}).target_modules == "all-linear"
    assert LoraSettings.model_validate({"target_modules": ["q_proj"]}).target_modules == ("q_proj",)
