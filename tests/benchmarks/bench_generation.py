"""Answers in batches against one after the other: the same model, prompts and code, in one run.

`python -m tests.benchmarks generation`. The untuned sample model answers test rows of the shipped tickets, so answers
are of different lengths and half of them are cut. Both promises are those of `evaluation_dtype: float32`: the same text
to the letter, and five times as quick. Where bfloat16 is quicker, which is what a run takes then unless it is asked for
float32, it is measured beside it without a promise: products of another shape round differently, and where two tokens
are about equally likely that decides which one is said.
"""

import os
import tempfile
import time
from pathlib import Path

import torch

from playbook.contracts.dataset import Split, read_examples
from playbook.contracts.run_spec import BaseModelRef
from playbook.trainer.decode import attend_in_groups
from playbook.trainer.folder import default_models_dir
from playbook.trainer.generate import Generated, Generator, answer
from playbook.trainer.model import (
    choose_attention,
    choose_device,
    load_base,
    load_tokenizer,
    read_limits,
    resolve,
)
from playbook.trainer.number_format import faster_dtype
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.sample_model import SAMPLE_MODEL_ID
from playbook.trainer.stop import Stop
from tests.benchmarks.table import Row
from tests.shipped import CONTENT, run_python

ROWS, BATCH_SIZE, MAX_NEW_TOKENS = 40, 20, 48
PROMISED = 5.0


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows. Takes some three minutes on 2 quiet cores, most of them for one answer after the other."""
    run_python("-m", "playbook.trainer.sample_model")
    device = choose_device()
    compute = faster_dtype(device)
    rows = _rows("float32", is_promised=True)
    if compute != "float32":
        rows += _rows(compute, is_promised=False)
    settings = {"rows": ROWS, "batch_size": BATCH_SIZE, "max_new_tokens": MAX_NEW_TOKENS, "device": str(device)}
    return rows, settings | {"compute_dtype": compute, "load_average_at_end": os.getloadavg()}


def _rows(dtype: str, *, is_promised: bool) -> list[Row]:
    one, alone = _answer(dtype, batch_size=1)
    many, together = _answer(dtype, batch_size=BATCH_SIZE)
    same = sum(left.text == right.text for left, right in zip(one, many, strict=True))
    name = f"generation, {dtype}"
    return [
        Row(f"{name}: one by one", ROWS / alone, "items/s"),
        Row(f"{name}: in batches of {BATCH_SIZE}", ROWS / together, "items/s"),
        Row(f"{name}: batches against one by one", alone / together, "x", at_least=PROMISED if is_promised else None),
        Row(f"{name}: the same text", same, f"of {ROWS}", at_least=float(ROWS) if is_promised else None),
    ]


def _answer(dtype: str, *, batch_size: int) -> tuple[list[Generated], float]:
    """Return the answers in the order of the rows, and the seconds that they took. The model is loaded before."""
    source = resolve(BaseModelRef(id=SAMPLE_MODEL_ID), default_models_dir())
    tokenizer, device = load_tokenizer(source), choose_device()
    _, end_ids = read_limits(source, tokenizer)
    builder = PromptBuilder(tokenizer, end_ids=end_ids)
    with (CONTENT / "datasets" / "support-tickets" / f"{Split.TEST}.jsonl").open("rb") as lines:
        examples = read_examples(lines).examples[:ROWS]
    prompts = [builder.prompt_ids(example.prompt, where="test.jsonl") for example in examples]
    attention = choose_attention(device, longest=max(map(len, prompts)), compute_dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        model = load_base(source, device=device, dtype=dtype, attention=attention).eval()
        attend_in_groups(model)
        generator = Generator(
            model=model,
            tokenizer=tokenizer,
            device=device,
            end_ids=end_ids,
            max_new_tokens=MAX_NEW_TOKENS,
            batch_size=batch_size,
            stop=Stop(lease=Path(folder) / "lease", max_lease_age_seconds=None),
        )
        list(answer(generator, prompts[:1]))  # the first call builds kernels
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.monotonic()
        found: dict[int, Generated] = {}
        for batch in answer(generator, prompts):
            found |= batch
        return [found[at] for at in range(len(prompts))], time.monotonic() - start
