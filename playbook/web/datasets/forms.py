"""Forms of datasets: the data card, and the two ways to bring rows."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from playbook.contracts.dataset import Split
from playbook.web.datasets.actions import Card
from playbook.web.datasets.reading import Splits, read_and_split, read_three_files


class CardForm(forms.Form):
    name = forms.CharField(max_length=120)
    description = forms.CharField(
        required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}), help_text="What one row is."
    )
    source = forms.CharField(max_length=500, help_text="Where the rows come from, and when.")
    licence = forms.CharField(max_length=200, help_text="Under which terms they may be used, such as “internal”.")
    data_owner = forms.CharField(max_length=200, label="Owner", help_text="Who answers questions about the rows.")
    consent = forms.CharField(
        max_length=500, help_text="Whether people appear in the rows, and what they agreed to. “None” when nobody does."
    )

    def card(self) -> Card:
        """Return the card. Call it on a valid form."""
        return Card(**self.cleaned_data)


class _JsonlField(forms.FileField):
    """An uploaded file within the size limit, as bytes. An empty file passes: the reader says what it lacks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_empty_file=True,
            widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,application/jsonl,application/x-ndjson"}),
            error_messages={"required": "Choose a file."},
            **kwargs,
        )

    def clean(self, data: Any, initial: Any = None) -> bytes:
        file: UploadedFile[bytes] = super().clean(data, initial)
        limit_mb = settings.PLAYBOOK_MAX_UPLOAD_MB
        if file.size is None or file.size > limit_mb * 1_000_000:
            raise forms.ValidationError(
                f"{file.name} has {(file.size or 0) / 1_000_000:.1f} MB; the limit is {limit_mb} MB. "
                "Send a sample of the rows, or ask the administrator to raise PLAYBOOK_MAX_UPLOAD_MB."
            )
        return bytes(file.read())


class OneFileForm(forms.Form):
    """One file that the site splits."""

    use_required_attribute = False  # the fields of the way that was not chosen are hidden, and must not block

    file = _JsonlField(label="JSONL file")
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**32 - 1,
        initial=0,
        help_text="The same file and seed always give the same three splits.",
    )
    keep_templates_together = forms.BooleanField(
        required=False,
        label="Keep rows of one template together",
        help_text="Rows with the same metadata.template land in the same split, so that test holds unseen templates.",
    )

    def read(self) -> Splits:
        """Return the splits of a valid form. Raises BadDataset."""
        return read_and_split(
            self.cleaned_data["file"],
            seed=self.cleaned_data["seed"],
            keep_templates_together=self.cleaned_data["keep_templates_together"],
        )


class ThreeFilesForm(forms.Form):
    """The three splits as they are."""

    use_required_attribute = False

    train = _JsonlField(help_text="The rows that the model learns from.")
    validation = _JsonlField(help_text="Rows to watch while it learns.")
    test = _JsonlField(help_text="Rows that nobody looks at before the end: a job without them cannot start.")

    def read(self) -> Splits:
        """Return the splits of a valid form. Raises BadDataset."""
        return read_three_files({split: self.cleaned_data[split] for split in Split})
