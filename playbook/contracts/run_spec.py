"""The run spec: everything a trainer needs to know, in one validated JSON file (`RUN_DIR/spec.json`).

Fields of `LoraSettings` and `TrainingSettings` carry their upstream names (peft `LoraConfig`, transformers
`TrainingArguments`), so that a reader finds them in the upstream documentation.
"""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Arm(StrEnum):
    """One approach measured in a job."""

    ZERO_SHOT = "zero_shot"
    FEW_SHOT = "few_shot"
    LORA = "lora"


class Metric(StrEnum):
    """`exact_match`: if the reference parses as JSON both sides are compared as JSON values, else as text with
    runs of white space folded. `json_valid`: the output parses as JSON."""

    EXACT_MATCH = "exact_match"
    JSON_VALID = "json_valid"


class BaseModelRef(Frozen):
    """A base model by id. The worker resolves the id: its models folder first, then a local path, then the Hub."""

    id: str = Field(min_length=1, max_length=200, description="folder in the models folder, local path, or Hub id")
    revision: str | None = Field(default=None, max_length=100, description="branch, tag or commit, for a Hub id")

    @field_validator("id")
    @classmethod
    def _stays_in_the_models_folder(cls, value: str) -> str:
        if ".." in PurePosixPath(value).parts or "\x00" in value:
            raise ValueError(f"base model id {value!r} must not contain '..'; give a Hub id or a folder")
        return value


class LoraSettings(Frozen):
    """peft `LoraConfig`. The update of a weight W (out, in) is (lora_alpha / r) · B A, with A (r, in), B (out, r)
    (Hu et al. 2021, section 4.1)."""

    r: int = Field(default=16, ge=1, le=1024, description="rank of the update")
    lora_alpha: float = Field(default=32, gt=0, le=4096, description="scale; the update is multiplied by alpha / r")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the adapter's inputs set to zero")
    target_modules: str | tuple[str, ...] = Field(
        default="all-linear", description="'all-linear' or the names of the modules to adapt"
    )


class OverLength(StrEnum):
    """What happens to a row longer than `max_length`: the user chooses, and it is always counted."""

    REFUSE = "refuse"
    DROP = "drop"
    TRUNCATE = "truncate"


class TrainingSettings(Frozen):
    """transformers `TrainingArguments`, the part that a small LoRA run needs."""

    learning_rate: float = Field(default=5e-4, gt=0, le=1, description="peak; LoRA takes about 10x that of full tuning")
    per_device_train_batch_size: int = Field(default=8, ge=1, le=1024, description="rows per forward pass")
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, le=1024, description="forward passes per optimizer step; the loss is the same as in one pass"
    )
    max_steps: int = Field(default=30, ge=1, le=1_000_000, description="optimizer steps; the data repeats as needed")
    warmup_steps: int = Field(default=3, ge=0, description="linear warm-up, in optimizer steps")
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="how the learning rate falls after the warm-up"
    )
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="AdamW's, on the adapter")
    max_grad_norm: float = Field(default=1.0, gt=0, description="the gradient is scaled down to this norm")
    max_length: int = Field(default=512, ge=8, le=131_072, description="tokens per row, prompt and answer together")
    over_length: OverLength = Field(default=OverLength.REFUSE, description="what happens to a longer row")
    eval_steps: int = Field(default=10, ge=1, description="optimizer steps between two validation losses")
    save_steps: int = Field(default=10, ge=1, description="optimizer steps between two checkpoints")


class EvaluationSettings(Frozen):
    """What is measured on the test split, and how answers are generated: greedily, in batches."""

    arms: tuple[Arm, ...] = Field(default=(Arm.ZERO_SHOT, Arm.LORA), description="approaches, in the report's order")
    metric: Metric = Field(default=Metric.EXACT_MATCH, description="what makes a row right")
    max_new_tokens: int = Field(default=64, ge=1, le=4096, description="an answer is cut after so many tokens")
    batch_size: int = Field(default=20, ge=1, le=1024, description="rows generated at a time")
    few_shot_examples: int = Field(default=4, ge=1, le=64, description="rows of the train split shown in the prompt")

    @model_validator(mode="after")
    def _arms_are_distinct(self) -> Self:
        if not self.arms or len(set(self.arms)) != len(self.arms):
            raise ValueError(f"arms must be a non-empty list without repeats, got {list(self.arms)}")
        return self


class RunSettings(Frozen):
    """What a recipe fixes: all of a run but its data."""

    base_model: BaseModelRef = Field(description="what is adapted")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of adapter initialisation and data order")
    lora: LoraSettings = Field(default=LoraSettings(), description="the adapter")
    training: TrainingSettings = Field(default=TrainingSettings(), description="the training loop")
    evaluation: EvaluationSettings = Field(default=EvaluationSettings(), description="the measurement")


class InputFile(Frozen):
    """One split of a dataset, named by its content."""

    split: Split = Field(description="train, validation or test")
    sha256: Sha256 = Field(description="of the file's bytes; checked before the run")
    size_bytes: int = Field(ge=0, description="of the file")
    rows: int = Field(ge=1, description="examples, one a line")

    @property
    def name(self) -> str:
        return f"{self.split}.jsonl"


class RunSpec(RunSettings):
    """A run: settings plus the three splits. The files lie in `RUN_DIR/inputs/<split>.jsonl`."""

    schema_version: Literal[1] = Field(default=1, description="of this format")
    inputs: tuple[InputFile, ...] = Field(description="the three splits")

    @model_validator(mode="after")
    def _has_each_split_once(self) -> Self:
        splits = sorted(file.split for file in self.inputs)
        if splits != sorted(Split):
            raise ValueError(f"a run needs each of {[str(s) for s in Split]} exactly once, got {splits}")
        return self

    def input(self, split: Split) -> InputFile:
        return next(file for file in self.inputs if file.split is split)


class Recipe(Frozen):
    """A preset, one file in `content/recipes/`."""

    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    summary: str
    settings: RunSettings
