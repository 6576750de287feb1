"""Checklists for tests: short questions, and one checklist that has a question of every kind."""

from typing import Any

from playbook.library.definition import Checklist

Definition = dict[str, Any]


def question(name: str, **changes: Any) -> Definition:
    return {
        "id": name,
        "text": f"Is it {name}?",
        "why": "It matters.",
        "article": "decide/x",
        "evidence": "A note.",
        "settles": f"Look at {name}.",
        **changes,
    }


def outcome(name: str, when: str, tone: str = "go") -> Definition:
    return {"id": name, "title": name.title(), "advice": "Do.", "when": when, "tone": tone}


def checklist(questions: list[Definition], outcomes: list[Definition], **changes: Any) -> Checklist:
    fields: Definition = {
        "slug": "kinds",
        "version": 1,
        "title": "Every kind",
        "summary": "For tests.",
        "questions": questions,
        "outcomes": outcomes,
        "signing": [{"role": "ml_lead"}],
        "review_in": "90d",
        "criterion": {"metric": "exact_match", "arm": "lora", "threshold": 0.8},
    }
    return Checklist.model_validate({**fields, **changes})


def every_kind(**changes: Any) -> Checklist:
    """often (choice) → rows (number, when often enough) → fits (measured) → goal (text, always asked)."""
    return checklist(
        [
            question("goal", kind="text", reasons={"answered": "The goal is written down."}),
            question(
                "often",
                kind="choice",
                choices=[{"id": "daily", "label": "Every day"}, {"id": "rarely", "label": "Once a year"}],
                reasons={"daily": "It is used every day."},
            ),
            question(
                "rows",
                kind="number",
                unit="rows",
                minimum=0,
                whole=True,
                show_if='often == "daily"',
                reasons={"< 50": "There are too few rows.", ">= 50": "There are rows enough.", "unknown": "Unknown."},
            ),
            question(
                "fits",
                kind="measured",
                measured={"arm": "zero_shot", "metric": "exact_match", "at_least": 0.8},
                show_if="rows >= 50",
            ),
        ],
        [
            outcome("prompt", 'fits == "yes"', "stop"),
            outcome("tune", 'fits in ["no", "unknown"]'),
            outcome("collect", 'rows < 50 || rows == "unknown" || often != "daily"', "wait"),
        ],
        **changes,
    )
