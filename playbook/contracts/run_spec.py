"""The run spec: everything a trainer needs to know, in one validated JSON file (`RUN_DIR/spec.json`).

Fields of `LoraSettings` and `TrainingSettings` carry their upstream names (peft `LoraConfig`, transformers
`TrainingArguments`), so that a reader finds them in the upstream documentation.
"""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from playbook.contracts.dataset import Split

# `as`: these names belong to a run spec as much as to where they stand, and are imported from both.
from playbook.contracts.metrics import Metric as Metric
from playbook.contracts.metrics import MetricSettings
from playbook.contracts.model import Frozen
from playbook.contracts.model import Sha256 as Sha256
from playbook.contracts.prompting import DocumentsFile, PromptSettings, RetrievalSettings


class Arm(StrEnum):
    """One approach measured in a job. `lora` is the tuned model, whichever method tuned it; `rag` puts passages found
    for the question into the prompt."""

    ZERO_SHOT = "zero_shot"
    FEW_SHOT = "few_shot"
    RAG = "rag"
    LORA = "lora"
    RAG_LORA = "rag_lora"

    @property
    def is_tuned(self) -> bool:
        return self in (Arm.LORA, Arm.RAG_LORA)

    @property
    def retrieves(self) -> bool:
        return self in (Arm.RAG, Arm.RAG_LORA)

    @property
    def is_prompt_alone(self) -> bool:
        """Nothing but words in the prompt: what every other arm has to beat."""
        return self in (Arm.ZERO_SHOT, Arm.FEW_SHOT)


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


class Method(StrEnum):
    """Which weights are trained. `lora`: adapters beside the frozen base. `qlora`: the same on a base in 4 bits
    (Dettmers et al. 2023), on a CUDA device with bitsandbytes. `full`: all weights; what is left behind is then a
    whole model."""

    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"


_WARMUP_STEPS = 3


class Settings(Frozen):
    """Numbers that people type: NaN and infinity are none."""

    model_config = ConfigDict(allow_inf_nan=False)


class LoraSettings(Settings):
    """peft `LoraConfig`. The update of a weight W (out, in) is (lora_alpha / r) · B A, with A (r, in), B (out, r)
    (Hu et al. 2021, section 4.1). Unused by `method: full`."""

    r: int = Field(
        default=16, ge=1, le=1024, description="rank of the update; peft's own default is 8, ours that of our recipes"
    )
    lora_alpha: float = Field(
        default=32, gt=0, le=4096, description="scale: the update is multiplied by alpha / r; 2 r as in Biderman 2024"
    )
    lora_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of the adapter's inputs set to zero; 0 is peft's default"
    )
    target_modules: str | tuple[str, ...] = Field(
        default="all-linear",
        description="'all-linear' (QLoRA, Dettmers 2023: all layers are needed) or the names of the modules to adapt",
    )
    use_rslora: bool = Field(
        default=False, description="scale by alpha / sqrt(r) instead (Kalajdzievski 2023): for ranks of 64 and more"
    )
    use_dora: bool = Field(
        default=False,
        description="learn magnitude and direction apart (Liu 2024, DoRA): slower, sometimes better at low rank",
    )

    @field_validator("target_modules", mode="before")
    @classmethod
    def _a_list_may_hold_all(cls, value: Any) -> Any:
        return "all-linear" if value in (["all-linear"], ("all-linear",)) else value


class OverLength(StrEnum):
    """What happens to a row longer than `max_length`: the user chooses, and it is always counted."""

    REFUSE = "refuse"
    DROP = "drop"
    TRUNCATE = "truncate"


