"""Inputs of the calculators. They live in the address, so every field has a default and a bound."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms

from playbook.library.calculators import ModelShape, Precision, RunShape, Target

#: Shapes of known models, from their `config.json`: what the fields are filled with.
PRESETS: dict[str, tuple[str, ModelShape]] = {
    "smollm2-135m": ("SmolLM2 135M", ModelShape(576, 30, 1536, 49152, heads=9, kv_heads=3)),
    "qwen2.5-3b": ("Qwen2.5 3B", ModelShape(2048, 36, 11008, 151936, heads=16, kv_heads=2)),
    "llama-3.2-3b": ("Llama 3.2 3B", ModelShape(3072, 28, 8192, 128256, heads=24, kv_heads=8)),
    "llama-2-7b": ("Llama 2 7B", ModelShape(4096, 32, 11008, 32000, heads=32, kv_heads=32, tied_embeddings=False)),
}
#: The longest choice, all linear layers, has 55.
MAX_INPUT_CHARACTERS = 60
_SHAPE_FIELDS = ("hidden_size", "layers", "intermediate_size", "vocabulary", "heads", "kv_heads")
_PRECISIONS = [
    (Precision.BF16.value, "16 bits"),
    (Precision.FP32.value, "32 bits"),
    (Precision.INT8.value, "8 bits"),
    (Precision.NF4.value, "4 bits (QLoRA)"),
]
TARGET_SETS = [
    ("q_proj,v_proj", "Query and value"),
    ("q_proj,k_proj,v_proj,o_proj", "Attention"),
    ("gate_proj,up_proj,down_proj", "MLP"),
    (",".join(Target), "All linear layers"),
]


class CalculatorForm(forms.Form):
    """A form that is always complete: what the address leaves out takes its default.

    `auto_id`: how its fields are called in the page, other than on the calculator's own page where an article may hold
    several forms.
    """

    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, given: Mapping[str, str], *, auto_id: str = "id_%s") -> None:
        known = {name: given[name][:MAX_INPUT_CHARACTERS] for name in self.base_fields if given.get(name)}
        super().__init__({**self.defaults, **known}, auto_id=auto_id)

    @property
    def query(self) -> str:
        """All inputs as they stand in an address, defaults written out: a link keeps its result when those change."""
        return urlencode({name: self.data[name] for name in self.fields if name in self.data})


def _whole(label: str, low: int, high: int, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=low, max_value=high, help_text=help_text)


def _size(label: str, low: int, high: int) -> forms.IntegerField:
    """A size of the model, empty to take the preset's."""
    return forms.IntegerField(label=label, min_value=low, max_value=high, required=False)


def _amount(label: str, low: float, high: float, help_text: str = "") -> forms.FloatField:
    field = forms.FloatField(label=label, min_value=low, max_value=high, help_text=help_text)
    field.widget.attrs["step"] = "any"
    return field


