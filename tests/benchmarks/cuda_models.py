"""On a CUDA machine: our trainer on a Llama of a billion parameters with random weights. Nothing is downloaded.

`bench_trainer` calls it; without a GPU it gives no row and says why.
"""

import json
import shutil
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from playbook.contracts.run_spec import RunSpec
from playbook.trainer.folder import default_models_dir
from playbook.trainer.sample_model import SAMPLE_MODEL_ID

BILLION_ID = "llama-1b-random"
#: The shape of Llama 3.2 1B.
BILLION = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


def write_random_llama(models_dir: Path, model_id: str, shape: dict[str, int | bool]) -> None:
    """Write a model of this shape with random bf16 weights, and the tokenizer of the sample model, which fits into it.

    The first ids of the vocabulary are those of the tokenizer; the others are never asked for.
    """
    folder, sample = models_dir / model_id, default_models_dir() / SAMPLE_MODEL_ID
    ids = json.loads((sample / "config.json").read_text(encoding="utf-8"))
    config = LlamaConfig(**shape, **{name: ids[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")})
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for file in sample.iterdir():
        if file.name.startswith(
            ("tokenizer", "special_tokens", "chat_template", "generation_config", "vocab", "merges")
        ):
            shutil.copy(file, folder / file.name)


def for_billion(spec: RunSpec, *, steps: int) -> RunSpec:
    """Return the sample job's spec for the large model: more rows at a time, few steps, short answers."""
    evaluation = spec.evaluation.model_copy(update={"max_new_tokens": 8})
    training = spec.training.model_copy(
        update={"per_device_train_batch_size": 32, "max_steps": steps, "eval_steps": steps, "save_steps": steps}
    )
    base_model = spec.base_model.model_copy(update={"id": BILLION_ID})
    return spec.model_copy(update={"base_model": base_model, "training": training, "evaluation": evaluation})
