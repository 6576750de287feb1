"""Train a run folder with TRL's SFTTrainer and write its seconds, loss, memory and the answers of its adapter.

`python -m tests.benchmarks.trl_sft RUN_DIR MODELS_DIR default|best`, as a process of its own, so that memory is its
alone. Writes `RUN_DIR/trl-default.json` or `trl-best.json`. "best" is what makes TRL quickest here: weights in the
quicker number format and no gradient checkpointing.

TRL computes in bfloat16 by default, also on a CPU that has to emulate it, where a product takes fifty times as long as
in float32. Nobody would wait for that, and to be quicker than it proves nothing: there its default is float32 too.
"""

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

from playbook.contracts.asking import Asker
from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import Arm, RunSpec
from playbook.scoring.metrics import Judge
from playbook.trainer.data import NumberedExample, read_split
from playbook.trainer.evaluate import ArmRun
from playbook.trainer.folder import RunFolder
from playbook.trainer.generate import Generator
from playbook.trainer.model import (
    choose_device,
    load_tokenizer,
    read_limits,
    resolve,
)
from playbook.trainer.number_format import faster_dtype, probe_products
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.questions import Held, build_questions
from playbook.trainer.stop import Stop

#: A product in bfloat16 that reaches less than this share of float32's is computed without instructions for it.
_EMULATED = 0.2


def main() -> None:
    folder, models_dir, flags = RunFolder(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    spec = RunSpec.model_validate_json(folder.spec.read_bytes())
    source = resolve(spec.base_model, models_dir)
    stop = Stop(lease=folder.lease, max_lease_age_seconds=None)
    splits = {split: read_split(folder, spec.input(split), stop=stop) for split in Split}
    dtype = faster_dtype(choose_device())
    products = probe_products()
    # Both by a probe of this machine: what makes TRL quickest, and whether its own default is out of the question.
    float32 = dtype == "float32" if flags == "best" else products["bfloat16"] < _EMULATED * products["float32"]
    settings = _settings(spec, output=folder.root / f"trl-{flags}", best=flags == "best", float32=float32)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            source.location, dtype=getattr(torch, dtype) if flags == "best" else torch.float32
        ),
        args=settings,
        train_dataset=Dataset.from_list([_row(numbered) for numbered in splits[Split.TRAIN]]),
        processing_class=load_tokenizer(source),
        peft_config=LoraConfig(
            r=spec.lora.r,
            lora_alpha=spec.lora.lora_alpha,
            lora_dropout=spec.lora.lora_dropout,
            target_modules=spec.lora.target_modules,
            task_type="CAUSAL_LM",
        ),
    )
    start = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - start
    peak_memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    trainer.save_model(str(folder.root / f"trl-{flags}"))
    tokenizer = load_tokenizer(source)
    context_length, end_ids = read_limits(source, tokenizer)
    held = Held(
        name="test.jsonl",
        rows=splits[Split.TEST],
        train=splits[Split.TRAIN],
        asker=Asker(spec.prompt, spec.retrieval),
        builder=PromptBuilder(tokenizer, end_ids=end_ids),
        spec=spec,
        context_length=context_length,
        watched=stop.watched,
    )
    generator = Generator(
        model=trainer.model.merge_and_unload().to(getattr(torch, dtype)).eval(),
        tokenizer=tokenizer,
        device=torch.device("cpu"),
        end_ids=end_ids,
        max_new_tokens=spec.evaluation.max_new_tokens,
        batch_size=spec.evaluation.batch_size,
        stop=stop,
    )
    run = ArmRun(Arm.LORA, spec, build_questions(Arm.LORA, held), Judge(spec.evaluation))
    run.run(generator, on_rows_done=lambda rows: None)
    arm = run.report()
    result = {
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes,
        "arm": arm.model_dump(mode="json"),
        "settings": {
            name: getattr(settings, name) for name in ("bf16", "gradient_checkpointing", "packing", "max_length")
        },
        "versions": {name: version(name) for name in ("trl", "datasets", "accelerate")},
    }
    (folder.root / f"trl-{flags}.json").write_text(json.dumps(result), encoding="utf-8")


def _settings(spec: RunSpec, *, output: Path, best: bool, float32: bool) -> SFTConfig:
    """The recipe's settings under TRL's names; everything else stays at TRL's default, or is set for speed."""
    training = spec.training
    return SFTConfig(
        output_dir=str(output),
        use_cpu=not torch.cuda.is_available(),
        seed=spec.seed,
        max_steps=training.max_steps,
        per_device_train_batch_size=training.per_device_train_batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler_type,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        **({"bf16": False} if float32 else {}),
        **({"gradient_checkpointing": False} if best else {}),
    )


def _row(numbered: NumberedExample) -> dict[str, Any]:
    """A row in TRL's conversational prompt-completion form, in which the completion alone is learned by default."""
    messages = [message.model_dump() for message in numbered.example.messages]
    return {"prompt": messages[:-1], "completion": messages[-1:]}


if __name__ == "__main__":
    main()
