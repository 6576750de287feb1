"""What is put on a base model before training: LoRA adapters, 4-bit weights, fused kernels. Called by `model`, and by
`preflight`, which asks beforehand what can be adapted."""

import importlib
import importlib.util
import warnings
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from playbook.contracts.run_spec import LoraSettings, Method
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError
from playbook.trainer.model import ModelSource


def require_method(method: Method, device: torch.device) -> None:
    """Raise RunError(invalid_spec) when this machine cannot train that way. Called before any weight is read."""
    if method is not Method.QLORA:
        return
    if device.type != "cuda":
        raise RunError(
            EndReason.INVALID_SPEC,
            "method: qlora needs a CUDA device, and this worker has none: 4-bit products exist for GPUs alone. Use "
            "method: lora, which computes the same without rounding the base model, or a worker with a GPU.",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise RunError(
            EndReason.INVALID_SPEC,
            "method: qlora needs the package bitsandbytes, which this worker has not; install it there (pip install "
            "bitsandbytes), or use method: lora.",
        )


def require_targets(source: ModelSource, lora: LoraSettings) -> None:
    """Raise RunError(invalid_spec) as `with_lora` would, by the base model's configuration, before a weight is read."""
    if lora.target_modules == "all-linear":
        return
    try:
        config = AutoConfig.from_pretrained(source.location, revision=source.revision, trust_remote_code=False)
        with torch.device("meta"):  # layers without their numbers
            base = AutoModelForCausalLM.from_config(config)
    except Exception:
        return  # to load such a model fails too, and says why
    _targets(base, lora)


def quantization(compute_dtype: str) -> Any:
    """Return 4-bit NormalFloat with double quantization, as in QLoRA (Dettmers et al. 2023, section 3)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, compute_dtype),
    )


def apply_liger(base: Any, device: torch.device) -> bool:
    """Replace norms, rotary embedding and gated products by liger-kernel's, on CUDA where it is installed.

    Returns whether it was done. The loss stays ours: it is computed at the learned tokens alone.
    """
    if device.type != "cuda" or importlib.util.find_spec("liger_kernel") is None:
        return False
    # An optional package, not installed where it cannot run.
    liger = importlib.import_module("liger_kernel.transformers.monkey_patch")
    if base.config.model_type not in liger.MODEL_TYPE_TO_APPLY_LIGER_FN:
        return False  # it would only log that it does nothing
    liger._apply_liger_kernel_to_instance(model=base, cross_entropy=False, fused_linear_cross_entropy=False)
    return True


def with_lora(base: Any, lora: LoraSettings, *, seed: int) -> Any:
    """Return `base` inside a PeftModelForCausalLM, its own weights frozen."""
    torch.manual_seed(seed)
    targets = _targets(base, lora)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=targets,
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        # GPT-2's layers hold their weights the other way round; peft finds that out by itself, with a warning for each.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
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
    if lora.target_modules == "all-linear":
        return "all-linear"
    wanted = [lora.target_modules] if isinstance(lora.target_modules, str) else list(lora.target_modules)
    linear = [name for name, module in base.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    unknown = [name for name in wanted if not any(path == name or path.endswith(f".{name}") for path in linear)]
    if unknown or not wanted:
        known, named = sorted({path.rsplit(".", 1)[-1] for path in linear}), ", ".join(map(repr, unknown)) or "nothing"
        raise RunError(
            EndReason.INVALID_SPEC,
            f"lora.target_modules names {named}, which this base model does not have. "
            f"Use all-linear, or names from: {', '.join(known)}.",
        )
    _refuse_tied_head(base, wanted)
    return wanted


def _refuse_tied_head(base: Any, wanted: list[str]) -> None:
    """Raise RunError(invalid_spec) when the layer of the logits is to be adapted but shares the embeddings' weights.

    Merged into those, its update would change the embeddings as well: another model than the one that was trained.
    """
    head = base.get_output_embeddings()
    if head is None or head.weight is not base.get_input_embeddings().weight:
        return
    path = next(name for name, module in base.named_modules() if module is head)
    if path.rsplit(".", 1)[-1] in {name.rsplit(".", 1)[-1] for name in wanted}:
        raise RunError(
            EndReason.INVALID_SPEC,
            f"lora.target_modules names {path!r}, whose weights this base model shares with its embeddings "
            "(tie_word_embeddings): the update would change both when it is merged. Leave it out, or use all-linear, "
            "which does.",
        )
