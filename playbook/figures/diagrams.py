"""Drawings of how things hang together. They show an order or a shape; what numbers they hold are of the sample."""

import math

from playbook.figures.drawing import LINE, WIDTH, Axis, Drawing, percent
from playbook.figures.sample import Sample


def choose_a_remedy() -> Drawing:
    """Return the ladder from prompt to tuning, each step with what it is for and what a change costs."""
    steps = (
        ("Prompt", "the task was not clear", "minutes"),
        ("Examples", "the form was not shown", "an hour"),
        ("Retrieval", "a fact was missing", "days, an index to keep"),
        ("Tuning", "the form or rule is not kept", "a dataset, a run, an owner"),
    )
    drawing = Drawing(
        "The ladder from prompt to tuning",
        "Four steps, to be tried from top to bottom while the answers are still wrong: "
        + "; ".join(f"{name}, if {when}; a change costs {cost}" for name, when, cost in steps)
        + ". The bar beside each step grows with the cost.",
        height=316,
    )
    drawing.text(10, 16, "the answer is wrong because …", ink="little muted")
    drawing.text(214, 16, "a change costs", ink="little muted")
    for number, (name, when, cost) in enumerate(steps):
        y = 28 + 74 * number
        drawing.rect(1, y, 192, 50, ink="soft-1" if number == 3 else "box", round_by=8)
        drawing.text(14, y + 21, f"{number + 1}  {name}", ink="strong")
        drawing.text(14, y + 39, when, ink="little muted")
        drawing.rect(214, y + 10, 22 + 38 * number, 12, ink="fill-1", round_by=3)
        drawing.text(214, y + 39, cost, ink="little")
        if number < 3:
            drawing.arrow((30, y + 51), (30, y + 73))
            drawing.text(40, y + 67, "still wrong?", ink="little muted")
    return drawing


def the_loop() -> Drawing:
    """Return the way from an article to an outcome and back."""
    steps = (
        ("Read", "an article"),
        ("Decide", "a checklist"),
        ("Sign", "the decision"),
        ("Measure", "a job"),
        ("Remember", "the outcome"),
    )
    drawing = Drawing(
        "The loop of this site",
        "Five steps in a circle: "
        + ", ".join(f"{name} ({what})" for name, what in steps)
        + ". The outcome comes back to the articles that led to it, so the circle closes.",
        height=292,
    )
    centre_x, centre_y, radius_x, radius_y = WIDTH / 2, 144, 124, 112
    for number, (name, what) in enumerate(steps):
        turn = (number - 1.25) * 2 * math.pi / len(steps)
        x, y = centre_x + radius_x * math.cos(turn), centre_y + radius_y * math.sin(turn)
        between = turn + math.pi / len(steps)
        nearer, further = (
            (centre_x + radius_x * math.cos(angle), centre_y + radius_y * math.sin(angle))
            for angle in (between - 0.11, between + 0.11)
        )
        drawing.arrow(nearer, further)
        drawing.rect(x - 46, y - 25, 92, 50, ink="soft-3" if name == "Remember" else "box", round_by=8)
        drawing.text(x, y - 3, name, ink="strong", anchor="middle")
        drawing.text(x, y + 14, what, ink="little muted", anchor="middle")
    drawing.text(centre_x, centre_y - 3, "what came of it", ink="little muted", anchor="middle")
    drawing.text(centre_x, centre_y + 12, "changes what we read", ink="little muted", anchor="middle")
    return drawing


def three_stages() -> Drawing:
    """Return the three stages of a run, with what each hands to the next."""
    stages = (
        ("Data", "every row checked,\nthen split in three", "train · validation · test"),
        ("Training", "the adapter is corrected\na little at each step", "adapter · two loss curves"),
        ("Evaluation", "untouched and tuned model\nanswer the same rows", "report with intervals"),
    )
    drawing = Drawing(
        "The three stages of a run",
        "From top to bottom: "
        + "; ".join(f"{name}: {' '.join(what.split())}; out comes: {out}" for name, what, out in stages)
        + ". The test split goes past training, straight to evaluation.",
        height=300,
    )
    for number, (name, what, out) in enumerate(stages):
        y = 4 + 104 * number
        drawing.rect(60, y, 240, 62, ink="soft-1" if number == 1 else "box", round_by=8)
        drawing.text(74, y + 20, f"{number + 1}  {name}", ink="strong")
        drawing.text(74, y + 20 + LINE + 1, what, ink="little muted")
        if number < 2:
            drawing.arrow((180, y + 63), (180, y + 103))
            drawing.text(188, y + 87, out, ink="little")
    drawing.text(180, 290, stages[2][2], ink="little", anchor="middle")
    drawing.path([(59, 40), (24, 40), (24, 246), (52, 246)], ink="line dashed")
    drawing.head((59, 246), 0)
    drawing.text(32, 194, "the locked test split", ink="little muted")
    return drawing


