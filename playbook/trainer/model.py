"""Finds the base model and loads it from safetensors, ready to be trained; `adapters` puts LoRA on it.

`resolve` runs before torch is imported: whether the Hub may be asked at all is decided here, and transformers reads
that from the environment at import time.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playbook.contracts.run_spec import BaseModelRef, LoraSettings, Method
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError, first_line, is_out_of_memory
from playbook.trainer.model_folder import holds_adapter, own_code, require_plain, require_sizes
from playbook.trainer.number_format import faster_dtype

if TYPE_CHECKING:
    import torch

#: owner/name; anything else is a folder and never leaves the machine.
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
#: Up to this many tokens a row, plain matrix products beat PyTorch's fused attention kernel on a CPU (by a fifth of
#: the step at 110 tokens, by nothing at 512); beyond it they also need memory that grows with the square.
_EAGER_UP_TO = 512


@dataclass(frozen=True)
class ModelSource:
    """Where transformers finds the base model: a folder, or a Hub id (with the Hub reachable)."""

    location: str
    revision: str | None
    is_local: bool


@dataclass(frozen=True)
class LoadedModel:
    """The model to train. `model` is a peft PeftModelForCausalLM: adapters are fp32, the base is `compute_dtype` (4-bit
    for qlora). With `method` full it is the base model itself, all of it fp32, computing in `compute_dtype` under
    autocast. `attention`: the transformers attention implementation in use. `liger`: its kernels are on."""

    model: Any
    method: Method
    device: "torch.device"
    compute_dtype: str
    attention: str
    liger: bool
    trainable_parameters: int
    total_parameters: int

    @cached_property
    def adapted_layers(self) -> list[Any]:
        """The layers of the model that peft put adapters on."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        return [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]


def resolve(ref: BaseModelRef, models_dir: Path) -> ModelSource:
    """Return where `ref` is: the models folder first, then a local folder, then the Hub.

    Raises RunError: base_model_missing, base_model_unreadable (a folder without safetensors).
    """
    for folder in (models_dir / ref.id, Path(ref.id)):
        if (folder / "config.json").is_file():
            require_plain(folder)
            return ModelSource(location=str(folder), revision=None, is_local=True)
    if _HUB_ID.fullmatch(ref.id) and not Path(ref.id).exists():
        return ModelSource(location=ref.id, revision=ref.revision, is_local=False)
    present = sorted(path.parent.name for path in models_dir.glob("[!.]*/config.json"))
    raise RunError(
        EndReason.BASE_MODEL_MISSING,
        f"Base model {ref.id!r} is neither in the models folder (which holds {', '.join(present) or 'none'}) nor a "
        "folder with a config.json. Place it there, or run python -m playbook.trainer.sample_model for the sample.",
    )


def allow_hub(source: ModelSource) -> None:
    """Keep every library offline unless the base model has to come from the Hub. Call before importing transformers."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if source.is_local:
        os.environ["HF_HUB_OFFLINE"] = "1"


def load_tokenizer(source: ModelSource) -> Any:
    """Return the tokenizer, padding on the left. Raises RunError: base_model_missing, base_model_unreadable."""
    # transformers takes seconds to import; the checks above must answer first.
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.location, revision=source.revision, trust_remote_code=False)
    except Exception as error:
        raise _unreadable(source, "tokenizer", error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def read_config(source: ModelSource) -> Any:
    """Return the transformers configuration of the text model. Raises RunError as `load_tokenizer`."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source.location, revision=source.revision, trust_remote_code=False)
        text = config.get_text_config()
        require_sizes(text)
    except Exception as error:
        raise _unreadable(source, "config.json", error) from error
    if getattr(config, "auto_map", None):
        raise own_code(source.location, "config.json")
    return text


