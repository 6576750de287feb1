"""Forms of datasets: the data card, the three ways to bring rows, and what can be changed about an import."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from playbook.contracts.dataset import Split
from playbook.contracts.dataset_problems import shown
from playbook.datasets.spec import MAX_NAME, Format, Mapping, ReadSource, Report, SplitPlan
from playbook.web.datasets.actions import Card, Upload

_ACCEPTED = ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.gz"
_MAX_PASTED = 10_000_000
#: Names to choose from in a list; of more, one is typed, and the browser completes it.
_MAX_CHOICES = 60


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


class _RowsField(forms.FileField):
    """An uploaded file within the size limit. It stays on disk. An empty one passes: the reader says what it lacks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_empty_file=True,
            widget=forms.ClearableFileInput(attrs={"accept": _ACCEPTED}),
            error_messages={"required": "Choose a file."},
            **kwargs,
        )

    def clean(self, data: Any, initial: Any = None) -> "UploadedFile[bytes]":
        file: UploadedFile[bytes] = super().clean(data, initial)
        limit_mb = settings.PLAYBOOK_MAX_UPLOAD_MB
        if file.size is None or file.size > limit_mb * 1_000_000:
            raise forms.ValidationError(
                f"{file.name} has {(file.size or 0) / 1_000_000:.1f} MB; the limit is {limit_mb} MB. "
                "Send a sample of the rows, or ask the administrator to raise PLAYBOOK_MAX_UPLOAD_MB."
            )
        return file


class OneFileForm(forms.Form):
    """One file that the site splits."""

    use_required_attribute = False  # the fields of the ways that were not chosen are hidden, and must not block

    file = _RowsField(help_text="JSONL, JSON, CSV or Parquet, or one of these in gzip.")

    def uploads(self) -> list[Upload]:
        return [_upload(self.cleaned_data["file"])]


def _not_too_long(pasted: str) -> None:
    if len(pasted) > _MAX_PASTED:
        raise forms.ValidationError(
            f"The text has {len(pasted):,} characters; at most {_MAX_PASTED:,} can be pasted. Save it as a file, and "
            "choose “One file, to be split”."
        )


class PasteForm(forms.Form):
    """Rows pasted as text; the same as a file with this content."""

    use_required_attribute = False

    pasted = forms.CharField(
        label="Rows",
        strip=False,
        # No `max_length`: a browser cuts what is longer, and says nothing.
        validators=[_not_too_long],
        widget=forms.Textarea(attrs={"rows": 12, "class": "mono", "spellcheck": "false"}),
        help_text="JSON objects, one a line; a JSON array; or CSV with a header line.",
        error_messages={"required": "Paste some rows."},
    )

    def uploads(self) -> list[Upload]:
        # A browser sends each line end of a text area as CRLF, also within the quotes of a cell.
        text = self.cleaned_data["pasted"].replace("\r\n", "\n")
        return [Upload(name="pasted rows", chunks=[text.encode(errors="replace")])]


class ThreeFilesForm(forms.Form):
    """The three splits as they are."""

    use_required_attribute = False

    train = _RowsField(help_text="The rows that the model learns from.")
    validation = _RowsField(help_text="Rows to watch while it learns.")
    test = _RowsField(help_text="Rows that nobody looks at before the end: a job without them cannot start.")

    def uploads(self) -> list[Upload]:
        return [_upload(self.cleaned_data[split], split) for split in Split]


def _upload(file: "UploadedFile[bytes]", split: Split | None = None) -> Upload:
    return Upload(name=file.name or "file", chunks=file.chunks(), split=split)


class _FieldOfRows(forms.CharField):
    """The name of a field of the rows: chosen from a list, or typed where there are too many to look through."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=MAX_NAME, strip=False, **kwargs)
        self._names: tuple[str, ...] = ()

    def offer(self, names: tuple[str, ...], *, without: str, list_id: str) -> None:
        """Let one of these names be chosen; `without` says what no name means, `list_id` where the page lists them."""
        self._names = names
        if len(names) > _MAX_CHOICES:
            self.widget = forms.TextInput(attrs={"list": list_id, "placeholder": without, "autocomplete": "off"})
        else:
            self.widget = forms.Select(choices=[("", without), *((name, name) for name in names)])

    def clean(self, value: Any) -> str:
        given: str = super().clean(value)
        if not given or given in self._names:
            return given
        # A header may hold line ends, which a browser sends in its own way, or not at all.
        alike = [name for name in self._names if "".join(name.split()) == "".join(given.split())]
        if len(alike) != 1:
            raise forms.ValidationError(f"No row has a field “{shown(given)}”; write it as the file does.")
        return alike[0]


def _choosable(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, each once. PostgreSQL stores no text with a NUL: a field of such a name is none to choose."""
    return tuple(name for name in dict.fromkeys(names) if name and "\0" not in name)


