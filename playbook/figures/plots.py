"""Drawings of numbers, each computed by a formula of `library.calculators` or `scoring`."""

from collections.abc import Mapping, Sequence

from playbook.contracts.dataset import Split
from playbook.figures.drawing import WIDTH, Axis, Drawing, percent
from playbook.figures.sample import Sample
from playbook.library.calculators import (
    MemoryPart,
    Precision,
    RunShape,
    Target,
    full_memory,
    lora_memory,
    lora_parameters,
)
from playbook.library.catalog import REFERENCE_BATCH, REFERENCE_RANK, REFERENCE_TOKENS
from playbook.scoring.power import smallest_difference
from playbook.scoring.statistics import wilson_interval

#: Test rows of PEFT's comparison, as its article states them.
COMPARISON_ROWS = 1_319
GIGA = 1e9


def lora_matrices(sample: Sample) -> Drawing:
    """Return the frozen weight and the two matrices beside it, with how many numbers each holds."""
    inputs, outputs = sample.shape.linear(Target.Q)
    rank = REFERENCE_RANK
    thin = rank * (inputs + outputs)
    share = thin / (inputs * outputs)
    drawing = Drawing(
        "A frozen weight, and the two thin matrices beside it",
        f"The query layer of {sample.model_title}. Its weight W has {outputs:,} by {inputs:,}, that is "
        f"{inputs * outputs:,} numbers, which stay as they are. Beside it lie B with {outputs:,} by {rank} and A with "
        f"{rank} by {inputs:,} numbers: together {thin:,}, or {share * 100:.1f} %, and only these are trained.",
        height=218,
    )
    drawing.rect(6, 40, 132, 132, ink="soft", round_by=4)
    drawing.text(72, 102, "W", ink="strong", anchor="middle")
    drawing.text(72, 119, "frozen", ink="little muted", anchor="middle")
    drawing.text(72, 30, f"{inputs:,}", ink="little muted", anchor="middle")
    drawing.text(160, 111, "+", ink="strong", anchor="middle")
    drawing.rect(184, 40, 14, 132, ink="fill-1", round_by=3)
    drawing.text(191, 30, f"rank {rank}", ink="little muted", anchor="middle")
    drawing.text(178, 110, "B", ink="strong text-1", anchor="end")
    drawing.text(210, 111, "×", ink="strong", anchor="middle")
    drawing.rect(222, 99, 132, 14, ink="fill-2", round_by=3)
    drawing.text(288, 90, "A", ink="strong text-2", anchor="middle")
    drawing.text(288, 130, f"{inputs:,}", ink="little muted", anchor="middle")
    drawing.text(72, 192, f"{inputs * outputs:,} numbers", ink="little", anchor="middle")
    drawing.text(269, 192, f"{thin:,} numbers", ink="little", anchor="middle")
    drawing.text(269, 208, f"{share * 100:.1f} % of W, trained", ink="little muted", anchor="middle")
    return drawing


def memory_by_part(sample: Sample) -> Drawing:
    """Return the memory of one training step three ways, part by part."""
    targets = tuple(Target)

    def run(precision: Precision) -> RunShape:
        return RunShape(REFERENCE_BATCH, REFERENCE_TOKENS, precision, True, REFERENCE_TOKENS)

    ways = (
        ("full", full_memory(sample.shape, run(Precision.BF16))),
        ("LoRA", lora_memory(sample.shape, run(Precision.BF16), rank=REFERENCE_RANK, targets=targets)),
        ("QLoRA", lora_memory(sample.shape, run(Precision.NF4), rank=REFERENCE_RANK, targets=targets)),
    )
    totals = {name: sum(part.size_bytes for part in parts) for name, parts in ways}
    drawing = Drawing(
        f"Memory of one training step of {sample.model_title}",
        f"{REFERENCE_BATCH} rows of {REFERENCE_TOKENS:,} tokens, rank {REFERENCE_RANK} on all linear layers, gradient "
        "checkpointing on. "
        + " ".join(f"{name}: {_gigabytes(totals[name])}, of which {_listed(parts)}." for name, parts in ways),
        height=196,
    )
    place = Axis(0, max(totals.values()), 58, WIDTH - 62)
    for row, (name, parts) in enumerate(ways):
        y = 8 + 44 * row
        drawing.text(50, y + 19, name, ink="strong", anchor="end")
        at = 0.0
        for ink, size in _grouped(parts):
            if place(at + size) - place(at) >= 0.5:
                drawing.rect(place(at), y, place(at + size) - place(at), 28, ink=ink)
            at += size
        drawing.text(place(at) + 6, y + 19, _gigabytes(at), ink="little")
    drawing.legend(58, 158, (("fill-1", "base weights"), ("fill-2", "gradients, optimizer")), step=110)
    drawing.legend(58, 178, (("fill-3", "activations"), ("fill-4", "logits")), step=110)
    return drawing


