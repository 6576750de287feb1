"""How numbers, times and states read on the pages."""

import pytest

from playbook.contracts.states import JobState
from playbook.web.common.templatetags import playbook as filters


@pytest.mark.parametrize(("share", "text"), [(0.925, "92.5 %"), (1, "100 %"), (0, "0 %"), (None, "–")])
def test_percent(share: float | None, text: str) -> None:
    assert filters.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (11400, "3 h 10 min")]
)
def test_duration(seconds: float | None, text: str) -> None:
    assert filters.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(None, "–"), (999, "999 B"), (19_660_800, "19.7 MB"), (5 * 10**12, "5000.0 GB")]
)
def test_bytesize(size: int | None, text: str) -> None:
    assert filters.bytesize(size) == text


@pytest.mark.parametrize("state", list(JobState))
def test_every_job_state_has_a_tone(state: JobState) -> None:
    assert state in filters.TONES
