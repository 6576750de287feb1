"""How numbers, times and states read on the pages."""

import pytest

from playbook.contracts.states import JobState
from playbook.web.common.templatetags import playbook as filters


@pytest.mark.parametrize(("share", "text"), [(0.925, "92.5 %"), (1, "100 %"), (0, "0 %"), (None, "–")])
def test_percent(share: float | None, text: str) -> None:
    assert filters.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (11400, "3 h 10 min"),
        (172_799, "47 h 59 min"),
        (184_000, "2 d 03 h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert filters.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(None, "–"), (999, "999 B"), (19_660_800, "19.7 MB"), (5 * 10**12, "5000.0 GB")]
)
def test_bytesize(size: int | None, text: str) -> None:
    assert filters.bytesize(size) == text


@pytest.mark.parametrize(
    ("identifier", "text"),
    [("validating_files", "validating files"), ("not_json", "not JSON"), ("not_utf8", "not UTF-8"), ("met", "met")],
)
def test_words(identifier: str, text: str) -> None:
    assert filters.words(identifier) == text


@pytest.mark.parametrize(
    ("unit", "count", "text"), [("rows", 1, "row"), ("rows", 30, "rows"), ("answers", 0, "answers")]
)
def test_the_unit_of_one_is_no_plural(unit: str, count: int, text: str) -> None:
    assert filters.of(unit, count) == text


@pytest.mark.parametrize("state", list(JobState))
def test_every_job_state_has_a_tone(state: JobState) -> None:
    assert state in filters.TONES


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One.", "<p>One.</p>"),
        ("One.\r\nTwo.\r\n\r\nThree.", "<p>One.<br>Two.</p>\n<p>Three.</p>"),
        (
            "Found:\n- a < b\n- c\nEnd.",
            '<p>Found:</p>\n<ul class="bullets"><li>a &lt; b</li><li>c</li></ul>\n<p>End.</p>',
        ),
        ("<script>\n- x\n", '<p>&lt;script&gt;</p>\n<ul class="bullets"><li>x</li></ul>'),
    ],
)
def test_paragraphs(text: str, html: str) -> None:
    assert filters.paragraphs(text) == html
