"""Reads on prompts: with permission, and the rows that the workbench offers."""

from pathlib import Path

from django.db.models import Prefetch, QuerySet
from django.http import Http404

from playbook.contracts.dataset import Split
from playbook.datasets.rows import NumberedRow, Query, rows_at, search
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.datasets.models import Dataset, DatasetVersion
from playbook.web.prompts.models import Prompt, PromptVersion
from playbook.web.usecases.models import UseCase
from playbook.web.usecases.permissions import get_visible

#: Train rows that the workbench offers at once.
OFFERED_ROWS = 5


def visible_prompts(user: User) -> QuerySet[Prompt]:
    """Return the prompts of the list page, versions at hand."""
    return _with_versions(Prompt.objects.for_member(user).select_related("use_case"))


def prompts_of(use_case: UseCase) -> QuerySet[Prompt]:
    return _with_versions(Prompt.objects.filter(use_case=use_case))


def get_prompt(user: User, pk: int) -> Prompt:
    """Return a prompt of a use case that the user belongs to. Raises Http404 otherwise."""
    return get_visible(user, _with_versions(Prompt.objects.select_related("use_case")), pk=pk)


def version_of(prompt: Prompt, number: str) -> PromptVersion | None:
    """Return the version with this number; for "" the latest, None while there is none. Raises Http404."""
    if not number:
        return prompt.latest
    found = next((version for version in prompt.versions.all() if str(version.number) == number), None)
    if found is None:
        raise Http404(f"{prompt} has no version {number!r}")
    return found


def dataset_versions(use_case: UseCase) -> dict[int, DatasetVersion]:
    """Return the newest version of each dataset that a prompt of the use case may be tried on, by dataset; its own
    first."""
    datasets = Dataset.objects.for_use_case(use_case).order_by("is_sample", "name", "id")
    found = datasets.prefetch_related("versions__files", "versions__dataset")
    return {dataset.pk: latest for dataset in found if (latest := dataset.latest) is not None}


def train_rows(version: DatasetVersion, text: str) -> tuple[NumberedRow, ...]:
    """Return the first train rows that say `text`, to choose worked examples from."""
    return search(_train_path(version), Query(text=text), after=0, count=OFFERED_ROWS).rows


def train_row(version: DatasetVersion, number: int) -> NumberedRow | None:
    """Return train row `number` (from 1), or None when there is none."""
    example = rows_at(_train_path(version), [number]).get(number)
    return None if example is None else NumberedRow(number, example)


def _train_path(version: DatasetVersion) -> Path:
    file = next(file for file in version.files.all() if file.split == Split.TRAIN)
    return blobs.path_of(file.sha256)


def _with_versions(prompts: QuerySet[Prompt]) -> QuerySet[Prompt]:
    return prompts.prefetch_related(Prefetch("versions", PromptVersion.objects.select_related("created_by", "prompt")))
