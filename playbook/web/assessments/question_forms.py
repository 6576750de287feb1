"""Forms of one question: evidence, the person who is asked, a remark, the job that measured the answer."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from pydantic import ValidationError

from playbook.contracts.roles import WRITING_ROLES
from playbook.web.accounts.models import User
from playbook.web.assessments.evidence import ArticleEvidence, Evidence, FileEvidence, LinkEvidence, ReportEvidence
from playbook.web.common import blobs
from playbook.web.common.content import history, library
from playbook.web.common.measurements import Measurement
from playbook.web.usecases.models import UseCase

_KINDS = [("article", "Article"), ("report", "Job report and arm"), ("file", "File"), ("link", "Link")]


class EvidenceForm(forms.Form):
    """One piece of evidence; the fields of the other kinds stay empty."""

    use_required_attribute = False

    kind = forms.ChoiceField(label="What is it?", choices=_KINDS)
    article = forms.CharField(
        required=False,
        max_length=200,
        help_text="Area and name, as in its address: decide/prompt-retrieve-or-tune.",
        widget=forms.TextInput(attrs={"list": "articles"}),
    )
    report = forms.ChoiceField(label="Job and arm", required=False)
    file = forms.FileField(required=False, max_length=200)
    url = forms.CharField(label="Address", required=False, max_length=1_000, widget=forms.URLInput)
    label = forms.CharField(label="What stands there", required=False, max_length=300)

    def __init__(self, *args: Any, measurements: Sequence[Measurement], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._measurements = {f"{one.job}:{one.arm}:{one.metric}": one for one in measurements}
        choices = [
            (key, f"{one.title} (job {one.job}): {_spoken(one.metric)} of {_spoken(one.arm)} {one.text}")
            for key, one in self._measurements.items()
        ]
        self.fields["report"] = forms.ChoiceField(
            label="Job and arm", required=False, choices=choices or [("", "No job of this use case has a report yet")]
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        wanted = {"article": "article", "report": "report", "file": "file", "link": "url"}.get(cleaned.get("kind", ""))
        if wanted and not cleaned.get(wanted) and wanted not in self.errors:
            self.add_error(wanted, "Fill this in; it says what the evidence is.")
        if wanted == "article" and cleaned.get("article") and library().article(cleaned["article"]) is None:
            self.add_error("article", f"The library has no article {cleaned['article']!r}; choose one of the list.")
        if wanted == "file" and cleaned.get("file"):
            limit = settings.PLAYBOOK_MAX_UPLOAD_MB
            if cleaned["file"].size > limit * 1_000_000:
                self.add_error("file", f"The file is larger than {limit} MB; bring a smaller one, or a link to it.")
        if wanted == "url" and cleaned.get("url"):
            try:
                self._link(cleaned)
            except ValidationError as error:
                message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
                self.add_error("url", f"{message[0].upper()}{message[1:]}.")
        return cleaned

    def piece(self) -> Evidence:
        """Return the evidence of a valid form; a file is stored with that."""
        cleaned = self.cleaned_data
        match cleaned["kind"]:
            case "article":
                return _article(cleaned["article"])
            case "report":
                return ReportEvidence(measurement=self._measurements[cleaned["report"]])
            case "file":
                return _file(cleaned["file"])
        return self._link(cleaned)

    def _link(self, cleaned: dict[str, Any]) -> LinkEvidence:
        return LinkEvidence(url=cleaned["url"].strip(), label=cleaned.get("label") or cleaned["url"][:300])


def _article(ref: str) -> ArticleEvidence:
    found = library().article(ref)
    if found is None:
        raise ValueError(f"no article {ref!r}: the form was not valid")
    commits = history().of(found.path)
    return ArticleEvidence(
        key=found.key, title=found.title, commit=commits[0].id if commits else "", digest=found.digest
    )


def _file(file: "UploadedFile[Any]") -> FileEvidence:
    blob = blobs.store(file.chunks())
    name = "".join(letter for letter in PurePath(file.name or "").name if letter.isprintable())[:200] or "file"
    return FileEvidence(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


class AssignForm(forms.Form):
    """Who is asked, and until when. Only people who may answer can be."""

    assignee = forms.ModelChoiceField(label="Ask", queryset=User.objects.none(), empty_label="Choose a person")
    due_on = forms.DateField(label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, use_case: UseCase, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(memberships__use_case=use_case, memberships__role__in=WRITING_ROLES)
        self.fields["assignee"] = forms.ModelChoiceField(
            label="Ask", queryset=people.distinct(), empty_label="Choose a person"
        )

    def clean_due_on(self) -> Any:
        due_on = self.cleaned_data["due_on"]
        if due_on and due_on < timezone.localdate():
            raise forms.ValidationError("That day has passed; choose today or later.")
        return due_on


class RemarkForm(forms.Form):
    text = forms.CharField(
        label="Your message",
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write a message first."},
    )
