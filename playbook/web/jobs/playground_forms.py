"""Forms of the playground. What is too long comes back with its excess, never cut by the browser."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from playbook.contracts.playground import MAX_QUESTION_CHARACTERS
from playbook.contracts.prompting import INPUT, MAX_PROMPT_CHARACTERS
from playbook.web.datasets.models import Dataset
from playbook.web.jobs.models import Job
from playbook.web.jobs.prompt_views import base_models
from playbook.web.usecases.models import UseCase

DEFAULT_MAX_NEW_TOKENS = 128


class LongTextField(forms.CharField):
    """Text of at most `limit` characters, a line's end counted as one.

    No `maxlength`, which cuts what is pasted without a word; `data-limit` lets the page count while somebody writes.
    """

    def __init__(self, *, limit: int, rows: int, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows, "data-limit": limit})
        super().__init__(widget=widget, **kwargs)
        self._limit = limit

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value) or "").replace("\r\n", "\n")
        if len(text) > self._limit:
            raise ValidationError(
                f"This has {len(text):,} characters, {len(text) - self._limit:,} more than the limit of "
                f"{self._limit:,}. Shorten it."
            )
        return text


class SessionForm(forms.Form):
    """With a job, the base model is that of its adapter."""

    base_model = forms.ChoiceField()
    system = LongTextField(
        required=False,
        label="System message",
        limit=MAX_PROMPT_CHARACTERS,
        rows=4,
        help_text="Both sides are asked with it. A tuned model answers best with the words that it was trained with.",
    )
    user_template = LongTextField(
        required=False,
        limit=MAX_PROMPT_CHARACTERS,
        rows=2,
        initial=INPUT,
        help_text=f"What stands around your last message, which takes the place of {INPUT}.",
    )
    max_new_tokens = forms.IntegerField(
        min_value=1, max_value=1024, initial=DEFAULT_MAX_NEW_TOKENS, help_text="An answer is cut after so many tokens."
    )

    def __init__(self, *args: Any, tuned_job: Job | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if tuned_job is not None:
            del self.fields["base_model"]
            return
        field = self.fields["base_model"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(name, name) for name in base_models()]

    def clean_user_template(self) -> str:
        template = str(self.cleaned_data["user_template"]) or INPUT
        if INPUT not in template:
            raise ValidationError(f"Write {INPUT} where the message is to stand.")
        return template


class QuestionForm(forms.Form):
    question = LongTextField(limit=MAX_QUESTION_CHARACTERS, rows=3, label="Your message")


class RowForm(forms.Form):
    """The dataset of the use case that gets the row, and the answer to learn."""

    dataset = forms.ModelChoiceField(queryset=Dataset.objects.none(), empty_label=None)
    answer = LongTextField(
        limit=100_000,
        rows=6,
        help_text="What the model should have said. Correct it before you save it.",
    )

    def __init__(self, *args: Any, use_case: UseCase, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
        field.queryset = Dataset.objects.filter(use_case=use_case).prefetch_related("versions__files")
