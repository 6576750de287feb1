"""Forms of decisions: edit, sign, and the small ones that change the status."""

from functools import cached_property
from typing import Any

from django import forms

from playbook.contracts.roles import Role
from playbook.library.definition import Checklist
from playbook.web.accounts.models import User
from playbook.web.common.passwords import PasswordRefused, confirm_password
from playbook.web.decisions.actions import Content
from playbook.web.decisions.criterion import ARM_NAMES, METRIC_NAMES, two_places
from playbook.web.decisions.models import Decision, Status, Verdict
from playbook.web.decisions.queries import promised_test_sets
from playbook.web.decisions.signing import Capacity
from playbook.web.usecases.models import UseCase

MAX_OPTIONS = 20
CRITERION = ("criterion_metric", "criterion_arm", "criterion_threshold")
FORECAST = ("forecast_probability", "forecast_value")


class OptionForm(forms.Form):
    """One considered option; an empty title removes it."""

    title = forms.CharField(required=False, max_length=300, label="Option")
    pros = forms.CharField(required=False, max_length=2000, label="Good, because", widget=forms.Textarea({"rows": 2}))
    cons = forms.CharField(required=False, max_length=2000, label="Bad, because", widget=forms.Textarea({"rows": 2}))
    arm = forms.ChoiceField(
        required=False,
        label="Measured by",
        choices=[("", "No arm"), *((arm.value, name) for arm, name in ARM_NAMES.items())],
        help_text="The arm of a job whose results stand beside this option.",
    )


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
    owner = forms.ModelChoiceField(
        queryset=User.objects.none(),
        required=False,
        empty_label="Nobody",
        help_text="Who answers for it, and is asked.",
    )
    budget_gpu_minutes = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=10_000_000,
        label="Budget in GPU minutes",
        help_text="What all runs under this decision may take together.",
    )
    sign_by = forms.DateField(
        required=False,
        label="Sign by",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text="When the signatures are due. Changing it voids none.",
    )
    review_on = forms.DateField(
        required=False, label="Review on", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, checklist: Checklist, use_case: UseCase, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        outcomes = {outcome.id: outcome.title for outcome in checklist.outcomes}
        self.fields["chosen_outcome"] = forms.ChoiceField(
            label="Chosen option",
            choices=[
                # The assessment was moved to a version without it: nothing else is chosen for the reader.
                *([] if self.initial.get("chosen_outcome") in outcomes else [("", "Choose anew")]),
                *outcomes.items(),
            ],
        )
        owner = self.fields["owner"]
        assert isinstance(owner, forms.ModelChoiceField)  # noqa: S101 - declared above
        owner.queryset = User.objects.filter(memberships__use_case=use_case).distinct()


class CriterionForm(forms.Form):
    """The promise: the criterion's three fields, or none for a decision that promises nothing measurable; on which test
    set; the forecast; and what would stop it. `test_sets`: hashes with their names."""

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
    criterion_test_set = forms.ChoiceField(
        required=False,
        label="Test set",
        help_text="Named by its hash: a run on other rows says nothing about this promise.",
    )
    forecast_probability = forms.DecimalField(
        required=False,
        label="How likely it is met",
        min_value=0,
        max_value=1,
        max_digits=4,
        decimal_places=3,
        widget=forms.NumberInput({"step": "any"}),
        help_text="Your forecast, from 0 to 1. It is shown against what came.",
    )
    forecast_value = forms.DecimalField(
        required=False,
        label="What you expect",
        min_value=0,
        max_value=1,
        max_digits=5,
        decimal_places=4,
        widget=forms.NumberInput({"step": "any"}),
        help_text="The share that you think will be measured, from 0 to 1.",
    )
    kill_criterion = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        help_text="What would make you stop before the end, such as “no better than few-shot after two runs”.",
    )

    def __init__(self, *args: Any, test_sets: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["criterion_test_set"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [("", "That of the first run"), *test_sets]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        promise = [cleaned.get(name) not in (None, "") for name in CRITERION]
        if any(promise) and not all(promise):
            raise forms.ValidationError("A criterion needs metric, arm and threshold; set all three or none.")
        forecast = [cleaned.get(name) is not None for name in FORECAST]
        if any(forecast) and not all(forecast):
            raise forms.ValidationError("A forecast needs a probability and an expected value; set both or none.")
        if any(forecast) and not all(promise):
            raise forms.ValidationError("A forecast is about the criterion; set metric, arm and threshold too.")
        return cleaned


class DecisionEdit:
    """The three forms of the edit page as one: `is_valid`, then `content`."""

    def __init__(
        self, decision: Decision, checklist: Checklist, *, seen_digest: str, seen_entry: int, data: Any = None
    ) -> None:
        threshold = decision.criterion and two_places(decision.criterion.threshold)
        seen = {"seen_digest": seen_digest, "seen_entry": seen_entry}
        initial = {**vars(decision), **seen, "criterion_threshold": threshold, "owner": decision.owner_id}
        for name in FORECAST:
            share = getattr(decision, name)
            initial[name] = None if share is None else two_places(share)
        self.text = DecisionForm(data, initial=initial, checklist=checklist, use_case=decision.use_case)
        self.criterion = CriterionForm(data, initial=initial, test_sets=promised_test_sets(decision))
        self.options = OptionFormSet(data, initial=decision.options, prefix="options")
        if decision.criterion_locked_at:
            for field in self.criterion.fields.values():
                field.disabled = True

    def is_valid(self) -> bool:
        return all([self.text.is_valid(), self.criterion.is_valid(), self.options.is_valid()])

    def content(self) -> Content:
        """Return what was written. Call it on valid forms."""
        text = {name: _lines(value) for name, value in self.text.cleaned_data.items() if not name.startswith("seen_")}
        options = [
            {name: _lines(value) for name, value in option.items() if value or name != "arm"}
            for option in self.options.cleaned_data
            if option.get("title")
        ]
        promise = {name: _lines(value) for name, value in self.criterion.cleaned_data.items()}
        return Content(**text, **promise, options=options)


def _lines(value: Any) -> Any:
    """Return a text with the line ends that it had before a browser sent it: else to save a form is to change it."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


class SignForm(forms.Form):
    """A signature. `seen_digest` is what the page showed; the password proves that its owner is at the keyboard."""

    seen_digest = forms.CharField(widget=forms.HiddenInput, max_length=64)
    seen_entry = forms.IntegerField(widget=forms.HiddenInput)
    role = forms.CharField(label="Sign as", max_length=40)
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

    def __init__(self, *args: Any, user: User, decision: Decision, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.decision = decision

    def offer(self, capacities: list[Capacity]) -> None:
        """Show only these. Whether one may sign is the action's question, so that a wrong one is answered 403."""
        field = self.fields["role"]
        field.widget = forms.Select(choices=[(each.value, each.label) for each in capacities])

    def clean_role(self) -> tuple[Role, int | None]:
        """Return the role, and the key of the person for whom it is used."""
        role, _, principal = str(self.cleaned_data["role"]).partition(":")
        if role not in list(Role) or (principal and not principal.isdecimal()):
            raise forms.ValidationError("Choose one of the roles.")
        return Role(role), int(principal) if principal else None

    def clean_password(self) -> str:
        try:
            confirm_password(self.user, self.cleaned_data["password"], about=self.decision)
        except PasswordRefused as refused:
            raise forms.ValidationError(f"{refused} Nothing was signed.") from None
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
        self._others = accepted.exclude(pk=decision.pk).only("number", "title")
        self.fields["by"] = forms.ModelChoiceField(queryset=self._others, label="Superseded by", empty_label=None)

    @cached_property
    def others(self) -> list[Decision]:
        """What may be chosen. The page writes these options itself: a widget takes a template for each of them."""
        return list(self._others)
