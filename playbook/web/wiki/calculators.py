"""The calculators as pages and embeds show them: form, result, plot.

The arithmetic is that of `library.calculators` (memory) and of `scoring`, which reports use too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from django.urls import reverse

from playbook.library import calculators as arithmetic
from playbook.scoring import costs, power
from playbook.scoring.statistics import wilson_interval, wilson_of_share
from playbook.web.common.plots import interval_plot, line_plot, stacked_plot
from playbook.web.common.templatetags.playbook import bytesize
from playbook.web.wiki.calculator_forms import BreakEvenForm, CalculatorForm, LoraMemoryForm, TestRowsForm

MONTHS_SHOWN = 60
#: Test sizes that the interval plot compares with the reader's own.
USUAL_ROWS = (30, 50, 100, 200)
#: Half of a 95 % interval, in points, whose rows are looked up.
HALF_WIDTHS = (0.10, 0.05, 0.03)
MAX_ROWS = 1_000_000


@dataclass(frozen=True)
class Calculator:
    """`result` turns a valid form into the context of `template`."""

    name: str
    title: str
    summary: str
    form: type[CalculatorForm]
    template: str
    result: Callable[[Any], Mapping[str, object]]

    @property
    def url(self) -> str:
        return reverse("wiki:calculator", args=[self.name])

    def shown(self, form: CalculatorForm) -> dict[str, object]:
        """Return what the templates show of a form; `result` is None when its inputs cannot be calculated."""
        result = self.result(form) if form.is_valid() else None
        return {"calculator": self, "form": form, "result": result, "result_url": f"{self.url}?{form.query}"}


def _lora_memory(form: LoraMemoryForm) -> dict[str, object]:
    shape, run = form.shape(), form.run()
    rank, targets = form.cleaned_data["rank"], form.target_layers()
    adapter = arithmetic.lora_parameters(shape, rank=rank, targets=targets)
    lora = arithmetic.lora_memory(shape, run, rank=rank, targets=targets)
    full = arithmetic.full_memory(shape, run)
    bars = [
        (label, [(p.name, p.size_bytes) for p in parts]) for label, parts in (("LoRA", lora), ("Full tuning", full))
    ]
    return {
        "adapter": adapter,
        "parameters": shape.parameters,
        "share_percent": 100 * adapter / (shape.parameters + adapter),
        "file_bytes": 4 * adapter,
        "rows": [{"lora": part, "full": other} for part, other in zip(lora, full, strict=True)],
        "lora_bytes": sum(part.size_bytes for part in lora),
        "full_bytes": sum(part.size_bytes for part in full),
        "plot": stacked_plot(bars, text=lambda size: bytesize(round(size))),
    }


def _break_even(form: BreakEvenForm) -> dict[str, object]:
    data = form.cleaned_data
    hosted = (data["long_prompt"] * data["price_in"] + data["answer"] * data["price_out"]) / 1e6
    tokens = data["short_prompt"] + data["answer"]
    machines = ceil(data["requests"] * tokens / (data["tokens_per_second"] * 3600 * costs.HOURS_PER_MONTH))
    per_token = costs.own_cost_per_token(
        price_per_hour=data["price_per_hour"], tokens_per_second=data["tokens_per_second"]
    )
    always = data["hosting"] == "always"
    idle = machines * data["price_per_hour"] * costs.HOURS_PER_MONTH if always else 0.0
    own = 0.0 if always else tokens * per_token
    fixed = idle + data["retraining"]
    found = costs.break_even(
        one_off=data["one_off"],
        hosted_per_request=hosted,
        own_per_request=own,
        requests_per_month=data["requests"],
        fixed=fixed,
    )
    months = min(MONTHS_SHOWN, max(12, ceil((found.months or 0) * 1.5)))
    curves: dict[str, Sequence[tuple[float, float]]] = {
        "Long prompt, hosted": [(float(month), month * data["requests"] * hosted) for month in range(months + 1)],
        "Tuned, own machine": [
            (float(month), data["one_off"] + month * (data["requests"] * own + fixed)) for month in range(months + 1)
        ],
    }
    return {
        "hosted": hosted,
        "own": own,
        "fixed": fixed,
        "hosted_month": hosted * data["requests"],
        "own_month": own * data["requests"] + fixed,
        "machines": machines,
        "always": always,
        "found": found,
        "plot": line_plot("Total cost", curves, x_label="month"),
    }


def _test_rows(form: TestRowsForm) -> dict[str, object]:
    data = form.cleaned_data
    share, rows = data["share"] / 100, data["rows"]
    discordant, difference = data["discordant"] / 100, data["difference"] / 100
    sizes = sorted({*USUAL_ROWS, rows})
    intervals = [(size, wilson_interval(round(share * size), size)) for size in sizes]
    smallest = power.smallest_difference(rows=rows, discordant=discordant)
    own = wilson_interval(round(share * rows), rows)
    return {
        "low": own.low,
        "high": own.high,
        "rows": rows,
        "needed": power.paired_rows(difference=difference, discordant=discordant),
        "difference": data["difference"],
        "smallest_points": None if smallest is None else smallest * 100,
        "least_discordant": power.LEAST_DISCORDANT_ROWS,
        "expected_discordant": rows * discordant,
        "widths": [(half * 100, rows_for_half_width(share, half)) for half in HALF_WIDTHS],
        "plot": interval_plot([(f"{size:,} rows", share, found.low, found.high) for size, found in intervals]),
    }


def rows_for_half_width(share: float, half: float) -> int:
    """Return the fewest rows whose Wilson interval, at this share of right answers, is at most `half` to each side.

    Of the share itself: with whole right answers, 208 rows would do at 5 % where 216 do not.
    """
    low, high = 1, MAX_ROWS
    while low < high:
        middle = (low + high) // 2
        interval = wilson_of_share(share, middle)
        low, high = (low, middle) if interval.high - interval.low <= 2 * half else (middle + 1, high)
    return low


CALCULATORS = {
    calculator.name: calculator
    for calculator in (
        Calculator(
            "lora-memory",
            "LoRA parameters and memory",
            "How many numbers an adapter trains, and what a training step keeps in memory, part by part.",
            LoraMemoryForm,
            "calculators/_lora_memory.html",
            _lora_memory,
        ),
        Calculator(
            "break-even",
            "Break-even of a tuned model",
            "After how many requests a tuned model with a short prompt is cheaper than a long prompt to a hosted one.",
            BreakEvenForm,
            "calculators/_break_even.html",
            _break_even,
        ),
        Calculator(
            "test-rows",
            "How many test rows do I need?",
            "How wide the interval around a result will be, and the smallest difference that two models can show.",
            TestRowsForm,
            "calculators/_test_rows.html",
            _test_rows,
        ),
    )
}
