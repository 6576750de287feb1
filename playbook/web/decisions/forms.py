"""Forms of decisions: edit, sign, and the small ones that change the status."""

from typing import Any

from django import forms

from playbook.contracts.roles import Role
from playbook.library.definition import Checklist
from playbook.web.accounts.models import User
from playbook.web.decisions.actions import Content
from playbook.web.decisions.criterion import ARM_NAMES, METRIC_NAMES, two_places
from playbook.web.decisions.models import Decision, Status, Verdict

MAX_OPTIONS = 20


class OptionForm(forms.Form):
    """One considered option; an empty title removes it."""

    title = forms.CharField(required=False, max_length=300, label="Option")
    pros = forms.CharField(required=False, max_length=2000, label="Good, because", widget=forms.Textarea({"rows": 2}))
    cons = forms.CharField(required=False, max_length=2000, label="Bad, because", widget=forms.Textarea({"rows": 2}))


OptionFormSet = forms.formset_factory(OptionForm, extra=1, max_num=MAX_OPTIONS, absolute_max=MAX_OPTIONS)


class DecisionForm(forms.Form):
    """The content of a decision, but for its options."""

    seen_digest = forms.CharField(widget=forms.HiddenInput, max_length=64)
    seen_entry = forms.IntegerField(widget=forms.HiddenInput)
    title = forms.CharField(max_length=200)
    context = forms.CharField(
        required=False,
        max_length=10_000,
        label="Context and problem",
        widget=forms.Textarea({"rows": 8}),
        help_text="What the reader needs to know to judge the decision a year from now.",
    )
    chosen_outcome = forms.ChoiceField(label="Chosen option")
    consequences = forms.CharField(
        required=False,
        max_length=10_000,
        widget=forms.Textarea({"rows": 4}),
        help_text="What becomes easier and what becomes harder.",
    )
    review_on = forms.DateField(
        required=False, label="Review on", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, checklist: Checklist, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["chosen_outcome"] = forms.ChoiceField(
            label="Chosen option", choices=[(outcome.id, outcome.title) for outcome in checklist.outcomes]
        )


class CriterionForm(forms.Form):
    """The success criterion: all three fields, or none for a decision that promises nothing measurable."""

    criterion_metric = forms.ChoiceField(
        required=False, label="Metric", choices=[("", "None"), *((m.value, name) for m, name in METRIC_NAMES.items())]
    )
    criterion_arm = forms.ChoiceField(
        required=False, label="Arm", choices=[("", "None"), *((a.value, name) for a, name in ARM_NAMES.items())]
    )
    criterion_threshold = forms.DecimalField(
        required=False,
        label="At least",
        min_value=0,
        max_value=1,
        max_digits=5,
        decimal_places=4,
        widget=forms.NumberInput({"step": "any"}),
        help_text="A share of the test rows, from 0 to 1.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        given = [cleaned.get(name) not in (None, "") for name in self.fields]
        if not self.errors and any(given) and not all(given):
            raise forms.ValidationError("A criterion needs metric, arm and threshold; set all three or none.")
        return cleaned


class DecisionEdit:
    """The three forms of the edit page as one: `is_valid`, then `content`."""

    def __init__(
        self, decision: Decision, checklist: Checklist, *, seen_digest: str, seen_entry: int, data: Any = None
    ) -> None:
        threshold = decision.criterion and two_places(decision.criterion.threshold)
        seen = {"seen_digest": seen_digest, "seen_entry": seen_entry}
        initial = {**vars(decision), **seen, "criterion_threshold": threshold}
        self.text = DecisionForm(data, initial=initial, checklist=checklist)
        self.criterion = CriterionForm(data, initial=initial)
        self.options = OptionFormSet(data, initial=decision.options, prefix="options")
        if decision.criterion_locked_at:
            for field in self.criterion.fields.values():
                field.disabled = True

    def is_valid(self) -> bool:
        return all([self.text.is_valid(), self.criterion.is_valid(), self.options.is_valid()])

    def content(self) -> Content:
        """Return what was written. Call it on valid forms."""
        text = {name: value for name, value in self.text.cleaned_data.items() if not name.startswith("seen_")}
        options = [dict(option) for option in self.options.cleaned_data if option.get("title")]
        return Content(**text, **self.criterion.cleaned_data, options=options)


class SignForm(forms.Form):
    """A signature. `seen_digest` is what the page showed; the password proves that its owner is at the keyboard."""

    seen_digest = forms.CharField(widget=forms.HiddenInput, max_length=64)
    seen_entry = forms.IntegerField(widget=forms.HiddenInput)
    role = forms.ChoiceField(label="Sign as")
    verdict = forms.ChoiceField(
        label="Verdict",
        choices=[(Verdict.APPROVE, "I approve"), (Verdict.REJECT, "I reject")],
        initial=Verdict.APPROVE,
        widget=forms.RadioSelect({"class": "choices"}),
    )
    reason = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        label="Reason",
        help_text="A rejection needs one; an approval may have one.",
    )
    password = forms.CharField(
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
        help_text="Asked again, so that nobody else signs in your name.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.offer(sorted(Role))

    def offer(self, roles: list[Role]) -> None:
        """Show only these roles. Whether one may sign is the action's question, so that a wrong one is answered 403."""
        choices = [(role.value, role.label) for role in roles]
        self.fields["role"] = forms.ChoiceField(label="Sign as", choices=choices)

    def clean_password(self) -> str:
        if not self.user.check_password(self.cleaned_data["password"]):
            raise forms.ValidationError("This is not your password; nothing was signed.")
        return ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("verdict") == Verdict.REJECT and not cleaned.get("reason", "").strip():
            self.add_error("reason", "Say why you reject it, so that the proposer knows what to change.")
        return cleaned


class ReasonForm(forms.Form):
    """Why an accepted decision is reopened or retired."""

    reason = forms.CharField(max_length=2000, widget=forms.Textarea({"rows": 2}))


class SupersedeForm(forms.Form):
    """The accepted decision that takes the place of this one."""

    by = forms.ModelChoiceField(queryset=Decision.objects.none(), label="Superseded by", empty_label=None)

    def __init__(self, *args: Any, decision: Decision, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accepted = Decision.objects.filter(use_case=decision.use_case_id, status=Status.ACCEPTED)
        self.fields["by"] = forms.ModelChoiceField(
            queryset=accepted.exclude(pk=decision.pk), label="Superseded by", empty_label=None
        )
