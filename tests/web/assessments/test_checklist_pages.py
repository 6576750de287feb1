"""The decision table, the flow, the schema: on a page, on paper and by command."""

import re
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import Settings

from playbook.library.checklist import path_count
from playbook.library.checklist_schema import checklist_schema
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import start_assessment
from playbook.web.assessments.flow import plot_of
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.tables import table_of
from playbook.web.common.content import library
from playbook.web.usecases.models import UseCase
from tests.library.kinds import checklist, every_kind, outcome, question
from tests.web.assessments.conftest import say


@pytest.mark.parametrize("slug", library().checklists)
def test_the_page_and_the_command_print_the_whole_table(client: Client, alice: User, slug: str) -> None:
    client.force_login(alice)
    found = library().checklists[slug]
    page = client.get(f"/decide/{slug}/table/").content.decode()
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    out = StringIO()
    call_command("print_checklist", slug, stdout=out)
    paths = [line for line in out.getvalue().splitlines() if " → " in line]
    assert body.count("<tr>") == len(paths) == path_count(found)
    ends = re.findall(r'<th scope="row">([^<]+)</th>', body)
    assert ends == [line.rpartition(" → ")[2] for line in paths]


def test_a_table_that_is_too_long_for_a_page_says_so_and_the_command_prints_it() -> None:
    names = [f"q{number}" for number in range(8)]
    long = checklist([question(name) for name in names], [outcome("a", 'q0 == "yes"'), outcome("b", 'q0 != "yes"')])
    table = table_of(long)
    assert (len(table.rows), table.total, table.is_cut) == (500, 3**8, True)
    assert len(table_of(long, limit=None).rows) == 3**8


def test_printing_what_is_not_there_says_what_is() -> None:
    with pytest.raises(CommandError, match="There is no checklist 'nothing'; there are: should-we-fine-tune, "):
        call_command("print_checklist", "nothing")


def test_the_schema_is_served_and_printed(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/decide/checklist.schema.json").json() == checklist_schema()
    out = StringIO()
    call_command("print_checklist_schema", stdout=out)
    assert '"title": "A checklist"' in out.getvalue()


def test_the_main_checklist_comes_first(client: Client, alice: User) -> None:
    client.force_login(alice)
    slugs = re.findall(r'class="cover" href="/decide/([a-z-]+)/"', client.get("/decide/").content.decode())
    assert slugs[0] == "should-we-fine-tune"
    assert sorted(slugs) == sorted(library().checklists)


def test_the_flow_lights_the_path_that_the_answers_take() -> None:
    plot = plot_of(every_kind(), {"goal": "x", "often": "daily", "rows": "120"})
    assert plot is not None
    states = {box.node.text: box.node.state for box in plot.boxes}
    assert states == {
        "Is it goal?": "lit",
        "Is it often?": "lit",
        "Is it rows?": "lit",
        "Is it fits?": "here",
        "Prompt": "off",
        "Tune": "off",
        "Collect": "off",
    }
    assert [line.link.label for line in plot.lines if line.link.state == "lit"] == [
        "Any text, Unknown",
        "Every day",
        "50 or more rows",
    ]
    assert plot.summary.endswith("Is it rows? 120 rows. Then: Is it fits?")


def test_no_box_of_a_flow_lies_on_another_and_every_line_ends_at_a_box() -> None:
    for found in (*library().checklists.values(), every_kind()):
        plot = plot_of(found)
        assert plot is not None
        boxes = plot.boxes
        overlaps = [
            (a.node.text, b.node.text)
            for place, a in enumerate(boxes)
            for b in boxes[place + 1 :]
            if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
        ]
        assert overlaps == []
        assert {line.link.target for line in plot.lines} == {box.node.key for box in boxes} - {0}
        assert all(
            box.x >= 0 and box.x + box.width <= plot.width and box.y + box.height <= plot.height for box in boxes
        )


def test_a_flow_of_too_many_boxes_is_no_picture() -> None:
    names = [f"q{number}" for number in range(30)]
    ends = [outcome("a", 'q0 == "yes" && q29 == "yes"'), outcome("b", 'q0 != "yes" || q29 != "yes"')]
    assert plot_of(checklist([question(name) for name in names], ends)) is None


def test_the_page_shows_the_flow_in_words_too(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x", often="rarely")
    page = client.get(kinds.get_absolute_url()).content.decode()
    assert "<li>Is it often? <strong>Once a year</strong></li><li>Collect</li>" in page
    assert '<a href="#often" aria-label="Is it often?">' in page
    answered = client.post(
        f"/decide/assessments/{kinds.pk}/answers/often/",
        {"value": "daily", "seen_revision": "1", "comment": ""},
        headers={"HX-Request": "true"},
    ).content.decode()
    assert '<div id="flow" hx-swap-oob="innerHTML">' in answered
    assert "<li>Is it rows?</li>" in answered


def test_markup_in_a_checklist_is_shown_as_text_everywhere(
    client: Client, use_case: UseCase, alice: User, tmp_path: Path, settings: Settings
) -> None:
    mark = "<script>alert(1)</script>"
    hostile = every_kind(slug="hostile", title=mark, summary=mark).model_dump(mode="json")
    for asked in hostile["questions"]:
        asked |= {"text": mark, "why": mark, "evidence": mark, "settles": mark}
    for end in hostile["outcomes"]:
        end |= {"title": f"{mark} {end['id']}", "advice": mark}
    (tmp_path / "checklists").mkdir()
    (tmp_path / "checklists/hostile.yaml").write_text(yaml.safe_dump(hostile))
    settings.PLAYBOOK_CONTENT_DIR = tmp_path
    client.force_login(alice)
    found = library().checklists["hostile"]
    assessment = start_assessment(use_case=use_case, checklist=found, article="", created_by=alice)
    say(assessment, alice, goal=mark, often="rarely")
    older = start_assessment(use_case=use_case, checklist=every_kind(slug="hostile"), article="", created_by=alice)
    for path in (
        "/decide/",
        "/decide/hostile/",
        "/decide/hostile/table/",
        assessment.get_absolute_url(),
        f"{assessment.get_absolute_url()}questions/goal/",
        f"{older.get_absolute_url()}newer/",
    ):
        page = client.get(path).content.decode()
        assert mark not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
