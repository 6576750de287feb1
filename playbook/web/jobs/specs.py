"""What jobs were launched with, as the contracts of this version read it."""

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from playbook.contracts.refusals import refusals
from playbook.web.jobs.errors import Refused

if TYPE_CHECKING:
    from playbook.web.jobs.models import Job

Spec = TypeVar("Spec", bound=BaseModel)


class UnreadableSpec(Refused):
    """The spec of a job is none of this version's: another version wrote it, or it was altered in the database.
    `reasons`: a sentence for each setting that is wrong."""

    def __init__(self, job: "Job", reasons: list[str]) -> None:
        super().__init__(f"The settings of job {job.pk} cannot be read: {' '.join(reasons)}")
        self.job = job
        self.reasons = reasons


def read(job: "Job", model: type[Spec]) -> Spec:
    """Return the spec of the job. Raises UnreadableSpec."""
    try:
        return model.model_validate(job.spec)
    except ValidationError as error:
        raise UnreadableSpec(job, [str(refusal) for refusal in refusals(error, model)]) from error
