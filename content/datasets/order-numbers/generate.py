"""Write the sample dataset: the order number in a message. `python content/datasets/order-numbers/generate.py`.

Standard library only and one seed, so that every machine writes the same bytes (a test compares them). The text is
written for this project: no message or order is real.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

SEED = 20251105
ROWS = {"train": 160, "validation": 20, "test": 60}
SYSTEM = "Reply with the order number in the message and nothing else."

#: The last ones appear in the test split alone.
TEMPLATES = (
    "I am still waiting for order {number}, it should have been here last week.",
    "Where is my parcel? The number is {number}.",
    "Order {number} came with a broken lid.",
    "Please cancel {number}, I bought it twice.",
    "Can you tell me when {number} will be sent? Thanks!",
    "You charged me twice for order {number}.",
    "My name is Priya and my order is {number}.",
    "It is about #{number}: the invoice is wrong.",
    "Thanks for {number}, but one piece is missing.",
    "The receipt says {number}. What does that cover?",
    "Hello, {number} here, I would like to change the address.",
    "Good morning. I want to send back order {number}, it is too small.",
    "Nothing has come so far. (order {number})",
    "Ref {number}, second reminder. Please answer.",
    "We ordered a lamp under {number} and got a kettle.",
    "If you look at {number} you will see that I paid on Monday.",
    "My colleague placed order {number} in May and has left since.",
    "Is the guarantee of {number} still running?",
    "{number} was a gift, can you wrap it?",
    "The driver says that {number} was refused. It was not.",
)
TEST_ONLY_TEMPLATES = 5


def row(template: int, rng: random.Random) -> dict[str, object]:
    said = str(rng.randrange(10_000, 100_000))
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": TEMPLATES[template].format(number=said)},
            {"role": "assistant", "content": said},
        ],
        "metadata": {"template": str(template + 1)},
    }


def build() -> dict[str, list[dict[str, object]]]:
    """Return the three splits. Templates take turns; no number comes twice."""
    rng = random.Random(SEED)  # noqa: S311 - sample text, not a secret
    seen: set[str] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, wanted in ROWS.items():
        usable = range(len(TEMPLATES) - (0 if split == "test" else TEST_ONLY_TEMPLATES))
        rows: list[dict[str, object]] = []
        while len(rows) < wanted:
            made = row(usable[len(rows) % len(usable)], rng)
            said = made["messages"][2]["content"]  # type: ignore[index]
            if said not in seen:
                seen.add(said)
                rows.append(made)
        rng.shuffle(rows)
        splits[split] = rows
    return splits


CARD = """\
---
slug: order-numbers
title: The order number in a message
summary: Short customer messages that each hold one order number, and that number.
licence: CC0-1.0
owner: Playbook maintainers
source: Written for this project by generate.py (seed {seed}); no message or order is real.
consent: Not needed. The data is synthetic and names no living person.
splits:
{splits}
overlap:
  shared_rows: 0
  test_templates: {test_templates}
  shared_templates: {shared_templates}
  test_rows_from_unseen_templates: {unseen_rows}
---

# The order number in a message

Each row is one conversation: a system message with the instruction, a message that holds one order number of five
digits, and that number as the answer. All that is asked for stands in the message, so there is nothing to look up and
little to learn.

## What the splits share

No order number comes twice. {unseen_rows} of the {test_rows} test rows use one of {held_out} sentences that train never
shows.

## Limits

One number a message, always five digits. Messages with none or with several would need a rule for that.
"""


def card(splits: dict[str, list[dict[str, object]]], files: dict[str, bytes]) -> str:
    """Return the data card; every figure in it is counted here."""
    known, tested = (
        {row["metadata"]["template"] for row in splits[name]}  # type: ignore[index]
        for name in ("train", "test")
    )
    return CARD.format(
        seed=SEED,
        splits="\n".join(
            f"  {name}:\n    rows: {len(rows)}\n    size_bytes: {len(files[name])}\n"
            f"    sha256: {hashlib.sha256(files[name]).hexdigest()}"
            for name, rows in splits.items()
        ),
        test_templates=len(tested),
        shared_templates=len(tested & known),
        unseen_rows=sum(row["metadata"]["template"] not in known for row in splits["test"]),  # type: ignore[index]
        test_rows=len(splits["test"]),
        held_out=TEST_ONLY_TEMPLATES,
    )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    splits = build()
    files = {
        name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        for name, rows in splits.items()
    }
    for name, data in files.items():
        (folder / f"{name}.jsonl").write_bytes(data)
    (folder / "card.md").write_bytes(card(splits, files).encode())


if __name__ == "__main__":
    main()
