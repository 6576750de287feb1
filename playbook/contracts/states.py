"""Job states, their legal transitions, and the closed list of reasons why a job ended.

The state names are those of the OpenAI fine-tuning API, plus `cancelling`.
"""

from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    VALIDATING_FILES = "validating_files"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: A claim moves a job from `queued` to `validating_files`: the worker validates with the real tokenizer before it
#: trains. A lost lease moves it back to `queued`. A job that finished before the cancel arrived still `succeeded`.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.VALIDATING_FILES, JobState.CANCELLED}),
    JobState.VALIDATING_FILES: frozenset(
        {JobState.RUNNING, JobState.QUEUED, JobState.CANCELLING, JobState.FAILED, JobState.SUCCEEDED}
    ),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.QUEUED, JobState.CANCELLING}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.FAILED, JobState.SUCCEEDED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

ACTIVE_STATES = frozenset({JobState.VALIDATING_FILES, JobState.RUNNING, JobState.CANCELLING})
ENDED_STATES = frozenset(state for state, following in TRANSITIONS.items() if not following)


class EndReason(StrEnum):
    """Why a job ended. Every ended job carries one; there is no "unknown"."""

    COMPLETED = "completed"
    CANCELLED_BY_USER = "cancelled_by_user"
    INVALID_SPEC = "invalid_spec"
    INVALID_DATASET = "invalid_dataset"
    ROW_TOO_LONG = "row_too_long"
    NOTHING_TO_LEARN = "nothing_to_learn"
    BASE_MODEL_MISSING = "base_model_missing"
    BASE_MODEL_UNREADABLE = "base_model_unreadable"
    INPUT_MISMATCH = "input_mismatch"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    TRAINER_CRASHED = "trainer_crashed"
    TRAINER_KILLED = "trainer_killed"
    UPLOAD_FAILED = "upload_failed"
    LEASE_LOST = "lease_lost"


#: What a person can do about each reason; shown on the job page under the message of the run itself.
WHAT_TO_DO: dict[EndReason, str] = {
    EndReason.COMPLETED: "Read the report, then record the outcome against the criterion.",
    EndReason.CANCELLED_BY_USER: "What was recorded until then is kept. Clone the job to run it again.",
    EndReason.INVALID_SPEC: "Clone the job with the named setting corrected, and correct the recipe if it sets that.",
    EndReason.INVALID_DATASET: "Correct the named line in the dataset, upload it as a new version and launch again.",
    EndReason.ROW_TOO_LONG: "Shorten the named row, raise max_length, or choose over_length: drop or truncate.",
    EndReason.NOTHING_TO_LEARN: "No token of the named rows is supervised: every example needs a non-empty answer.",
    EndReason.BASE_MODEL_MISSING: "Place the base model in the worker's models folder, or choose another base model.",
    EndReason.BASE_MODEL_UNREADABLE: "Fetch the base model again; only safetensors weights are read.",
    EndReason.INPUT_MISMATCH: "The file that arrived is not the file that was launched. Launch again; if it recurs, "
    "check the disk of the site and of the worker.",
    EndReason.DIVERGED: "The loss is no longer a finite number. Try a tenth of the learning rate.",
    EndReason.OUT_OF_MEMORY: "Change what the message names, or let a worker with more memory run it.",
    EndReason.DISK_FULL: "Free disk space on the worker and launch again.",
    EndReason.TRAINER_CRASHED: "Read the end of the log; the traceback is there.",
    EndReason.TRAINER_KILLED: "Something outside ended the trainer: most often the system, for lack of memory. Then "
    "halve per_device_train_batch_size and double gradient_accumulation_steps, or lower max_length.",
    EndReason.UPLOAD_FAILED: "The run ended but its results did not reach the site. Check the network and the disk.",
    EndReason.LEASE_LOST: "The worker fell silent on every attempt. Check that its machine is up, then launch again.",
}


class Stage(StrEnum):
    """The three stages of fine-tuning, as the job page shows them."""

    DATA = "data"
    TRAINING = "training"
    EVALUATION = "evaluation"
