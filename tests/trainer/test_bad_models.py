"""Base models that are damaged, or that hide something: each is refused by name, as what it is."""

import json
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason
from playbook.trainer import bounds
from playbook.trainer.errors import RunError
from playbook.trainer.model import ModelSource, load_base, resolve
from tests.trainer.conftest import TINY_ID, MakeRun, Train, ended

Damage = Callable[[Path], object]


def config(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def write(name: str, text: str) -> Damage:
    return lambda folder: (folder / name).write_text(text)


def template(text: str) -> Damage:
    return write("chat_template.jinja", text)


def forget_a_part(folder: Path) -> None:
    """One of two files of weights never came."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = load_file(folder / "model-00001-of-00002.safetensors")
    index = dict.fromkeys(names, "model-00001-of-00002.safetensors") | {"x": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def as_whole_numbers(folder: Path) -> None:
    """Weights in 8 bits without the scale that they were divided by."""
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name] = (tensors[name] * 100).to(torch.int8)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (as_whole_numbers, "holds 'model.layers.0.mlp.up_proj.weight' as whole numbers (I8), and its config.json has"),
        (config(num_hidden_layers=1), "hold more layers than its config.json names: 9 tensors, first 'model.layers.1."),
        (config(max_position_embeddings=0), "max_position_embeddings is 0"),
        (config(max_position_embeddings=-5), "max_position_embeddings is -5"),
        (config(num_attention_heads=0), "The config.json of base model 'tiny-llama' cannot be read"),
        (config(vocab_size="many"), "The config.json of base model 'tiny-llama' cannot be read"),
        (config(text_config={"auto_map": {"AutoConfig": "evil.Config"}}), "The config.json of base model"),
        (config(model_type="frobnicator"), "The config.json of base model 'tiny-llama' cannot be read"),
        (write("config.json", "[" * 100_000), "config.json of base model 'tiny-llama' is no JSON"),
        (write("generation_config.json", "{"), "generation_config.json of base model 'tiny-llama' is no JSON"),
        (write("generation_config.json", "[]"), "generation_config.json of base model 'tiny-llama' is no JSON"),
        (write("generation_config.json", '{"eos_token_id": "x"}'), "eos_token_id is 'x', no number of a token"),
        (write("tokenizer.json", "{"), "The tokenizer of base model 'tiny-llama' cannot be read"),
        (template("{% for n in range(10**9) %}x{% endfor %}"), "chat template fails (OverflowError"),
        (template("{{ messages.__class__.__mro__ }}"), "chat template fails (SecurityError"),
        (template("{{ 1 + messages }}"), "chat template fails (TypeError"),
        (
            template(
                "{% set all = namespace(x='x') %}{% for n in range(60) %}{% set all.x = all.x ~ all.x %}{% endfor %}"
            ),
            "chat template fails (MemoryError",
        ),
        (template("{{ 'x' * 5000000 }}"), "chat template makes 5,000,000 characters of a row of "),
        (config(hidden_size=-64), "cannot be read (ValueError: hidden_size is -64)"),
        (config(num_hidden_layers=0), "cannot be read (ValueError: num_hidden_layers is 0)"),
        (config(num_hidden_layers=10**6), "describes about 36,992,033,216 weights, and its safetensors files have "),
        (forget_a_part, "The weights of base model 'tiny-llama' cannot be read (FileNotFoundError"),
        (write("adapter_config.json", "{}"), "holds an adapter (adapter_config.json), which would change the model"),
    ],
)
def test_a_damaged_base_model_is_unreadable_and_says_where(
    make_run: MakeRun, train: Train, own_models_dir: Path, damage: Damage, words: str
) -> None:
    damage(own_models_dir / TINY_ID)
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert words in ended(folder).message


@pytest.mark.parametrize("inside", ["", "{{ messages }}"])
def test_a_chat_template_that_comes_to_no_end_is_ended(
    make_run: MakeRun, train: Train, own_models_dir: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """The sandbox bounds each loop, and not loops within loops."""
    monkeypatch.setattr(bounds, "SECONDS", 0.2)
    loops = 4
    endless = "{% for n in range(90000) %}" * loops + inside + "{% endfor %}" * loops
    (own_models_dir / TINY_ID / "chat_template.jinja").write_text(endless)
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "train.jsonl, line 1: the base model's chat template came to no end within 0.2 s" in ended(folder).message


def test_limits_on_a_template_are_gone_after_it() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(MemoryError), bounds.bounded():
        bytes(10**12)

    assert (resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGVTALRM)) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_a_quantised_base_model_is_refused_where_no_gpu_computes_with_it(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device, so there is nothing to refuse")
    config(quantization_config={"quant_method": "fp8"})(own_models_dir / TINY_ID)
    folder = make_run()

    assert train(folder, models_dir=own_models_dir) == 1

    assert ended(folder).reason is EndReason.BASE_MODEL_UNREADABLE
    assert "'tiny-llama' is quantised (quantization_config in config.json)" in ended(folder).message


def test_tensors_that_are_no_layer_of_the_model_may_be_left_out(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    """Such as the eyes of a model that reads text here."""
    path = own_models_dir / TINY_ID / "model.safetensors"
    save_file(load_file(path) | {"vision.layers.0.weight": torch.ones(2)}, path, metadata={"format": "pt"})

    assert train(make_run(training={"max_steps": 1}), models_dir=own_models_dir) == 0


def test_a_base_model_too_large_for_the_memory_says_so(tiny_models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "to", lambda *_: torch.empty(2**55))
    source = resolve(BaseModelRef(id=TINY_ID), tiny_models_dir)

    with pytest.raises(RunError, match="Memory ran out while base model 'tiny-llama' was loaded") as caught:
        load_base(source, device=torch.device("cpu"), dtype="float32", attention="eager")

    assert caught.value.reason is EndReason.OUT_OF_MEMORY
    assert "Choose a smaller base model" in caught.value.message


def test_a_tokenizer_for_which_there_is_no_memory_is_not_unreadable(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", no_memory)
    folder = make_run()

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.OUT_OF_MEMORY
    assert "Choose a smaller base model" in ended(folder).message


def test_an_adapter_that_transformers_put_on_the_weights_is_refused(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    """As it does with one from the Hub, where no folder can be looked through before."""
    base, run = own_models_dir / TINY_ID, make_run(training={"max_steps": 1})
    assert train(run, models_dir=own_models_dir) == 0
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (base / name).write_bytes((run / "artifacts" / "adapter" / name).read_bytes())
    adapter = base / "adapter_config.json"
    adapter.write_text(json.dumps(json.loads(adapter.read_text()) | {"base_model_name_or_path": str(base)}))

    with pytest.raises(RunError, match="holds an adapter") as caught:
        load_base(
            ModelSource(location=str(base), revision=None, is_local=False),
            device=torch.device("cpu"),
            dtype="float32",
            attention="eager",
        )

    assert caught.value.reason is EndReason.BASE_MODEL_UNREADABLE
