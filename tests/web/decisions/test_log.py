"""The decision log: search, filters, timeline, and its rows for spreadsheets and programs."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.web.accounts.models import User
from playbook.web.common.plots_columns import columns_plot
from playbook.web.decisions.log import COLUMNS, LogFilter, csv_of, decision_log, json_of, timeline_of
from playbook.web.decisions.models import Decision, Status
from playbook.web.usecases.models import UseCase
from tests.web import decided


@pytest.fixture
def log(client: Client, use_case: UseCase, alice: User, bob: User, charlie: User) -> None:
    """D-1 accepted in March 2026 and alice's; D-2 and D-3 proposed in May, one of them nobody's."""
    decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    decided.proposed(use_case, alice, title="Summarise meetings", context="In Zürich, 50 % of them.")
    decided.proposed(use_case, alice, title='=HYPERLINK("http://x")', owner=None)
    for number, month in ((1, 3), (2, 5), (3, 5)):
        Decision.objects.filter(number=number).update(created_at=datetime(2026, month, 2, tzinfo=UTC))
    client.force_login(alice)


def numbers(client: Client, query: str) -> list[int]:
    return [decision.number for decision in client.get(f"/decisions/{query}").context["page"].object_list]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [3, 2, 1]),
        ("?q=meetings", [2]),
        ("?q=MEETINGS+zürich", [2]),
        ("?q=ZÜRICH", [2]),
        ("?q=meetings+nothing", []),
        ("?q=50+%25", [2]),
        ("?q=D-1", [1]),
        ("?q=d-3", [3]),
        ("?q=ticket", [3, 2, 1]),
        ("?q=%00", [3, 2, 1]),
        ("?q=%27+OR+1%3D1--", []),
        ("?owner=me", [2, 1]),
        ("?month=2026-05", [3, 2]),
        ("?month=2026-13&owner=somebody&status=maybe", [3, 2, 1]),
        ("?month=9999-12", [3, 2, 1]),  # has no next month
        ("?month=0000-01", [3, 2, 1]),
        ("?month=%EF%BC%92026-05", [3, 2, 1]),  # a wide digit
        ("?month=2026-03&status=accepted", [1]),
        ("?use_case=none", []),
    ],
)
def test_the_log_finds(client: Client, query: str, found: list[int]) -> None:
    assert numbers(client, query) == found


@pytest.mark.usefixtures("log")
def test_the_log_finds_what_a_decision_says_now(client: Client) -> None:
    Decision.objects.filter(number=2).update(title="Digest the week", context="")
    assert (numbers(client, "?q=meetings"), numbers(client, "?q=DIGEST")) == ([], [2])
    Decision.objects.filter(number=2).update(title="ÜBERSICHT für Ärzte")
    assert [numbers(client, f"?q={word}") for word in ("übersicht", "Übersicht", "ärzte", "FÜR", "über")] == [[2]] * 5


@pytest.mark.usefixtures("log")
def test_the_timeline_counts_by_month_and_status_and_leads_to_them(client: Client, alice: User) -> None:
    chosen = LogFilter(owner="me")
    months, total = timeline_of(decision_log(alice, LogFilter()), LogFilter())
    assert months[0] == ("Jun 2025", "/decisions/?month=2025-06", {})
    assert len(months) == 12
    assert months[-3:] == [
        ("Mar 2026", "/decisions/?month=2026-03", {"accepted": 1}),
        ("Apr 2026", "/decisions/?month=2026-04", {}),
        ("May 2026", "/decisions/?month=2026-05", {"proposed": 2}),
    ]
    assert total == 3
    assert timeline_of(decision_log(alice, chosen), chosen)[0][-1] == (
        "May 2026",
        "/decisions/?owner=me&month=2026-05",
        {"proposed": 1},
    )
    page = client.get("/decisions/").content.decode()
    assert 'aria-label="Decisions by month. Mar 2026: 1 accepted. May 2026: 2 proposed."' in page
    assert '<a href="/decisions/?month=2026-05" aria-label="May 2026: 2 proposed">' in page


def test_columns_stand_on_the_axis_and_their_parts_on_each_other() -> None:
    plot = columns_plot("Decisions", Status.values, [("May", "/x", {"draft": 1, "accepted": 3}), ("June", "/y", {})])
    assert plot is not None
    first, last = plot.columns
    assert [(part.number, part.height) for part in first.parts] == [(1, 25.5), (3, 76.5)]
    assert first.parts[0].y + first.parts[0].height == plot.bottom
    assert first.parts[1].y + first.parts[1].height == pytest.approx(first.parts[0].y)
    assert (last.parts, last.text, plot.names) == ((), "June: none", ((1, "draft"), (3, "accepted")))
    assert columns_plot("Decisions", Status.values, [("May", "/x", {})]) is None


def read_csv(client: Client, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"/decisions/export.csv{query}")
    content = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(content)))


def read_json(client: Client, query: str = "") -> Any:
    answer = client.get(f"/decisions/export.json{query}")
    return json.loads(b"".join(answer.streaming_content))  # type: ignore[attr-defined]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("export", [csv_of, json_of])
def test_an_export_begins_before_the_last_row_is_read(
    monkeypatch: pytest.MonkeyPatch, alice: User, export: Callable[[QuerySet[Decision]], Iterator[str]]
) -> None:
    monkeypatch.setattr("playbook.web.decisions.log.PIECE_CHARACTERS", 1)
    pieces = list(export(decision_log(alice, LogFilter())))
    assert len(pieces) > 3
    assert "Summarise meetings" not in pieces[0]
    assert "Summarise meetings" in pieces[1]


@pytest.mark.usefixtures("log")
def test_the_csv_holds_what_the_filters_choose_and_no_formula(client: Client) -> None:
    rows = read_csv(client)
    assert [row["number"] for row in rows] == ["3", "2", "1"]
    assert rows[0]["title"] == '\'=HYPERLINK("http://x")'
    assert rows[2]["criterion"] == "exact match of LoRA on the test set ≥ 0.80"
    assert [row["number"] for row in read_csv(client, "?status=accepted")] == ["1"]
    assert list(read_csv(client)[0]) == list(COLUMNS)
    assert read_csv(client, "?q=nothing-like-it") == []


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "＝"])
def test_no_cell_begins_like_a_formula(client: Client, first: str) -> None:
    Decision.objects.filter(number=1).update(kill_criterion=f"{first}cmd|' /C calc'!A0")
    assert read_csv(client, "?q=D-1")[0]["kill_criterion"].startswith("'")


@pytest.mark.usefixtures("log")
def test_the_json_is_the_same_rows(client: Client) -> None:
    found: list[dict[str, Any]] = read_json(client, "?owner=me")["decisions"]
    assert [row["number"] for row in found] == [2, 1]
    assert (found[1]["status"], found[1]["owner"], found[1]["forecast_value"]) == ("accepted", "alice", 0.82)
    assert list(found[0]) == list(COLUMNS)


@pytest.mark.usefixtures("log")
def test_a_stranger_exports_nothing(client: Client, mallory: User) -> None:
    client.force_login(mallory)
    assert read_csv(client) == []
    assert read_json(client) == {"decisions": []}


@pytest.mark.usefixtures("log")
def test_both_exports_cost_the_same_for_every_number_of_rows(
    client: Client, use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(2):
        with django_assert_num_queries(2):
            read_json(client)
        decided.proposed(use_case, alice)