class TrainingSettings(Settings):
    """transformers `TrainingArguments`, the part that a small run needs. `early_stopping_patience` is named as in its
    `EarlyStoppingCallback`, `max_length` and `packing` as in TRL's `SFTConfig`."""

    learning_rate: float = Field(
        default=5e-4,
        gt=0,
        le=1,
        description="peak, per step; LoRA takes about 10 times that of full tuning (Biderman 2024): 5e-5 for full",
    )
    per_device_train_batch_size: int = Field(
        default=8, ge=1, le=1024, description="rows per forward pass; 8 is transformers' default"
    )
    gradient_accumulation_steps: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="forward passes per optimizer step; the loss is the same as in one pass; transformers' default",
    )
    max_steps: int = Field(
        default=30, ge=1, le=1_000_000, description="optimizer steps; the data repeats as needed; 30 takes a minute"
    )
    warmup_steps: int = Field(
        default=_WARMUP_STEPS,
        ge=0,
        le=1_000_000,
        description="linear warm-up, in optimizer steps, not beyond max_steps; a tenth of the run (smol-course)",
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="how the learning rate falls after the warm-up; transformers' default"
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="AdamW's, per step, on all that is trained but biases and norms; transformers' default",
    )
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="the gradient is scaled down to this L2 norm, by 0 never; transformers' default"
    )
    max_length: int = Field(
        default=512, ge=8, le=131_072, description="tokens per row, prompt and answer together; TRL's default is 1024"
    )
    over_length: OverLength = Field(
        default=OverLength.REFUSE, description="what happens to a longer row; refused, so that no token goes unnoticed"
    )
    eval_steps: int = Field(
        default=10,
        ge=1,
        le=1_000_000,
        description="optimizer steps between two validation losses; three in a short run",
    )
    save_steps: int = Field(
        default=10,
        ge=1,
        le=1_000_000,
        description="optimizer steps between two checkpoints; what a killed run has to repeat at most",
    )
    early_stopping_patience: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="validations in a row without a better loss after which training stops; none: never",
    )
    load_best_model_at_end: bool = Field(
        default=False,
        description="hand over the weights of the best validation, not the last; transformers' default is off",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="compute activations twice to hold less of them: about a third slower; switched on by itself when "
        "the memory estimate exceeds what is free",
    )
    packing: bool = Field(
        default=False,
        description="lay the rows of a pass end to end behind a block mask instead of padding; TRL's default is off",
    )
    use_liger_kernel: bool = Field(
        default=False, description="fused kernels on CUDA, when liger-kernel is installed; transformers' default is off"
    )
    torch_compile: bool = Field(
        default=False,
        description="compile the layers on CUDA if the rest of the run repays the wait; off is transformers' default",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_warm_up_fits(cls, data: Any) -> Any:
        steps = data.get("max_steps") if isinstance(data, dict) and "warmup_steps" not in data else None
        return data | {"warmup_steps": steps} if isinstance(steps, int) and 0 < steps < _WARMUP_STEPS else data

    @property
    def warmup_problem(self) -> str | None:
        """Why nothing should be trained so, None when it may. Asked before a run; stored runs stay readable."""
        if self.warmup_steps <= self.max_steps:
            return None
        return (
            f"warmup_steps is {self.warmup_steps}, beyond max_steps {self.max_steps}: the learning rate would never "
            f"reach {self.learning_rate:g}. Set warmup_steps to {self.max_steps} at most, or raise max_steps."
        )


class ExampleChoice(StrEnum):
    """Which train rows the few-shot arm shows. `seed`: drawn once, the same for every question. `nearest`: for each
    question those whose prompts are most like it, by BM25."""

    SEED = "seed"
    NEAREST = "nearest"


class EvaluationSettings(MetricSettings):
    """What is measured on the held-out split, and how answers are generated: greedily, in batches."""

    model_config = Settings.model_config

    arms: tuple[Arm, ...] = Field(default=(Arm.ZERO_SHOT, Arm.LORA), description="approaches, in the report's order")
    max_new_tokens: int = Field(default=64, ge=1, le=4096, description="an answer is cut after so many tokens")
    batch_size: int = Field(default=20, ge=1, le=1024, description="rows generated at a time")
    evaluation_dtype: Literal["auto", "float32"] = Field(
        default="auto",
        description="number format of every arm: that of training, or float32, in which an answer does not depend on "
        "batch_size; slower where bfloat16 is quicker",
    )
    few_shot_examples: int = Field(default=4, ge=1, le=64, description="rows of the train split shown in the prompt")
    few_shot_choice: ExampleChoice = Field(
        default=ExampleChoice.SEED, description="which rows: drawn by the seed, or those nearest to each question"
    )
    repeats: int = Field(
        default=1,
        ge=1,
        le=10,
        description="times that few_shot is measured, each with examples of another seed: the noise between runs. "
        "Greedy answers of the other arms never change",
    )
    split: Literal[Split.TEST, Split.VALIDATION] = Field(
        default=Split.TEST,
        description="rows to answer; validation, for work on a prompt, leaves the locked test split unread",
    )
    retention_accuracy_limit: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="share of the general set that tuning may lose before the report warns",
    )
    retention_loss_limit: float = Field(
        default=0.2,
        gt=0,
        le=100,
        description="rise of the loss on the general set, in nats per token, before the report warns",
    )

    @model_validator(mode="after")
    def _arms_are_distinct(self) -> Self:
        if not self.arms or len(set(self.arms)) != len(self.arms):
            raise ValueError(f"arms must be a non-empty list without repeats, got {list(self.arms)}")
        return self

    @model_validator(mode="after")
    def _tuned_arms_answer_the_test_split(self) -> Self:
        tuned = [str(arm) for arm in self.arms if arm.is_tuned]
        if self.split is Split.VALIDATION and tuned:
            raise ValueError(
                f"split: validation cannot measure {', '.join(tuned)}: training chooses its best step by these rows. "
                "Leave those arms out, or measure on test"
            )
        return self