def _grouped(parts: Sequence[MemoryPart]) -> list[tuple[str, float]]:
    """Return (ink, bytes) of four groups: the adapter counts with its gradients and optimizer, which it brings."""
    size = {part.name: part.size_bytes for part in parts}
    trained = size["Adapter"] + size["Gradients"] + size["Optimizer"]
    return [
        ("fill-1", size["Base weights"]),
        ("fill-2", trained),
        ("fill-3", size["Activations"]),
        ("fill-4", size["Logits"]),
    ]


def _listed(parts: Sequence[MemoryPart]) -> str:
    return ", ".join(f"{part.name.lower()} {_gigabytes(part.size_bytes)}" for part in parts if part.size_bytes)


def _gigabytes(size_bytes: float) -> str:
    return f"{size_bytes / GIGA:.2g} GB" if size_bytes < 10 * GIGA else f"{size_bytes / GIGA:.0f} GB"


def adapter_size(sample: Sample) -> Drawing:
    """Return the numbers of an adapter by rank, for two choices of layers."""
    choices = (("query and value", (Target.Q, Target.V), "fill-2"), ("all linear layers", tuple(Target), "fill-1"))
    ranks = (4, 8, 16, 32, 64)
    sizes = {
        name: [lora_parameters(sample.shape, rank=rank, targets=targets) for rank in ranks]
        for name, targets, _ in choices
    }
    drawing = Drawing(
        f"Numbers in an adapter of {sample.model_title}, by rank",
        " ".join(
            f"On {name}: "
            + ", ".join(f"rank {rank}: {size / 1e6:.1f} million" for rank, size in zip(ranks, found, strict=True))
            + "."
            for name, found in sizes.items()
        ),
        height=216,
    )
    place = Axis(0, max(map(max, sizes.values())), 58, WIDTH - 62)
    for row, rank in enumerate(ranks):
        y = 4 + 36 * row
        drawing.text(50, y + 18, f"rank {rank}", ink="little", anchor="end")
        for part, (name, _, ink) in enumerate(choices):
            size = sizes[name][row]
            drawing.rect(place(0), y + 13 * part, max(place(size) - place(0), 1), 11, ink=ink, round_by=2)
            drawing.text(place(size) + 5, y + 9 + 13 * part, f"{size / 1e6:.1f} M", ink="little muted")
    drawing.legend(58, 206, [(ink, name) for name, _, ink in choices], step=116)
    return drawing


def three_splits(sample: Sample) -> Drawing:
    """Return the splits of the sample dataset, as wide as they have rows."""
    uses = {
        Split.TRAIN: ("soft-1", "the model learns from it"),
        Split.VALIDATION: ("soft-2", "settings are chosen on it"),
        Split.TEST: ("soft-3", "locked; read once, for the verdict"),
    }
    total = sum(sample.rows.values())
    drawing = Drawing(
        "Three splits of one dataset",
        f"The sample dataset has {total} rows. "
        + " ".join(
            f"{split.value.capitalize()}: {sample.rows[split]} rows; {use}." for split, (_, use) in uses.items()
        ),
        height=170,
    )
    x = 2.0
    for split, (ink, _) in uses.items():
        width = (WIDTH - 4) * sample.rows[split] / total
        drawing.rect(x, 4, width, 46, ink=ink)
        x += width
    for number, (split, (ink, use)) in enumerate(uses.items()):
        y = 82 + 34 * number
        drawing.rect(2, y - 11, 12, 12, ink=ink)
        drawing.text(24, y, f"{split.value} · {sample.rows[split]} rows", ink="strong")
        drawing.text(24, y + 14, use, ink="little muted")
    return drawing


def interval_width() -> Drawing:
    """Return Wilson's interval around 80 % right, against the number of test rows."""
    sizes = (10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 500, 700, 1000)
    marked = (10, 30, 100, 300, 1000)
    bounds = {n: wilson_interval(round(0.8 * n), n) for n in sizes}
    drawing = Drawing(
        "The 95 % interval around 80 % right",
        "It narrows with the number of test rows: "
        + ", ".join(f"{n:,} rows: {percent(bounds[n].low)} to {percent(bounds[n].high)}" for n in marked)
        + ".",
        height=236,
    )
    place_x = Axis(10, 1000, 44, WIDTH - 14, log=True)
    place_y = Axis(0.4, 1.0, 186, 12)
    for share in (0.4, 0.6, 0.8, 1.0):
        drawing.line((44, place_y(share)), (WIDTH - 14, place_y(share)), ink="axis" if share == 0.4 else "grid-line")
        drawing.text(38, place_y(share) + 4, f"{percent(share)}", ink="little muted", anchor="end")
    upper = [(place_x(n), place_y(bounds[n].high)) for n in sizes]
    lower = [(place_x(n), place_y(bounds[n].low)) for n in sizes]
    drawing.path([*upper, *reversed(lower)], ink="soft-1", closed=True)
    drawing.line((44, place_y(0.8)), (WIDTH - 14, place_y(0.8)), ink="series-1")
    for n in marked:
        drawing.text(place_x(n), 204, f"{n:,}", ink="little muted", anchor="end" if n == 1000 else "middle")
    drawing.text(WIDTH - 14, 224, "test rows, each mark about three times as many", ink="little muted", anchor="end")
    drawing.text(place_x(100), place_y(bounds[100].low) + 16, _percents(100, bounds), ink="little")
    drawing.text(place_x(30), place_y(bounds[30].low) + 16, _percents(30, bounds), ink="little")
    return drawing


