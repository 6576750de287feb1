"""The form of an outcome review."""

from django import forms

from playbook.web.outcomes.models import Confirmation


class OutcomeForm(forms.Form):
    confirmation = forms.ChoiceField(
        label="What happens with it", choices=Confirmation.choices, widget=forms.RadioSelect
    )
    lessons = forms.CharField(
        label="Lessons",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="What would you tell the next team? It is shown on the articles that led here.",
    )
