"""Forms of the library."""

from django import forms


class FlagForm(forms.Form):
    comment = forms.CharField(
        label="What is out of date?",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Name the sentence or figure and, if you know it, what is true now. The owner sees this.",
    )
