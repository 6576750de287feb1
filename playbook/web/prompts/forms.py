"""Forms of prompts: a name, and the workbench, whose examples come as two lists of texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict
from pydantic import ValidationError

from playbook.contracts.prompting import INPUT, MAX_PROMPT_CHARACTERS, PromptSettings
from playbook.web.datasets.models import DatasetVersion

MAX_EXAMPLES = 64


class PromptForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="What the prompt is for, such as “Ticket to four fields”.")


@dataclass(frozen=True)
class ExampleText:
    """One worked example as it stands in the form. `number` from 1; `error` says what is wrong with it."""

    number: int
    user: str
    assistant: str
    error: str = ""


class WorkbenchForm(forms.Form):
    """A prompt under work. `settings` are what it means once the form is valid.

    The examples lie beside the fields, as equally many values of `example_user` and `example_assistant`; a pair of
    empty texts is no example.
    """

    system = forms.CharField(
        required=False,
        label="System message",
        max_length=MAX_PROMPT_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="Left empty, each row keeps its own.",
    )
    no_system = forms.BooleanField(required=False, label="Ask without any system message")
    user_template = forms.CharField(
        max_length=MAX_PROMPT_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=f"{INPUT} stands for what the user says in the row.",
    )
    note = forms.CharField(required=False, max_length=500, help_text="What this version tries.")
    dataset = forms.TypedChoiceField(
        required=False, coerce=int, help_text="Its validation rows are shown and measured, its train rows offered."
    )

    def __init__(self, data: QueryDict | Mapping[str, Any], *, datasets: Mapping[int, DatasetVersion]) -> None:
        super().__init__(data)
        self.datasets = datasets
        chosen = self.fields["dataset"]
        assert isinstance(chosen, forms.TypedChoiceField)  # noqa: S101 - declared above
        chosen.choices = [(pk, str(version.dataset)) for pk, version in datasets.items()]
        self._pairs = _pairs(data)
        #: The validation row that the preview shows.
        self.row_number = _number(data.get("row")) or 1
        self.example_errors: dict[int, str] = {}
        self.settings: PromptSettings | None = None

    @property
    def examples(self) -> list[ExampleText]:
        """The examples as they were sent, with what is wrong with each."""
        return [
            ExampleText(number, user, assistant, self.example_errors.get(number, ""))
            for number, (user, assistant) in enumerate(self._pairs, start=1)
        ]

    def add_example(self, user: str = "", assistant: str = "") -> None:
        """Put one more at the end; without effect once there are as many as a prompt may have."""
        if len(self._pairs) < MAX_EXAMPLES:
            self._pairs.append((user, assistant))

    def remove_example(self, number: int) -> None:
        del self._pairs[number - 1 : number]

    @property
    def dataset_version(self) -> DatasetVersion | None:
        """What the preview and the train rows are of: the chosen dataset, else the first."""
        found = self.datasets.get(_number(self.data.get("dataset")))
        return found or next(iter(self.datasets.values()), None)

    def clean_system(self) -> str:
        return _plain(self.cleaned_data["system"])

    def clean_user_template(self) -> str:
        return _plain(self.cleaned_data["user_template"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("no_system") and cleaned.get("system"):
            self.add_error("system", "Either write a system message or ask without one; empty this field, or untick.")
        filled = [
            (number, user, assistant)
            for number, (user, assistant) in enumerate(self._pairs, start=1)
            if user.strip() or assistant.strip()
        ]
        for number, user, assistant in filled:
            if not (user.strip() and assistant.strip()):
                missing = "the answer" if user.strip() else "what the user says"
                self.example_errors[number] = f"Example {number} lacks {missing}; write it, or remove the example."
        if self.example_errors:
            self.add_error(None, " ".join(self.example_errors.values()))
        if not self.errors:
            self._build(cleaned, filled)
        return cleaned

    def _build(self, cleaned: Mapping[str, Any], filled: Sequence[tuple[int, str, str]]) -> None:
        system: str | None = cleaned["system"]
        if not system or not system.strip():
            system = "" if cleaned["no_system"] else None
        examples = [{"user": user, "assistant": assistant} for _, user, assistant in filled]
        values = {"system": system, "user_template": cleaned["user_template"], "examples": examples}
        try:
            self.settings = PromptSettings.model_validate(values)
        except ValidationError as error:
            for problem in error.errors():
                self._add_problem(problem["loc"], problem["msg"].removeprefix("Value error, "), filled)

    def _add_problem(self, loc: tuple[int | str, ...], text: str, filled: Sequence[tuple[int, str, str]]) -> None:
        if loc[0] == "examples" and len(loc) > 1 and isinstance(loc[1], int):
            number = filled[loc[1]][0]
            self.example_errors[number] = f"Example {number}: {text}."
            self.add_error(None, self.example_errors[number])
        else:
            self.add_error(str(loc[0]) if loc[0] in self.fields else None, f"{text}.")


def workbench_data(settings: PromptSettings) -> QueryDict:
    """Return what the form would send for `settings`."""
    data = QueryDict(mutable=True)
    data["system"] = settings.system or ""
    if settings.system == "":
        data["no_system"] = "on"
    data["user_template"] = settings.user_template
    data.setlist("example_user", [example.user for example in settings.examples])
    data.setlist("example_assistant", [example.assistant for example in settings.examples])
    return data


def _pairs(data: QueryDict | Mapping[str, Any]) -> list[tuple[str, str]]:
    if not isinstance(data, QueryDict):
        return []
    users, answers = (data.getlist(name) for name in ("example_user", "example_assistant"))
    # Browsers send line breaks as \r\n; a version must not differ by them.
    return [(_plain(user), _plain(answer)) for user, answer in zip(users, answers, strict=False)][:MAX_EXAMPLES]


def _number(text: object) -> int:
    """Return what somebody typed as a number; 0 for anything else."""
    typed = str(text)
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\x00", "\N{REPLACEMENT CHARACTER}")
