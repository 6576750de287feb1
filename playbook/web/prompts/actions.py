"""Writes on prompts: create one, append a version."""

from django.db import transaction
from django.db.models import Max

from playbook.contracts.prompting import PromptSettings
from playbook.web.accounts.models import User
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.prompts.models import Prompt, PromptVersion
from playbook.web.usecases.models import UseCase


def create_prompt(*, use_case: UseCase, name: str, created_by: User) -> Prompt:
    """Create a prompt without versions. Raises Conflict when the use case has one of this name."""
    with transaction.atomic():
        prompt, created = Prompt.objects.get_or_create(
            use_case=use_case, name=name, defaults={"created_by": created_by}
        )
        if not created:
            raise Conflict(f"“{use_case}” has a prompt called “{name}” already; open it, or choose another name.")
        record("created", prompt, actor=created_by)
    return prompt


def save_version(prompt: Prompt, *, settings: PromptSettings, note: str, author: User) -> PromptVersion:
    """Append a version. Raises Conflict, naming the version, when one with the same content is there."""
    digest = settings.digest
    with transaction.atomic():
        # Two people who save at once get two numbers.
        Prompt.objects.select_for_update().get(pk=prompt.pk)
        same = prompt.versions.filter(digest=digest).first()
        if same is not None:
            raise Conflict(f"This is version {same.number}, word for word; change something, or open that version.")
        last = prompt.versions.aggregate(last=Max("number"))["last"] or 0
        version = prompt.versions.create(
            number=last + 1,
            content=settings.model_dump(mode="json"),
            digest=digest,
            note=note,
            created_by=author,
        )
        record("added version", prompt, actor=author, number=version.number, digest=digest)
    return version
