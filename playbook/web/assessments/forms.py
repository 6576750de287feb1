"""Forms of assessments: start one, answer a question; a team's work on one question is in `question_forms`."""

from typing import Any

from django import forms

from playbook.contracts.roles import WRITING_ROLES
from playbook.web.accounts.models import User
from playbook.web.common.content import library
from playbook.web.usecases.forms import UseCaseForm
from playbook.web.usecases.models import Membership, UseCase

#: The choice of a use case that does not exist yet.
NEW = "new"


class StartForm(forms.Form):
    """Which use case to assess: one in which the user writes, or the new one that `NewUseCaseForm` describes."""

    use_case = forms.ChoiceField()
    article = forms.CharField(required=False, max_length=250, widget=forms.HiddenInput)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        writes = Membership.objects.filter(user=user, role__in=WRITING_ROLES).values("use_case")
        self.use_cases = {str(use_case.pk): use_case for use_case in UseCase.objects.filter(pk__in=writes)}
        self.fields["use_case"] = forms.ChoiceField(choices=[(NEW, "A new use case"), *self.use_cases.items()])

    def chosen(self) -> UseCase:
        """Return the chosen use case of a valid form that does not ask for a new one."""
        return self.use_cases[self.cleaned_data["use_case"]]

    def clean_article(self) -> str:
        """Keep the article only if the library has it: the address came from outside."""
        path: str = self.cleaned_data["article"].partition("#")[0]
        return path if path in library().articles else ""


class NewUseCaseForm(UseCaseForm):
    """The use case form inside the start form, where it may stay empty."""

    use_required_attribute = False
    prefix = "new"


class AnswerForm(forms.Form):
    """One answer. `seen_revision` and `seen_checklist` are what the page showed: a later answer of somebody else is not
    overwritten, and nobody answers a question that was put in other words meanwhile."""

    value = forms.CharField(
        required=False, max_length=2000, error_messages={"max_length": "Keep the answer under 2,000 characters."}
    )
    comment = forms.CharField(
        required=False, max_length=2000, error_messages={"max_length": "Keep the comment under 2,000 characters."}
    )
    seen_revision = forms.IntegerField(min_value=0, error_messages={"required": "Reload the page and answer again."})
    seen_checklist = forms.CharField(required=False, max_length=64)