class RunSettings(Frozen):
    """What a recipe fixes: all of a run but its data."""

    base_model: BaseModelRef = Field(description="what is adapted")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of adapter initialisation and data order")
    method: Method = Field(default=Method.LORA, description="which weights are trained: lora, qlora (CUDA) or full")
    lora: LoraSettings = Field(default=LoraSettings(), description="the adapter")
    training: TrainingSettings = Field(default=TrainingSettings(), description="the training loop")
    prompt: PromptSettings = Field(default=PromptSettings(), description="what stands around each row")
    retrieval: RetrievalSettings = Field(default=RetrievalSettings(), description="how passages are found and shown")
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


class CostSettings(Frozen):
    """What an hour of the worker's machine costs, as it was on the day of the launch."""

    hour_rate: float = Field(ge=0, allow_inf_nan=False, description="price of an hour; 0: no costs are shown")
    currency: str = Field(default="", max_length=20, description="text behind every cost")


class RunSpec(RunSettings):
    """A run: settings plus the three splits, and documents where an arm retrieves. The files lie in
    `RUN_DIR/inputs/<split>.jsonl` and `documents.jsonl`."""

    schema_version: Literal[1] = Field(default=1, description="of this format")
    cost: CostSettings | None = Field(default=None, description="what the machine costs; none: not known")
    inputs: tuple[InputFile, ...] = Field(description="the three splits")
    documents: DocumentsFile | None = Field(default=None, description="what the arms rag and rag_lora search")

    @model_validator(mode="after")
    def _has_each_split_once(self) -> Self:
        splits = sorted(file.split for file in self.inputs)
        if splits != sorted(Split):
            raise ValueError(f"a run needs each of {[str(s) for s in Split]} exactly once, got {splits}")
        return self

    @model_validator(mode="after")
    def _retrieval_has_documents(self) -> Self:
        searching = [str(arm) for arm in self.evaluation.arms if arm.retrieves]
        if self.trains and self.retrieval.in_training:
            searching.append("in_training")
        if searching and self.documents is None:
            raise ValueError(f"{', '.join(searching)}: there are no documents to search; choose a document set")
        return self

    @property
    def retrieves(self) -> bool:
        """Whether the documents are searched."""
        return any(arm.retrieves for arm in self.evaluation.arms) or (self.trains and self.retrieval.in_training)

    @property
    def trains(self) -> bool:
        """Whether anything is tuned. A run of prompt arms alone is measured without training."""
        return any(arm.is_tuned for arm in self.evaluation.arms)

    @property
    def measured_rows(self) -> InputFile:
        """The split whose rows are answered."""
        return self.input(self.evaluation.split)

    def input(self, split: Split) -> InputFile:
        return next(file for file in self.inputs if file.split is split)


class PromptTrial(RunSpec):
    """A run of the prompt workbench: one prompt, nothing trained, answered on the validation split.

    The locked test split cannot be named by it, so work on a prompt cannot wear it out.
    """

    @model_validator(mode="after")
    def _answers_validation_rows_by_a_prompt_alone(self) -> Self:
        if self.evaluation.split is not Split.VALIDATION:
            raise ValueError("a prompt is tried on the validation split, never on test; measure it on test in a job")
        others = [str(arm) for arm in self.evaluation.arms if not arm.is_prompt_alone]
        if others:
            raise ValueError(f"a prompt is tried by itself, not with {', '.join(others)}; launch a job for those arms")
        return self


class Recipe(Frozen):
    """A preset, one file in `content/recipes/`."""

    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    summary: str
    settings: RunSettings
