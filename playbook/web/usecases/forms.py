"""Forms of use cases."""

from typing import Any

from django import forms

from playbook.contracts.roles import SIGNING_ROLES, Role
from playbook.web.accounts.models import User
from playbook.web.usecases.models import ROLE_CHOICES, UseCase

_ROLE_HELP = {
    Role.ML_LEAD: "Signs that the plan is technically sound.",
    Role.PRODUCT_OWNER: "Signs that the problem is worth solving this way.",
    Role.DATA_STEWARD: "Signs that the data may be used.",
}


class UseCaseForm(forms.Form):
    """Name, description and who holds each signing role (optional now, needed before a decision is signed)."""

    name = forms.CharField(
        max_length=120, help_text="What the team wants from a model, such as “Support ticket triage”."
    )
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Who asks, what comes in, what should come out.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for role in sorted(SIGNING_ROLES):
            self.fields[role] = forms.ModelChoiceField(
                queryset=User.objects.filter(is_active=True),
                required=False,
                label=role.replace("_", " ").capitalize().replace("Ml ", "ML "),
                help_text=_ROLE_HELP[role],
                empty_label="Nobody yet",
            )

    def members(self) -> dict[Role, list[User]]:
        """Return the chosen people by role."""
        return {role: [self.cleaned_data[role]] for role in SIGNING_ROLES if self.cleaned_data.get(role)}


class MemberForm(forms.Form):
    user = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True), label="Person", empty_label="Choose a person"
    )
    role = forms.ChoiceField(choices=ROLE_CHOICES)


class DelegationForm(forms.Form):
    """Who signs for a role holder, in which of their roles, until when. `roles`: the signing roles of the giver."""

    role = forms.ChoiceField(label="Your role")
    delegate = forms.ModelChoiceField(queryset=User.objects.none(), label="Who signs for you")
    until = forms.DateField(label="Until the end of", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))

    def __init__(self, *args: Any, use_case: UseCase, giver: User, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(label="Your role", choices=[(role.value, role.label) for role in roles])
        members = User.objects.filter(is_active=True, memberships__use_case=use_case).exclude(pk=giver.pk).distinct()
        self.fields["delegate"] = forms.ModelChoiceField(
            queryset=members,
            label="Who signs for you",
            empty_label="Choose a person",
            help_text="Somebody in this team; viewers may be asked too.",
        )
