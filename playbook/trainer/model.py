"""Finds the base model, loads it from safetensors once, and puts LoRA adapters on it.

`resolve` runs before torch is imported: whether the Hub may be asked at all is decided here, and transformers reads
that from the environment at import time.
"""

import os
import re
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playbook.contracts.run_spec import BaseModelRef, LoraSettings
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError

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
    """The adapted model. `model` is a peft PeftModelForCausalLM; adapters are fp32, the base is `compute_dtype`.
    `attention`: the transformers attention implementation in use."""

    model: Any
    device: "torch.device"
    compute_dtype: str
    attention: str
    trainable_parameters: int
    total_parameters: int


def resolve(ref: BaseModelRef, models_dir: Path) -> ModelSource:
    """Return where `ref` is: the models folder first, then a local folder, then the Hub.

    Raises RunError: base_model_missing, base_model_unreadable (a folder without safetensors).
    """
    for folder in (models_dir / ref.id, Path(ref.id)):
        if (folder / "config.json").is_file():
            _require_safetensors(folder)
            return ModelSource(location=str(folder), revision=None, is_local=True)
    if _HUB_ID.fullmatch(ref.id) and not Path(ref.id).exists():
        return ModelSource(location=ref.id, revision=ref.revision, is_local=False)
    present = sorted(path.parent.name for path in models_dir.glob("[!.]*/config.json"))
    raise RunError(
        EndReason.BASE_MODEL_MISSING,
        f"Base model {ref.id!r} is neither in the models folder (which holds {', '.join(present) or 'none'}) nor a "
        "folder with a config.json. Place it there, or run python -m playbook.trainer.sample_model for the sample.",
    )


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    found = f"holds only {', '.join(pickles)}, and loading a pickle can run code" if pickles else "holds no weights"
    raise RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"Base model folder {folder.name} {found}. Only safetensors are read: convert the weights and try again.",
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


def read_limits(source: ModelSource, tokenizer: Any) -> tuple[int, frozenset[int]]:
    """Return the context length in tokens and the ids that end a turn, from the configuration files alone."""
    from transformers import AutoConfig, GenerationConfig

    try:
        config = AutoConfig.from_pretrained(source.location, revision=source.revision, trust_remote_code=False)
    except Exception as error:
        raise _unreadable(source, "config.json", error) from error
    try:
        generation = GenerationConfig.from_pretrained(source.location, revision=source.revision)
        eos = generation.eos_token_id
    except OSError:
        # Many models come without generation_config.json; the tokenizer's eos is then the only end of a turn.
        eos = None
    declared = eos if isinstance(eos, list) else [eos]
    end_ids = frozenset(token for token in (*declared, tokenizer.eos_token_id) if token is not None)
    text_config = config.get_text_config()
    context: int | None = getattr(text_config, "max_position_embeddings", None)
    return context or tokenizer.model_max_length, end_ids


def load_with_adapters(
    source: ModelSource, lora: LoraSettings, *, seed: int, longest: int, compute_dtype: str | None = None
) -> LoadedModel:
    """Return the base model with fresh adapters drawn from `seed`.

    `longest`: tokens in the longest row, by which attention is chosen.
    `compute_dtype` ("bfloat16", "float32") is measured on this machine unless a resumed run fixes it.
    Raises RunError: base_model_missing, base_model_unreadable, invalid_spec (unknown target module).
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype_name = compute_dtype or _faster_dtype(device)
    attention = "eager" if device.type == "cpu" and longest <= _EAGER_UP_TO else "sdpa"
    try:
        base, info = AutoModelForCausalLM.from_pretrained(
            source.location,
            revision=source.revision,
            dtype=getattr(torch, dtype_name),
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise _unreadable(source, "weights", error) from error
    if info["missing_keys"]:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"The weights of {source.location} lack {len(info['missing_keys'])} tensors, first "
            f"{min(info['missing_keys'])!r}; they would be random. Fetch the base model again.",
        )
    model = _with_lora(base.to(device), lora, seed=seed)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    return LoadedModel(model, device, dtype_name, attention, trainable, total)


def _with_lora(base: Any, lora: LoraSettings, *, seed: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    targets = _targets(base, lora)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            # peft asks transformers for a name that transformers has just deprecated; nothing a reader can act on.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            return get_peft_model(base, config)
    except ValueError as error:
        raise RunError(EndReason.INVALID_SPEC, f"lora.target_modules {targets!r} cannot be adapted: {error}") from error


def _targets(base: Any, lora: LoraSettings) -> str | list[str]:
    """Return what peft takes. A name that fits no linear module would be skipped in silence, so it is refused."""
    from torch import nn

    if lora.target_modules == "all-linear":
        return "all-linear"
    wanted = [lora.target_modules] if isinstance(lora.target_modules, str) else list(lora.target_modules)
    linear = [name for name, module in base.named_modules() if isinstance(module, nn.Linear)]
    unknown = [name for name in wanted if not any(path == name or path.endswith(f".{name}") for path in linear)]
    if unknown or not wanted:
        known = sorted({path.rsplit(".", 1)[-1] for path in linear})
        raise RunError(
            EndReason.INVALID_SPEC,
            f"lora.target_modules names {unknown or 'nothing'}, which this base model does not have. "
            f"Use all-linear, or names from: {', '.join(known)}.",
        )
    return wanted


def _faster_dtype(device: "torch.device") -> str:
    """Measure a few matrix products in bfloat16 and float32 and return the faster one's name.

    CPUs without bfloat16 instructions emulate it at a tenth of the speed, so the right answer depends on the machine.
    """
    import torch

    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    seconds: dict[str, float] = {}
    for name in ("bfloat16", "float32"):
        left = torch.ones(512, 576, dtype=getattr(torch, name))
        right = torch.ones(576, 1536, dtype=getattr(torch, name))
        left @ right  # the first call compiles the kernel
        trials = []
        for _ in range(5):
            start = time.perf_counter()
            left @ right
            trials.append(time.perf_counter() - start)
        # The shortest trial is the one that no other process disturbed.
        seconds[name] = min(trials)
    return min(seconds, key=lambda name: seconds[name])


def _unreadable(source: ModelSource, part: str, error: Exception) -> RunError:
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    if not source.is_local and isinstance(error, OSError):
        return RunError(
            EndReason.BASE_MODEL_MISSING,
            f"Base model {source.location!r} is not in the models folder and could not be fetched from the Hub: "
            f"{first_line}",
        )
    return RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"The {part} of base model {Path(source.location).name!r} cannot be read ({type(error).__name__}: "
        f"{first_line}). Fetch the base model again.",
    )