def _percents(n: int, bounds: Mapping[int, tuple[float, float]]) -> str:
    low, high = bounds[n]
    return f"{low * 100:.0f} to {high * 100:.0f} %"


def smallest_gain() -> Drawing:
    """Return the smallest difference that test rows show, for two shares of rows on which the models differ."""
    sizes = (50, 70, 100, 150, 200, 300, 500, 700, 1000)
    shares = ((0.3, "series-2", "text-2"), (0.2, "series-1", "text-1"))
    found = {
        share: [(n, gain) for n in sizes if (gain := smallest_difference(rows=n, discordant=share)) is not None]
        for share, _, _ in shares
    }
    drawing = Drawing(
        "The smallest gain that a test can show",
        " ".join(
            f"If the models differ on {percent(share)} of the rows: "
            + ", ".join(f"{n:,} rows show {gain * 100:.0f} points" for n, gain in points if n in (100, 300, 1000))
            + "."
            for share, points in found.items()
        ),
        height=236,
    )
    place_x = Axis(50, 1000, 44, WIDTH - 14, log=True)
    place_y = Axis(0, 0.24, 186, 12)
    for points in (0, 5, 10, 15, 20):
        y = place_y(points / 100)
        drawing.line((44, y), (WIDTH - 14, y), ink="axis" if points == 0 else "grid-line")
        drawing.text(38, y + 4, str(points), ink="little muted", anchor="end")
    for share, ink, text in shares:
        drawing.path([(place_x(n), place_y(gain)) for n, gain in found[share]], ink=ink)
        n, gain = found[share][3]
        above = share > 0.2
        drawing.text(
            place_x(n) + (4 if above else -4),
            place_y(gain) + (-6 if above else 16),
            f"they differ on {percent(share)}",
            ink=f"little {text}",
            anchor="start" if above else "end",
        )
    for n in (50, 100, 200, 500, 1000):
        drawing.text(place_x(n), 204, f"{n:,}", ink="little muted", anchor="end" if n == 1000 else "middle")
    drawing.text(WIDTH - 14, 224, "test rows; points of difference at the left", ink="little muted", anchor="end")
    return drawing


def learned_and_forgotten(sample: Sample) -> Drawing:
    """Return PEFT's runs by what they learned, with its interval, and what they forgot."""
    rows = [
        (method, wilson_interval(round(method.right_percent / 100 * COMPARISON_ROWS), COMPARISON_ROWS))
        for method in sample.methods
    ]
    drawing = Drawing(
        "What five runs learned, and what they forgot",
        f"GSM8K with its 95 % interval on {COMPARISON_ROWS:,} rows, and PEFT's score of forgetting: "
        + "; ".join(
            f"{method.name}: {method.right_percent} % ({percent(low)} to {percent(high)}), "
            f"forgetting {method.forgetting:.3f}"
            for method, (low, high) in rows
        )
        + ".",
        height=262,
    )
    place_x = Axis(0, 0.13, 44, WIDTH - 14)
    place_y = Axis(0.43, 0.55, 210, 12)
    for right in (44, 46, 48, 50, 52, 54):
        y = place_y(right / 100)
        drawing.line((44, y), (WIDTH - 14, y), ink="grid-line")
        drawing.text(38, y + 4, f"{right} %", ink="little muted", anchor="end")
    drawing.line((44, 210), (WIDTH - 14, 210), ink="axis")
    for score in (0, 0.05, 0.10):
        drawing.text(place_x(score), 226, f"{score:g}", ink="little muted", anchor="middle")
    for method, (low, high) in rows:
        x, full = place_x(method.forgetting), method.name.startswith("full")
        number = 2 if full else 1
        drawing.line((x, place_y(low)), (x, place_y(high)), ink=f"series-{number}")
        drawing.dot((x, place_y(method.right_percent / 100)), 4.5, ink=f"fill-{number}")
    drawing.text(
        WIDTH - 14, 246, "forgetting, by PEFT; right answers on GSM8K at the left", ink="little muted", anchor="end"
    )
    for name, dx, dy, anchor in (
        ("rsLoRA r 64", -8, 4, "end"),
        ("LoRA r 10, MLP", 8, -28, "start"),
        ("full tuning, rate 1e-5", -8, 14, "end"),
        ("LoRA r 32, query and value", -6, 26, "end"),
        ("LoRA r 64, query and value", 10, 12, "start"),
    ):
        method = next(found for found in sample.methods if found.name == name)
        x, y = place_x(method.forgetting), place_y(method.right_percent / 100)
        label = name.partition(",")[0]
        drawing.text(
            x + dx, y + dy, label.removeprefix("LoRA ") if "32" in label else label, ink="little", anchor=anchor
        )
    return drawing