class LoraMemoryForm(CalculatorForm):
    """Sizes of the base model, of the adapter and of one training step."""

    defaults: ClassVar[dict[str, Any]] = {
        "preset": "qwen2.5-3b",
        "rank": 16,
        "targets": "q_proj,v_proj",
        "precision": "bf16",
        "checkpointing": "no",
        "batch": 4,
        "sequence": 512,
    }

    preset = forms.ChoiceField(label="Base model", choices=[(key, title) for key, (title, _) in PRESETS.items()])
    rank = _whole("Rank", 1, 1024)
    targets = forms.ChoiceField(label="Adapted layers", choices=TARGET_SETS)
    precision = forms.ChoiceField(label="Base weights in", choices=_PRECISIONS)
    batch = _whole("Rows a batch", 1, 1024)
    sequence = _whole("Tokens a row", 1, 1_048_576)
    logit_tokens = forms.IntegerField(
        label="Logit tokens",
        min_value=1,
        max_value=1_048_576,
        required=False,
        help_text="Of a row. Empty: all.",
    )
    checkpointing = forms.ChoiceField(label="Checkpointing", choices=[("no", "Off"), ("yes", "On")])
    hidden_size = _size("Hidden size", 8, 65_536)
    layers = _size("Layers", 1, 1_000)
    intermediate_size = _size("MLP size", 8, 262_144)
    vocabulary = _size("Vocabulary", 2, 2_000_000)
    heads = _size("Heads", 1, 1_024)
    kv_heads = _size("Key-value heads", 1, 1_024)

    def __init__(self, given: Mapping[str, str], *, auto_id: str = "id_%s") -> None:
        super().__init__(given, auto_id=auto_id)
        for name in _SHAPE_FIELDS:
            self.fields[name].widget.attrs["placeholder"] = getattr(self._preset(), name)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            shape = self.shape()
            if shape.heads > shape.hidden_size:
                self.add_error("heads", f"{shape.heads} heads for a hidden size of {shape.hidden_size}; check both.")
            if shape.kv_heads > shape.heads:
                self.add_error("kv_heads", f"At most as many as heads ({shape.heads}).")
        return data

    def shape(self) -> ModelShape:
        """Return the chosen model's shape with the sizes that were given instead."""
        given = {name: self.cleaned_data[name] for name in _SHAPE_FIELDS if self.cleaned_data[name] is not None}
        return replace(self._preset(), **given)

    def sizes(self) -> list[forms.BoundField]:
        return [self[name] for name in _SHAPE_FIELDS]

    def main_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in _SHAPE_FIELDS]

    def _preset(self) -> ModelShape:
        _, shape = PRESETS.get(str(self.data["preset"]), PRESETS[self.defaults["preset"]])
        return shape

    def run(self) -> RunShape:
        data = self.cleaned_data
        return RunShape(
            batch=data["batch"],
            sequence=data["sequence"],
            precision=Precision(data["precision"]),
            checkpointing=data["checkpointing"] == "yes",
            logit_tokens=min(data["logit_tokens"] or data["sequence"], data["sequence"]),
        )

    def target_layers(self) -> tuple[Target, ...]:
        return tuple(Target(name) for name in self.cleaned_data["targets"].split(","))


class BreakEvenForm(CalculatorForm):
    """Costs of a hosted model with a long prompt, and of a tuned one with a short prompt on a machine of one's own.

    Amounts are in any one currency.
    """

    defaults: ClassVar[dict[str, Any]] = {
        "one_off": 3000,
        "requests": 200_000,
        "long_prompt": 1200,
        "short_prompt": 150,
        "answer": 60,
        "price_in": 0.5,
        "price_out": 1.5,
        "price_per_hour": 2,
        "tokens_per_second": 2500,
        "hosting": "busy",
        "retraining": 50,
    }

    one_off = _amount("One-off cost", 0, 1e9, "Data, people, runs")
    requests = _amount("Requests a month", 1, 1e12)
    long_prompt = _whole("Tokens, long prompt", 1, 10_000_000)
    short_prompt = _whole("Tokens, tuned prompt", 1, 10_000_000)
    answer = _whole("Tokens, answer", 1, 10_000_000)
    price_in = _amount("Hosted, per 1M in", 0, 1e6)
    price_out = _amount("Hosted, per 1M out", 0, 1e6)
    price_per_hour = _amount("Own machine, an hour", 0, 1e6)
    tokens_per_second = _amount("Own tokens a second", 0.001, 1e9, "Measured, in and out together")
    hosting = forms.ChoiceField(
        label="Own machine is paid", choices=[("busy", "Only while busy"), ("always", "Always on")]
    )
    retraining = _amount("Retraining a month", 0, 1e9)


class TestRowsForm(CalculatorForm):
    """What is expected of the test, in percent, as people say it."""

    defaults: ClassVar[dict[str, Any]] = {"rows": 100, "share": 80, "discordant": 30, "difference": 10}

    rows = _whole("Test rows", 1, 1_000_000)
    share = _amount("Expected right answers, %", 0, 100)
    discordant = _amount("Rows on which the models differ, %", 0.1, 100, "Where exactly one of the two is right")
    difference = _amount("Difference to see, points", 0.1, 100)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("difference", 0) > data.get("discordant", 100):
            self.add_error("difference", "Cannot be larger than the share of rows on which the models differ.")
        return data
