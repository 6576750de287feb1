"""A sample row of the preflight in a browser: the end of the turn is in sight, also on a phone."""

import pytest
from django.conf import settings
from django.template.loader import render_to_string

from playbook.contracts.events import SampleRow
from playbook.web.jobs.preflight import RUN_BEGIN, RUN_END, sample_of
from tests.browser import chromium
from tests.web.jobs.announced import SAMPLE, tokens_of

CSS = settings.BASE_DIR / "playbook/web/static/css/playbook.css"


@pytest.mark.browser
def test_the_last_learned_token_needs_no_scrolling_on_a_phone() -> None:
    long = 2 * (RUN_BEGIN + RUN_END)
    tokens = tokens_of(*((" token", place >= long) for place in range(2 * long)))
    sample = sample_of(SampleRow.model_validate({**SAMPLE, "tokens": tokens}))
    html = render_to_string("jobs/_sample.html", {"sample": sample})
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.set_content(f"<style>{CSS.read_text()}</style><main><div class='card'>{html}</div></main>")
        hidden = page.locator(".tokens").evaluate("box => box.scrollHeight - box.clientHeight")
        assert hidden == 0
        page.close()
