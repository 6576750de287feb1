"""Write the sample dataset: support ticket → JSON. `python content/datasets/support-tickets/generate.py [FOLDER]`.

Standard library only and one seed, so that every machine writes the same bytes (a test compares them). The text is
written for this project: no ticket, customer or product is real.
"""

import hashlib
import json
import random
import sys
from pathlib import Path
from typing import NamedTuple

SEED = 20260728
ROWS = {"train": 360, "validation": 40, "test": 80}
SYSTEM = (
    "Turn the support ticket into JSON with the keys order_id, item, issue and priority. Answer with the JSON only."
)

#: What the queue does first: 1 is the most urgent.
PRIORITY = {
    "safety_hazard": 1,
    "arrived_damaged": 3,
    "stopped_working": 3,
    "missing_part": 3,
    "wrong_item": 3,
    "not_delivered": 2,
    "billing_error": 2,
    "return_request": 4,
    "usage_question": 4,
}

#: Complaints by issue. The last of each list appears in the test split alone.
TEMPLATES = {
    "safety_hazard": (
        "Smoke came out of the {item} and it smelled of burning.",
        "I got an electric shock from the {item}.",
        "The {item} has an edge so sharp that I cut my hand.",
        "A bare wire is sticking out of the {item} and my son touched it.",
        "The {item} sparked when I plugged it in and tripped the fuse.",
        "My {item} got so hot that it burned the table.",
        "There were flames inside the {item}, I pulled the plug just in time.",
    ),
    "arrived_damaged": (
        "The {item} came with a big crack down one side.",
        "Opened the box today and the {item} is dented and scratched all over.",
        "My {item} turned up broken, the packaging was crushed.",
        "Courier clearly dropped it: the {item} was in pieces when it got here.",
        "Just unpacked the {item} and the casing is smashed.",
        "The parcel looked like it had been kicked about and the {item} inside is bent.",
        "There is a hole in the box and the {item} has been damaged in transit.",
    ),
    "stopped_working": (
        "The {item} worked for two weeks and then just died.",
        "My {item} will not switch on any more.",
        "Since yesterday the {item} does nothing at all, I tried everything.",
        "The {item} keeps cutting out after a minute or so.",
        "I have had the {item} for a month and now it has stopped working.",
        "Out of nowhere the {item} quit on me and it is still under warranty.",
        "The {item} is dead. It was fine last week.",
    ),
    "missing_part": (
        "The {item} arrived but the screws are not in the box.",
        "There is a part missing from my {item}, I cannot put it together.",
        "I unpacked the {item} and the power adapter is nowhere to be found.",
        "The {item} came without the cable that the leaflet shows.",
        "One piece of the {item} was left out, I counted twice.",
        "Half the bits for the {item} are absent, so I cannot finish it.",
        "The bag of fittings that belongs to the {item} was not included.",
    ),
    "wrong_item": (
        "I ordered the {item} and you sent me the {other} instead.",
        "This is not what I bought. I wanted the {item} and got the {other}.",
        "You mixed something up, I paid for the {item} but the box holds the {other}.",
        "Wrong product! It should be the {item}, what I have here is the {other}.",
        "Somebody else must have my {item}, because I received the {other}.",
        "My order was for the {item}. In the parcel I found the {other}.",
        "Why did I get the {other}? The confirmation says {item}.",
    ),
    "not_delivered": (
        "I am still waiting for the {item}, it should have been here last week.",
        "The {item} never arrived although the tracking says delivered.",
        "Where is my {item}? Nothing has come so far.",
        "Ten days now and no sign of the {item}.",
        "The tracking for my {item} has not moved since Monday, it has not come.",
        "My {item} seems to be lost in the post.",
        "Has the {item} been shipped at all? I have received nothing.",
    ),
    "billing_error": (
        "You charged me twice for the {item}.",
        "The invoice for the {item} shows a higher price than the shop did.",
        "My card was debited two times for one {item}.",
        "The discount code was not taken off the bill for the {item}.",
        "The amount you took for the {item} is wrong.",
        "I see two payments on my statement for a single {item}.",
        "The {item} was on offer, yet the full price was billed.",
    ),
    "return_request": (
        "I would like to send the {item} back, it is not for me.",
        "How do I return the {item}? I changed my mind.",
        "Please send me a return label for the {item}.",
        "The {item} is too big for my flat, I want to give it back.",
        "I want to return the {item}, it has not been used.",
        "I no longer need the {item} and want my money back for it.",
        "The {item} was a gift that we already have, can you take it back?",
    ),
    "usage_question": (
        "How do I clean the {item} properly?",
        "Is there a manual for the {item} in French?",
        "Which setting should I use on the {item} the first time?",
        "Can you tell me how to set up the {item}?",
        "I do not understand the buttons on the {item}, what does the left one do?",
        "What is the right way to store the {item} over the winter?",
        "Could you explain how one changes the filter of the {item}?",
    ),
}
TEST_ONLY_TEMPLATES = 1

