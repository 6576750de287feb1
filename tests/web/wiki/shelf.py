"""A small library for the tests of its pages: two areas, three articles, a checklist."""

FRONT = """---
title: {title}
summary: The answer in one sentence.
owner: Alice Moreau
reviewed: {reviewed}
---
"""
SOURCES = """sources:
  - title: On <adapters>
    author: Hu
    date: 2021-06
    url: https://example.org/lora
    accessed: 2026-11-01
  - title: A course
    author: Someone
    accessed: 2026-11-02
    expires: 2027-01-01
claims: [C01, C02]
related: [train/second]
"""
CHECKLIST = """slug: go
version: 1
title: Go or wait?
summary: One question decides.
questions:
  - id: ready
    text: Are we ready?
    why: It is cheaper to ask.
    article: train/second
    evidence: A list.
    settles: Write the list.
outcomes:
  - {id: go, title: Go, advice: Start., when: 'ready == "yes"', tone: go}
  - {id: wait, title: Wait, advice: Prepare., when: 'ready != "yes"', tone: wait}
signing:
  - role: ml_lead
review_in: 30d
criterion: {metric: exact_match, arm: lora, threshold: 0.8}
"""
AREAS = """areas:
  - {slug: decide, title: Decide, summary: Whether to tune.}
  - {slug: train, title: Train, summary: Runs.}
  - {slug: operate, title: Operate, summary: Nothing here yet.}
"""


def article_text(title: str, body: str, *, reviewed: str = "2026-11-01", more: str = "") -> str:
    return FRONT.format(title=title, reviewed=reviewed).replace("---\n", f"---\n{more}", 1) + body


FILES = {
    "articles/areas.yaml": AREAS,
    "articles/decide/first.md": article_text(
        "First & foremost",
        "Start [here](../../checklists/go.yaml) or read [on](../train/second.md#why).\n\n## Why\n\nBecause.\n",
        more=SOURCES,
    ),
    "articles/train/second.md": article_text("Second", "## Why\n\nText.\n", reviewed="2020-01-01"),
    "articles/train/third.md": article_text("Third", "Text.\n"),
    "checklists/go.yaml": CHECKLIST,
    "models.yaml": "[]\n",
}
