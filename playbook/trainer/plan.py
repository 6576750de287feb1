"""What a run is about to do: how rows lie, how much work that is, and the effective configuration, all of it told."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from playbook.contracts.events import Configured, Plain, plain_value
from playbook.contracts.run_spec import Arm, Method
from playbook.scoring.figures import counted
from playbook.trainer.artifacts import device_name
from playbook.trainer.data import Row
from playbook.trainer.day import DAY
from playbook.trainer.generate import tokens_to_read
from playbook.trainer.layout import VALIDATION_BATCH_ROWS, Layout, computed_tokens, shared_tokens
from playbook.trainer.loss import joins_exactly, packs_exactly
from playbook.trainer.model import LoadedModel
from playbook.trainer.number_format import probe_products
from playbook.trainer.preflight import Checked
from playbook.trainer.prepare import Prepared, Run
from playbook.trainer.schedule import Workload, step_cost

#: Tokens of the general set, about; it is recalled before and after.
_GENERAL_TOKENS = 3000
#: Of the tokens of a step; less is nothing to speak of.
_LEAST_SAID = 0.01


def choose_layout(run: Run, prepared: Prepared, loaded: LoadedModel) -> Layout:
    """Return how rows will lie: joined where no logit of this model changes by it, or packed where the spec asks."""
    rows, pad_id = prepared.train.rows, prepared.tokenizer.pad_token_id
    if joins_exactly(loaded, rows, pad_id=pad_id, longest=prepared.longest):
        return Layout.JOINED
    if not run.spec.training.packing:
        return Layout.PADDED
    if packs_exactly(loaded, rows, pad_id=pad_id):
        return Layout.PACKED
    run.emitter.warn(
        "packing is switched off: in this model packed rows would see each other. Rows are padded instead."
    )
    return Layout.PADDED


def workload_of(run: Run, prepared: Prepared, layout: Layout) -> Workload:
    """Return the work of the run. The tuned model's answers are as long as those expected, which it was taught; an
    untuned one goes on until it is cut."""
    training, evaluation = run.spec.training, run.spec.evaluation
    per_step = _mean_length(prepared.train.rows) * _rows_per_step(run) - _repeated(run, prepared, layout)
    answer = max(len(row.encoded.input_ids) - row.encoded.prompt_length for row in prepared.held)
    taught = min(answer, evaluation.max_new_tokens)
    every = [*prepared.questions.items(), *((Arm.FEW_SHOT, found) for found in prepared.repeated)]
    asked = [(arm, [one.prompt_ids for one in found if one.error is None]) for arm, found in every]
    config = prepared.config.get_text_config()
    return Workload(
        training_step=per_step,
        validation=computed_tokens(prepared.validation.rows, layout, batch_size=VALIDATION_BATCH_ROWS),
        validations=math.ceil(training.max_steps / training.eval_steps),
        generated_tokens=sum(
            len(prompts) * (taught if arm.is_tuned else evaluation.max_new_tokens) for arm, prompts in asked
        ),
        prompt_tokens=sum(tokens_to_read(config, prompts) for _, prompts in asked) + 2 * _GENERAL_TOKENS,
        step_cost=step_cost(run.spec),
    )


def configuration(
    run: Run, prepared: Prepared, loaded: LoadedModel, checked: Checked, *, layout: Layout, fused: dict[str, int]
) -> Configured:
    """Return the effective configuration: what the trainer uses, which may differ from what the spec asks."""
    spec = run.spec
    effective: dict[str, Plain] = {
        "base_model": spec.base_model.id,
        "seed": spec.seed,
        "method": str(spec.method),
        "device": device_name(loaded.device),
        "compute_dtype": loaded.compute_dtype,
        "attention": loaded.attention,
        **_probed(loaded),
        "trained_dtype": "float32",
        "optimizer": "adamw (fused)",
        "context_length": prepared.context_length,
        **({"chat_template_day": day} if (day := template_day(prepared)) else {}),
        "train_rows": len(prepared.train.rows),
        "train_rows_dropped": len(prepared.train.dropped_lines),
        "train_rows_truncated": len(prepared.train.truncated_lines),
        "validation_rows": len(prepared.validation.rows),
        "rows_per_step": _rows_per_step(run),
        "epochs": round(spec.training.max_steps * _rows_per_step(run) / len(prepared.train.rows), 3),
    }
    parts = (
        (spec.training, spec.evaluation) if spec.method is Method.FULL else (spec.lora, spec.training, spec.evaluation)
    )
    for part in parts:
        for name, value in part.model_dump(mode="json").items():
            effective[name] = plain_value(value)
    effective["max_length"] = prepared.max_length
    effective["gradient_checkpointing"] = checked.checkpointing
    effective["packing"] = run.spec.training.packing and layout is not Layout.PADDED
    effective["rows"] = str(layout)
    effective["fused"] = ", ".join(fused) or "nothing"
    effective["use_liger_kernel"] = loaded.liger
    effective["torch_compile"] = spec.training.torch_compile and loaded.device.type == "cuda"
    return Configured(
        at=datetime.now(UTC),
        effective=effective,
        trainable_parameters=loaded.trainable_parameters,
        total_parameters=loaded.total_parameters,
    )


def log_plan(run: Run, prepared: Prepared, layout: Layout) -> None:
    """Log what training will do and what is computed once; warn of a max_length beyond the context."""
    steps, rows = run.spec.training.max_steps, len(prepared.train.rows)
    passes = steps * _rows_per_step(run) / rows
    run.emitter.log(
        f"Training {counted(steps, 'step')} of {counted(_rows_per_step(run), 'row')}: {passes:.1f} passes over "
        f"{counted(rows, 'row')}."
    )
    share = _repeated(run, prepared, layout) / _rows_per_step(run) / _mean_length(prepared.train.rows)
    if share >= _LEAST_SAID:
        shared = counted(shared_tokens(prepared.train.rows), "token")
        run.emitter.log(
            f"All begin with the same {shared}, computed once for the rows of a batch: {share:.0%} less to compute."
        )
    if prepared.max_length < run.spec.training.max_length:
        run.emitter.warn(
            f"max_length {run.spec.training.max_length} exceeds the context of the base model; "
            f"{prepared.max_length} is used."
        )


def template_day(prepared: Prepared) -> str | None:
    return DAY.date().isoformat() if prepared.builder.asks_for_the_day else None


def _probed(loaded: LoadedModel) -> dict[str, float]:
    """Return what the choice of the number format was made by, in 10^9 operations a second; nothing on a GPU."""
    if loaded.device.type == "cuda":
        return {}
    return {f"probed_{name}_gflops": round(speed / 1e9, 1) for name, speed in probe_products().items()}


def _repeated(run: Run, prepared: Prepared, layout: Layout) -> int:
    """Return how many tokens of a step are not computed again, because all rows begin with them."""
    if layout is not Layout.JOINED:
        return 0
    again = run.spec.training.per_device_train_batch_size - 1
    return shared_tokens(prepared.train.rows) * again * run.spec.training.gradient_accumulation_steps


def _mean_length(rows: Sequence[Row]) -> float:
    return sum(len(row.encoded.input_ids) for row in rows) / len(rows)


def _rows_per_step(run: Run) -> int:
    return run.spec.training.per_device_train_batch_size * run.spec.training.gradient_accumulation_steps