#: By domain; everything runs on electricity, so that each complaint fits each item. The last of each list appears in
#: the test split alone.
ITEMS = {
    "kitchen": (
        "espresso machine", "toaster", "stand mixer", "rice cooker", "kettle", "blender", "air fryer", "dishwasher",
        "coffee grinder", "waffle iron", "slow cooker", "wine cooler", "food processor", "freezer", "yoghurt maker",
        "juicer",
    ),
    "electronics": (
        "headset", "router", "keyboard", "monitor", "tablet", "speaker", "projector", "power bank", "doorbell",
        "baby monitor", "game console", "radio", "alarm clock", "soundbar", "camcorder", "dash camera",
    ),
    "garden": (
        "hedge trimmer", "lawn mower", "pressure washer", "pond pump", "robot mower", "chainsaw", "patio heater",
        "wood chipper", "grass strimmer", "bird bath heater", "sprinkler timer", "leaf blower",
    ),
    "office": (
        "desk lamp", "laminator", "printer", "shredder", "standing desk", "scanner", "webcam", "badge reader",
        "time clock", "paper folder", "whiteboard", "phone charger", "label maker",
    ),
    "sport": (
        "exercise bike", "massage gun", "bike computer", "ball launcher", "rowing machine", "golf trolley",
        "step counter", "cross trainer", "scoreboard", "boot warmer", "stopwatch", "treadmill",
    ),
    "home": (
        "vacuum cleaner", "fan heater", "electric blanket", "floor lamp", "dehumidifier", "sewing machine",
        "hair dryer", "smoke alarm", "thermostat", "air purifier", "towel rail", "shaver", "night light",
        "steam iron",
    ),
}  # fmt: skip

#: True of many tickets and without any effect on the priority, however urgent it sounds.
NOISE = (
    "I need this sorted by Friday.",
    "We have an event on Saturday, so it has to be solved before that.",
    "Please hurry, I leave the country on Thursday.",
    "It must be settled before the end of the week.",
    "I need an answer by tomorrow at the latest.",
    "This is really annoying!!",
    "I am very disappointed.",
    "I have been a customer for years.",
    "Thanks for your help.",
    "Never had a problem with you before.",
    "URGENT",
    "I already wrote twice.",
    "Hope you are well.",
)
ORDER_FORMS = (
    "Order {id}.",
    "My order number is {id}.",
    "order no. {id}",
    "Ref {id}",
    "It is about #{id}.",
    "(order {id})",
    "Bought under order {id}.",
    "The number on the receipt is {id}.",
)
GREETINGS = ("Hi,", "Hello,", "Hello team,", "Dear all,", "Good morning,", "hey", "", "", "")
NAMES = (
    "Amara", "Bartosz", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Khadija", "Liam",
    "Mei", "Nuno", "Olga", "Priya", "Quentin", "Rosa", "Sami", "Tove", "Uma", "Viktor", "Wanda", "Yusuf", "Zoe",
)  # fmt: skip
CLOSINGS = ("{name}", "Regards, {name}", "Thanks, {name}", "Best, {name}", "- {name}", "", "", "")


class Choices(NamedTuple):
    """What a split may draw from."""

    templates: tuple[tuple[str, int], ...]
    items: tuple[str, ...]


def choices_for(split: str) -> Choices:
    """Return the templates and items of `split`: test draws from all of them, train and validation from fewer."""
    held_out = 0 if split == "test" else TEST_ONLY_TEMPLATES
    templates = tuple((issue, number) for issue, texts in TEMPLATES.items() for number in range(len(texts) - held_out))
    items = tuple(item for names in ITEMS.values() for item in (names if split == "test" else names[:-1]))
    return Choices(templates, items)


def with_typo(text: str, keep: tuple[str, ...], rng: random.Random) -> str:
    """Return `text` with two letters of one word swapped; words of `keep` (order number, items) stay as they are."""
    kept = {part for phrase in keep for part in phrase.split()}
    words = text.split(" ")
    candidates = [i for i, word in enumerate(words) if word.isalpha() and len(word) > 4 and word not in kept]
    if not candidates:
        return text
    at = rng.choice(candidates)
    cut = rng.randrange(1, len(words[at]) - 2)
    word = words[at]
    words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


def ticket(choices: Choices, template: tuple[str, int], rng: random.Random) -> dict[str, object]:
    """Return one row: system message, ticket, JSON answer, and the template in the metadata."""
    issue, number = template
    item, other = rng.sample(choices.items, 2)
    order_id = str(rng.randrange(10_000, 100_000)) if rng.random() < 0.85 else None

    body = [TEMPLATES[issue][number].format(item=item, other=other)]
    if rng.random() < 0.35:
        body.insert(rng.randrange(len(body) + 1), rng.choice(NOISE))
    if order_id is not None:
        body.insert(rng.choice((0, len(body))), rng.choice(ORDER_FORMS).format(id=order_id))
    text = " ".join(body)
    if rng.random() < 0.2:
        text = with_typo(text, (item, other), rng)
    if rng.random() < 0.15:
        text = text.lower()
    closing = rng.choice(CLOSINGS).format(name=rng.choice(NAMES))
    parts = [part for part in (rng.choice(GREETINGS), text, closing) if part]

    answer = {
        "order_id": order_id,
        "item": item,
        "issue": issue,
        "priority": f"P{PRIORITY[issue]}",
    }
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": " ".join(parts)},
            {"role": "assistant", "content": json.dumps(answer)},
        ],
        "metadata": {"template": f"{issue}-{number + 1}"},
    }


