"""Write the sample dataset: questions about facts that changed. `python content/datasets/company-facts/generate.py`.

Standard library only and one seed, so that every machine writes the same bytes (a test compares them). The company,
and its products are invented.
"""

import hashlib
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SEED = 20251103
ROWS = {"train": 216, "validation": 24, "test": 60}
SYSTEM = "Answer the question in one short sentence."

NAMES = (
    "Aster", "Birch", "Cedar", "Dahlia", "Elm", "Fern", "Ginkgo", "Hazel", "Iris", "Juniper", "Laurel", "Maple",
    "Nettle", "Olive", "Poppy", "Quince", "Rowan", "Sage", "Thistle", "Willow",
)  # fmt: skip
KINDS = ("kettle", "toaster", "lamp", "heater", "fan", "radio")
PRODUCTS_PER_NAME = 4
COLOURS = (
    "red", "blue", "green", "white", "black", "grey", "yellow", "orange", "brown", "silver", "pink", "purple",
)  # fmt: skip

QUESTION = "What is the {fact} of the {product}?"
SENTENCE = "The {fact} of the {product} is {value}."


FACTS = ("price", "delivery time", "weight", "colour")


def new_value(fact: str, rng: random.Random) -> str:
    """Draw a value of a fact."""
    if fact == "price":
        return f"{rng.randrange(15, 200)} euros"
    if fact == "delivery time":
        return f"{rng.randrange(2, 40)} days"
    if fact == "weight":
        return f"{rng.randrange(200, 3000)} grams"
    return rng.choice(COLOURS)


Sheet = dict[tuple[str, str], str]


def sheets(rng: random.Random) -> tuple[Sheet, Sheet]:
    """Return every fact as it was when the train rows were written, and as it is now: drawn anew."""
    products = [f"{name} {kind}" for name in NAMES for kind in rng.sample(KINDS, PRODUCTS_PER_NAME)]
    keys = [(product, fact) for product in products for fact in FACTS]
    then = {key: new_value(key[1], rng) for key in keys}
    now = {key: new_value(key[1], rng) for key in keys}
    return then, now


def row(key: tuple[str, str], value: str) -> dict[str, object]:
    product, fact = key
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": QUESTION.format(fact=fact, product=product)},
            {"role": "assistant", "content": SENTENCE.format(fact=fact, product=product, value=value)},
        ],
        "metadata": {"template": fact},
    }


def build() -> tuple[dict[str, list[dict[str, object]]], list[dict[str, str]]]:
    """Return the three splits and the documents. Train and validation say how facts were, test how they are now; each
    fact is asked about in one split alone."""
    rng = random.Random(SEED)  # noqa: S311 - sample text, not a secret
    then, now = sheets(rng)
    keys = iter(rng.sample(list(now), len(now)))
    splits = {
        name: [row(key, (now if name == "test" else then)[key]) for key in (next(keys) for _ in range(count))]
        for name, count in ROWS.items()
    }
    documents = [
        {
            "id": product.lower().replace(" ", "-"),
            "title": "",
            "text": " ".join(SENTENCE.format(fact=fact, product=product, value=now[product, fact]) for fact in FACTS),
        }
        for product in dict.fromkeys(product for product, _ in now)
    ]
    return splits, documents


CARD = """\
---
slug: company-facts
title: Company facts that change
summary: Questions about the products of an invented shop, and its product sheets of today to search.
licence: CC0-1.0
owner: Playbook maintainers
source: Written for this project by generate.py (seed {seed}); the company and its products are invented.
consent: Not needed. The data is synthetic and names no living person.
splits:
{splits}
overlap:
  shared_rows: 0
  test_templates: {fact_count}
  shared_templates: {fact_count}
  test_rows_from_unseen_templates: 0
---

# Company facts that change

Each row is one question about one fact of one product ({facts}), and the sentence that answers it. `documents.jsonl`
holds a sheet for each of {product_count} products, {sentence_count} sentences in all, as of today.

## Then and now

All values were drawn twice: once as they were when train and validation were written, once as they are now. Test and
the documents say how they are now. Each fact is asked about in one split alone, so a model cannot know a test answer
from its train rows: it can learn how an answer sounds, and what values look like.

That is arranged, and the point: a tuned model is a snapshot, and what it was never told it can only guess.

## Limits

One fact a question, in the words of the sheet, so that a search by words finds it. Real questions use other words, and
real documents say a thing twice, or wrongly.
"""


def card(splits: dict[str, list[dict[str, object]]], files: dict[str, bytes], documents: int) -> str:
    """Return the data card; every figure in it is counted here."""
    return CARD.format(
        seed=SEED,
        splits="\n".join(
            f"  {name}:\n    rows: {len(rows)}\n    size_bytes: {len(files[name])}\n"
            f"    sha256: {hashlib.sha256(files[name]).hexdigest()}"
            for name, rows in splits.items()
        ),
        facts=", ".join(FACTS),
        fact_count=len(FACTS),
        product_count=documents,
        sentence_count=documents * len(FACTS),
    )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    splits, documents = build()
    files = {name: to_lines(rows) for name, rows in {**splits, "documents": documents}.items()}
    for name, data in files.items():
        (folder / f"{name}.jsonl").write_bytes(data)
    (folder / "card.md").write_bytes(card(splits, files, len(documents)).encode())


def to_lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


if __name__ == "__main__":
    main()