class MappingForm(forms.Form):
    """Which field means what, by hand, in files that are read alike.

    `sources`: these files; `number`: which of the page's forms it is, from 0; `names`: the fields, if they are typed.
    """

    messages = _FieldOfRows(
        label="List of messages", help_text="A field that holds the whole conversation. Or instead:"
    )
    system = _FieldOfRows(label="System message")
    prompt = _FieldOfRows(label="Prompt")
    input = _FieldOfRows(label="Input", help_text="Follows the prompt after an empty line.")
    answer = _FieldOfRows(label="Answer", help_text="What the model is to learn.")

    def __init__(self, sources: Sequence[ReadSource], *, number: int = 0, data: Any = None) -> None:
        self.sources, self.number = sources, number
        self.list_id = f"mapping{number}_names"
        self._known = sources[0].mapping
        super().__init__(data, initial=self._known.model_dump() if self._known else {}, auto_id=f"mapping{number}_%s")
        found = _choosable(name for source in sources for name in source.columns)
        self.names = found if len(found) > _MAX_CHOICES else ()
        for field in self.fields.values():
            assert isinstance(field, _FieldOfRows)  # noqa: S101 - declared above
            field.offer(found, without="none", list_id=self.list_id)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if bool(cleaned.get("messages")) == bool(cleaned.get("answer")):
            raise forms.ValidationError("Choose either a list of messages or an answer.")
        chosen = [name for name in cleaned.values() if name]
        if twice := next((name for name in chosen if chosen.count(name) > 1), ""):
            raise forms.ValidationError(f"“{twice}” is chosen twice: give each part a field of its own.")
        if chosen and not self.errors and not self._fitting(cleaned):
            raise forms.ValidationError(
                "No file has all of these fields: "
                + "; ".join(f"{source.name} has {shown(', '.join(source.columns))}" for source in self.sources)
                + "."
            )
        return cleaned

    @property
    def is_known(self) -> bool:
        return self._known is not None

    def mappings(self) -> dict[str, Mapping]:
        """Return what was chosen, for each file that has the fields, by its name."""
        mapping = self._mapping()
        return {source.name: mapping for source in self._fitting(self.cleaned_data)}

    def _fitting(self, chosen: dict[str, Any]) -> list[ReadSource]:
        """Return the files that have the fields that no row may lack."""
        needed = {chosen.get(name) for name in ("messages", "prompt", "answer")} - {"", None}
        return [source for source in self.sources if needed <= set(source.columns)]

    def _mapping(self) -> Mapping:
        """Return what was chosen. A format that was recognised stays itself, for it reads more than these fields."""
        chosen = {name: self.cleaned_data[name] for name in self.fields}
        if self._known and chosen == {name: getattr(self._known, name) for name in self.fields}:
            return self._known
        if chosen["messages"]:
            return Mapping(format=Format.CHAT, messages=chosen["messages"], system=chosen["system"])
        return Mapping(format=Format.COLUMNS, **chosen)


def mapping_forms(report: Report, data: Any = None) -> list[MappingForm]:
    """Return a form for each kind of files in the report, first for those that nothing is known of: those that are read
    alike share one. `data` is for the form whose number it names."""
    alike: dict[Mapping | None, list[ReadSource]] = {}
    for source in report.sources:
        if source.columns:
            alike.setdefault(source.mapping, []).append(source)
    return [
        MappingForm(sources, number=at, data=data if data and data.get("form", "0") == str(at) else None)
        for at, sources in enumerate(sorted(alike.values(), key=lambda sources: sources[0].mapping is not None))
    ]


class PlanForm(forms.Form):
    """How one file becomes three splits."""

    validation_percent = forms.IntegerField(min_value=1, max_value=50, label="Validation, percent")
    test_percent = forms.IntegerField(min_value=1, max_value=50, label="Test, percent")
    group_field = _FieldOfRows(
        label="Keep together", help_text="Rows with the same value of this field land in the same split."
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**32 - 1, help_text="The same file and seed always give the same three splits."
    )

    list_id = "plan_names"

    def __init__(self, plan: SplitPlan, group_fields: tuple[str, ...], data: Any = None) -> None:
        current = {
            "validation_percent": round(100 * plan.validation_share),
            "test_percent": round(100 * plan.test_share),
            "group_field": plan.group_field,
            "seed": plan.seed,
        }
        super().__init__(data, initial=current, auto_id="plan_%s")
        found = _choosable((plan.group_field, *group_fields))
        self.names = found if len(found) > _MAX_CHOICES else ()
        field = self.fields["group_field"]
        assert isinstance(field, _FieldOfRows)  # noqa: S101 - declared above
        field.offer(found, without="equal prompts alone", list_id=self.list_id)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("validation_percent", 0) + cleaned.get("test_percent", 0) > 80:
            raise forms.ValidationError("Leave at least 20 percent for train: lower validation or test.")
        return cleaned

    def plan(self) -> SplitPlan:
        cleaned = self.cleaned_data
        return SplitPlan(
            validation_share=cleaned["validation_percent"] / 100,
            test_share=cleaned["test_percent"] / 100,
            group_field=cleaned["group_field"],
            seed=cleaned["seed"],
        )