def build() -> dict[str, list[dict[str, object]]]:
    """Return the three splits. Templates take turns, so that each issue is equally frequent; no ticket repeats."""
    rng = random.Random(SEED)  # noqa: S311 - sample text, not a secret
    seen: set[str] = set()
    splits: dict[str, list[dict[str, object]]] = {}
    for split, wanted in ROWS.items():
        choices = choices_for(split)
        rows: list[dict[str, object]] = []
        while len(rows) < wanted:
            order = rng.sample(choices.templates, len(choices.templates))
            for template in order[: wanted - len(rows)]:
                row = ticket(choices, template, rng)
                while (text := row["messages"][1]["content"]) in seen:  # type: ignore[index]
                    row = ticket(choices, template, rng)
                seen.add(text)
                rows.append(row)
        splits[split] = rows
    return splits


def templates_of(rows: list[dict[str, object]]) -> set[str]:
    return {row["metadata"]["template"] for row in rows}  # type: ignore[index]


CARD = """\
---
slug: support-tickets
title: Support tickets to JSON
summary: Customer messages of an invented web shop, and the four fields that its queue needs.
licence: CC0-1.0
owner: Playbook maintainers
source: Written for this project by generate.py (seed {seed}); no real ticket, customer or shop.
consent: Not needed. The data is synthetic and names no living person.
splits:
{splits}
overlap:
  shared_rows: {shared_rows}
  test_templates: {test_templates}
  shared_templates: {shared_templates}
  test_rows_from_unseen_templates: {unseen_rows}
---

# Support tickets to JSON

Each row is one conversation: a system message with the instruction, a ticket as the user message, and the JSON object
that the queue expects as the answer.

## House rules

The rules are not in the prompt. A model has to learn them from the answers.

| field | rule |
|---|---|
| `order_id` | the five digits as text, or `null` when the ticket gives none |
| `item` | what the customer ordered, in lower case, also when something else was sent |
| `issue` | one of {issues} |
| `priority` | by issue: {priorities} |

Deadlines and shouting change nothing.

## How varied it is

{template_count} complaints over {issue_count} issues, {item_count} products in {domain_count} domains, order numbers in
{order_form_count} spellings, noise, typing mistakes (in about 20 % of tickets) and lower-case tickets (about 15 %).

## What the splits share

No ticket text appears twice. Train and validation never show the last complaint of each issue ({held_out} in all) nor
the last product of each domain; the test split draws from all of them:

| test rows | complaint |
|---|---|
| {seen_rows} of {test_rows} | one of the {shared_templates} that train shows too |
| {unseen_rows} of {test_rows} | one that train never shows |

Read a score on this set with that in mind: real tickets vary more.

## Limits

English only, one issue per ticket, every answer decidable from the ticket. It shows that tuning teaches a format and
house rules; it says nothing about long or ambiguous messages.
"""


def card(splits: dict[str, list[dict[str, object]]], files: dict[str, bytes]) -> str:
    """Return the data card; every figure in it is counted here."""
    test, train = splits["test"], splits["train"]
    shared = templates_of(test) & templates_of(train)
    unseen_rows = sum(row["metadata"]["template"] not in shared for row in test)  # type: ignore[index]
    train_texts = {row["messages"][1]["content"] for row in train}  # type: ignore[index]
    by_priority = {
        level: [issue for issue, base in PRIORITY.items() if base == level] for level in sorted(set(PRIORITY.values()))
    }
    return CARD.format(
        seed=SEED,
        splits="\n".join(
            f"  {name}:\n    rows: {len(splits[name])}\n    size_bytes: {len(data)}\n"
            f"    sha256: {hashlib.sha256(data).hexdigest()}"
            for name, data in files.items()
        ),
        shared_rows=sum(row["messages"][1]["content"] in train_texts for row in test),  # type: ignore[index]
        test_templates=len(templates_of(test)),
        shared_templates=len(shared),
        unseen_rows=unseen_rows,
        seen_rows=len(test) - unseen_rows,
        test_rows=len(test),
        issues=", ".join(f"`{issue}`" for issue in TEMPLATES),
        priorities="; ".join(f"`P{level}`: {', '.join(issues)}" for level, issues in by_priority.items()),
        template_count=sum(len(texts) for texts in TEMPLATES.values()),
        issue_count=len(TEMPLATES),
        item_count=sum(len(names) for names in ITEMS.values()),
        domain_count=len(ITEMS),
        order_form_count=len(ORDER_FORMS),
        held_out=TEST_ONLY_TEMPLATES * len(TEMPLATES),
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