def read_limits(source: ModelSource, tokenizer: Any) -> tuple[int, frozenset[int]]:
    """Return the context length in tokens and the ids that end a turn, from the configuration files alone."""
    from transformers import GenerationConfig

    context: int | None = getattr(read_config(source), "max_position_embeddings", None)
    if context is not None and context < 1:
        raise _unreadable(source, "config.json", ValueError(f"max_position_embeddings is {context}"))
    try:
        generation = GenerationConfig.from_pretrained(source.location, revision=source.revision)
        eos = generation.eos_token_id
        declared = [token for token in (eos if isinstance(eos, list) else [eos]) if token is not None]
        if not all(isinstance(token, int) for token in declared):
            raise TypeError(f"eos_token_id is {eos!r}, no number of a token")
    except OSError:
        # Many models come without generation_config.json; the tokenizer's eos is then the only end of a turn.
        declared = []
    except Exception as error:
        raise _unreadable(source, "generation_config.json", error) from error
    end_ids = frozenset(token for token in (*declared, tokenizer.eos_token_id) if token is not None)
    return context or tokenizer.model_max_length, end_ids


def load_for_training(
    source: ModelSource,
    lora: LoraSettings,
    *,
    seed: int,
    longest: int,
    compute_dtype: str | None = None,
    method: Method = Method.LORA,
    use_liger_kernel: bool = False,
) -> LoadedModel:
    """Return the base model with fresh adapters drawn from `seed`, or, for `full`, with all weights to be trained.

    `longest`: tokens in the longest row, by which attention is chosen.
    `compute_dtype` ("bfloat16", "float32") is measured on this machine unless a resumed run fixes it.
    Raises RunError: base_model_missing, base_model_unreadable, invalid_spec (unknown target module, no 4-bit here).
    """
    # Brings peft, which the data stage must not wait for.
    from playbook.trainer.adapters import apply_liger, quantization, require_method, with_lora

    device = choose_device()
    require_method(method, device)
    dtype_name = compute_dtype or faster_dtype(device)
    attention = choose_attention(device, longest=longest, compute_dtype=dtype_name)
    base = load_base(
        source,
        device=device,
        dtype="float32" if method is Method.FULL else dtype_name,
        attention=attention,
        quantization_config=quantization(dtype_name) if method is Method.QLORA else None,
    )
    liger = use_liger_kernel and apply_liger(base, device)
    model = base if method is Method.FULL else with_lora(base, lora, seed=seed)
    if method is Method.FULL:
        base.requires_grad_(True)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    return LoadedModel(model, method, device, dtype_name, attention, liger, trainable, total)


def load_base(
    source: ModelSource, *, device: "torch.device", dtype: str, attention: str, quantization_config: Any = None
) -> Any:
    """Return the base model on `device`. Raises RunError: base_model_missing, base_model_unreadable, out_of_memory."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        base, info = AutoModelForCausalLM.from_pretrained(
            source.location,
            revision=source.revision,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            # Told below, by name and shape; transformers would only point to a table in its own log.
            ignore_mismatched_sizes=True,
            **({} if quantization_config is None else {"quantization_config": quantization_config}),
        )
        # A 4-bit model is placed while it loads.
        base = base if quantization_config is not None else base.to(device)
    except Exception as error:
        raise _unreadable(source, "weights", error) from error
    if getattr(base, "_hf_peft_config_loaded", False):  # from the Hub; a folder was looked through before
        raise holds_adapter(source.location)
    if info["missing_keys"]:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"The weights of {source.location} lack {len(info['missing_keys'])} tensors, first "
            f"{min(info['missing_keys'])!r}; they would be random. Fetch the base model again.",
        )
    if info["mismatched_keys"]:
        name, found, wanted = min(info["mismatched_keys"])
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"The weights of {source.location} do not fit its config.json: {name!r} is {_by(found)}, not "
            f"{_by(wanted)}. Fetch the base model again.",
        )
    if left_out := _layers_left_out(base, info["unexpected_keys"]):
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"The weights of {source.location} hold more layers than its config.json names: {len(left_out)} tensors, "
            f"first {min(left_out)!r}, would be left out without a word. Fetch the base model again.",
        )
    return base


def _layers_left_out(base: Any, unexpected: Sequence[str]) -> list[str]:
    """Return the tensors that only the number of their layer keeps out. Others may be left out: what sees or hears."""

    def kind(name: str) -> str:
        return re.sub(r"\.\d+\.", ".n.", name)

    known = {kind(name) for name in base.state_dict()}
    return [name for name in unexpected if kind(name) in known]


def _too_large(source: ModelSource, error: BaseException) -> RunError:
    return RunError(
        EndReason.OUT_OF_MEMORY,
        f"Memory ran out while base model {Path(source.location).name!r} was loaded ({first_line(error)}). Choose a "
        "smaller base model, method: qlora on a GPU, or a worker with more memory.",
    )


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def compile_layers(model: Any) -> None:
    """Have torch.compile replace each decoder layer, for any length of rows. The first call after it takes long."""
    for module in model.modules():
        if type(module).__name__.endswith("DecoderLayer"):
            module.compile(dynamic=True)


def compute_activations_twice(loaded: LoadedModel) -> None:
    """Switch on gradient checkpointing: a layer keeps its input alone and computes the rest again when going back.

    By then `loss.logits_of` is over, which had peft cast no input: it must not cast the second time either.
    """

    def surroundings() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), inputs_as_they_are(loaded)

    loaded.model.activation_checkpointing_enable(
        activation_checkpointing_kwargs={"use_reentrant": False, "context_fn": surroundings}
    )


@contextmanager
def inputs_as_they_are(loaded: LoadedModel) -> Iterator[None]:
    """Within, peft leaves the type of its layers' inputs alone: it would cast each to float32 and autocast would cast
    it back, a tenth of the step. peft's own switch looks for the layers among all modules, twice a pass."""
    before = [layer.cast_input_dtype_enabled for layer in loaded.adapted_layers]
    for layer in loaded.adapted_layers:
        layer.cast_input_dtype_enabled = False
    try:
        yield
    finally:
        for layer, enabled in zip(loaded.adapted_layers, before, strict=True):
            layer.cast_input_dtype_enabled = enabled