def when_to_stop() -> Drawing:
    """Return the shape of two loss curves of which one turns. It has no numbers, for it shows no run."""
    drawing = Drawing(
        "Two loss curves, and where to stop",
        "A sketch without numbers. The train loss falls all the way. The validation loss falls with it at first, turns "
        "and rises: from there on the model learns its rows by heart. The checkpoint to keep lies at the turn.",
        height=228,
    )
    drawing.line((24, 12), (24, 196), ink="axis")
    drawing.line((24, 196), (352, 196), ink="axis")
    shares = [number / 40 for number in range(41)]
    train = [0.1 + 0.9 * math.exp(-4 * share) for share in shares]
    validation = [0.3 + 0.72 * math.exp(-5.5 * share) + 0.4 * share**2 for share in shares]
    turn = validation.index(min(validation))
    x, y = Axis(0, 1, 30, 346), Axis(0, 1.05, 196, 14)
    drawing.rect(x(shares[turn]), 12, 352 - x(shares[turn]), 184, ink="soft")
    drawing.path([(x(share), y(loss)) for share, loss in zip(shares, train, strict=True)], ink="series-1")
    drawing.path([(x(share), y(loss)) for share, loss in zip(shares, validation, strict=True)], ink="series-2")
    best = (x(shares[turn]), y(validation[turn]))
    drawing.line((best[0], 36), (best[0], 196), ink="line dashed")
    drawing.dot(best, 5, ink="fill-2")
    drawing.text(best[0], 28, "keep this checkpoint", ink="little strong", anchor="middle")
    drawing.text(346, y(train[-1]) - 10, "train loss", ink="little text-1", anchor="end")
    drawing.text(346, y(validation[-1]) - 12, "validation loss", ink="little text-2", anchor="end")
    drawing.text(best[0] + 8, 214, "learning by heart →", ink="little muted")
    drawing.text(24, 214, "steps", ink="little muted")
    drawing.text(6, 22, "loss", ink="little muted")
    return drawing


def what_is_learned(sample: Sample) -> Drawing:
    """Return one conversation of the sample with the part that has labels."""
    parts = [(message.role, _wrapped(message.content or "", 46)) for message in sample.first.messages]
    words = {role: sum(len(line.split()) for line in lines) for role, lines in parts}
    total, answer = sum(words.values()), words["assistant"]
    drawing = Drawing(
        "The part of a conversation that is learned",
        f"A row of the sample dataset with {total} words. The system and the user message are read and ignored by the "
        f"loss. The assistant's answer, {answer} words and the end of its turn, is learned.",
        height=34 + sum(34 + LINE * len(lines) for _, lines in parts),
    )
    y = 4.0
    for role, lines in parts:
        learned = role == "assistant"
        height = 24 + LINE * len(lines)
        drawing.rect(1, y, 358, height, ink="soft-3" if learned else "soft", round_by=8)
        drawing.text(12, y + 16, role, ink="little strong")
        verdict = "learned" if learned else "read, but no label"
        drawing.text(348, y + 16, verdict, ink="little text-3" if learned else "little muted", anchor="end")
        drawing.text(12, y + 16 + LINE, "\n".join(lines), ink="little mono" if learned else "little mono muted")
        y += height + 10
    drawing.rect(1, y, 112, 24, ink="soft-3", round_by=6)
    drawing.text(12, y + 16, "end of the turn", ink="little strong")
    drawing.text(122, y + 16, "learned too, or the model never stops", ink="little muted")
    return drawing


def padding(sample: Sample) -> Drawing:
    """Return the same rows in two orders, batch by batch, with what is padded."""
    lengths = sample.words[:12]
    batch = 4
    orders = (("as they come", lengths), ("sorted by length", tuple(sorted(lengths))))
    shares = {name: padded_share(order, batch) for name, order in orders}
    drawing = Drawing(
        "Padding in a batch",
        f"The first {len(lengths)} rows of the sample dataset in batches of {batch}. Every row is padded to the "
        + "longest of its batch: "
        + ", ".join(f"{percent(share)} of all places {name}" for name, share in shares.items())
        + ".",
        height=286,
    )
    scale = 150 / max(lengths)
    for column, (name, order) in enumerate(orders):
        x = 6 + 182 * column
        drawing.text(x, 16, name, ink="little strong")
        drawing.text(x, 31, f"{percent(shares[name])} padding", ink="little muted")
        for number, length in enumerate(order):
            y = 44 + 16 * number + 10 * (number // batch)
            longest = max(order[number // batch * batch : number // batch * batch + batch])
            drawing.rect(x, y, longest * scale, 11, ink="soft-2", round_by=2)
            drawing.rect(x, y, length * scale, 11, ink="fill-1", round_by=2)
    drawing.legend(6, 278, (("fill-1", "words"), ("soft-2", "padding")), step=80)
    return drawing


def padded_share(lengths: tuple[int, ...], batch: int) -> float:
    """Return which share of the places is padding, when every row is as long as the longest of its batch."""
    places = sum(
        max(lengths[start : start + batch]) * len(lengths[start : start + batch])
        for start in range(0, len(lengths), batch)
    )
    return 1 - sum(lengths) / places


def _wrapped(text: str, most: int) -> list[str]:
    """Return `text` in lines of at most `most` characters, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) > most and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