def choose_device() -> "torch.device":
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_attention(device: "torch.device", *, longest: int, compute_dtype: str) -> str:
    """Return the transformers attention implementation that is quickest here and installed."""
    from transformers.utils import is_flash_attn_2_available

    if device.type == "cpu":
        return "eager" if longest <= _EAGER_UP_TO else "sdpa"
    return "flash_attention_2" if compute_dtype == "bfloat16" and is_flash_attn_2_available() else "sdpa"


def attend_to(loaded: LoadedModel, *, longest: int) -> None:
    """Switch to the attention that answers are computed with: `decode.attend_in_groups` where it is known to be right,
    else fused attention where prompts are longer than the rows that training chose its attention by.

    Plain products hold scores of every token for every other: 20 prompts of 2,000 tokens take gigabytes a layer.
    """
    # Brings torch.
    from playbook.trainer.decode import attend_in_groups

    if not attend_in_groups(loaded.model) and loaded.attention == "eager" and longest > _EAGER_UP_TO:
        loaded.model.set_attn_implementation("sdpa")


def in_float32(loaded: LoadedModel) -> LoadedModel:
    """Return the model with its weights as float32, in place, to be measured; 4-bit weights stay what they are.

    Products of another shape round differently. In bfloat16 that decides between two tokens that are about equally
    likely, so that an answer depends on the rows beside it; in float32 it is far below what tells tokens apart.
    """
    if loaded.compute_dtype == "float32" or loaded.method is Method.QLORA:
        return loaded
    loaded.model.float()
    return replace(loaded, compute_dtype="float32")


def _unreadable(source: ModelSource, part: str, error: Exception) -> RunError:
    if is_out_of_memory(error):
        return _too_large(source, error)
    if _is_gated(error):
        return RunError(
            EndReason.BASE_MODEL_MISSING,
            f"Base model {source.location!r} is gated: its owner wants the license accepted first. Accept it on the "
            "model's page and set HF_TOKEN on the worker, or place the files in the models folder.",
        )
    if "trust_remote_code" in str(error):
        return own_code(source.location, part)
    if not source.is_local and isinstance(error, OSError):
        return RunError(
            EndReason.BASE_MODEL_MISSING,
            f"Base model {source.location!r} is not in the models folder and could not be fetched from the Hub: "
            f"{first_line(error)}",
        )
    return RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"The {part} of base model {Path(source.location).name!r} cannot be read ({type(error).__name__}: "
        f"{first_line(error)}). Fetch the base model again.",
    )


def _is_gated(error: BaseException | None) -> bool:
    """Tell whether the Hub refused for want of an accepted license; transformers wraps its answer."""
    while error is not None:
        # Not by the text: the answer about a model that does not exist speaks of gated ones too.
        if type(error).__name__ == "GatedRepoError":
            return True
        error = error.__cause__ or error.__context__
    return False
