"""Live parts of an article, filled in: a checklist to start, a job to launch, a calculator, the evidence for a claim.

The same for every reader, so that they are kept with the article. What depends on the reader (which outcomes of which
teams) is fetched by the page itself, see `evidence_views`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from django.urls import reverse

from playbook.contracts.dataset import Split
from playbook.library.articles import Article
from playbook.library.content import Library
from playbook.library.embeds import Embed
from playbook.scoring.words import ARM_LABELS
from playbook.web.common.plots import interval_plot
from playbook.web.common.plots_axis import number_text
from playbook.web.common.templatetags.playbook import percent, words
from playbook.web.wiki.addresses import checklist_url
from playbook.web.wiki.calculators import CALCULATORS


@dataclass(frozen=True)
class Filled:
    """An embed with the template that shows it and what the template needs."""

    template: str
    context: Mapping[str, object]
    kind: str = "embed"


def fill(embed: Embed, content: Library, article: Article, *, number: int) -> Filled:
    """Return the live part for an embed that the library has checked: what it names exists. `number` is its own in the
    article."""
    match embed.kind:
        case "checklist":
            checklist = content.checklists[embed.ref]
            return Filled(
                "wiki/_embed_checklist.html", {"checklist": checklist, "url": checklist_url(checklist, article)}
            )
        case "job":
            url = f"{reverse('jobs:choose')}?{urlencode({'recipe': embed.ref})}"
            return Filled("wiki/_embed_job.html", {"recipe": content.recipes[embed.ref], "url": url})
        case "evidence":
            return Filled("wiki/_embed_evidence.html", {"claim": content.claims[embed.ref]})
        case "calculator":
            return _calculator(embed, article, number)
        case "measured":
            return Filled("wiki/_embed_measured.html", _measured(content, embed.ref))


def _measured(content: Library, slug: str) -> dict[str, object]:
    """Return what the template shows of a shipped report. A score that is no share is not drawn: see the table."""
    measured = content.reports[slug]
    shares = all(arm.high <= 1 for arm in measured.arms)
    write = percent if shares else number_text
    rows = [
        {
            "arm": arm,
            "label": ARM_LABELS.get(arm.arm) or words(arm.arm).capitalize(),
            "value": write(arm.value),
            "low": write(arm.low),
            "high": write(arm.high),
        }
        for arm in measured.arms
    ]
    drawn = [(str(row["label"]), arm.value, arm.low, arm.high) for row, arm in zip(rows, measured.arms, strict=True)]
    cards = (card for card in content.datasets.values() if card.splits[Split.TEST].sha256 == measured.test_sha256)
    return {
        "measured": measured,
        "title": f"{words(measured.metric).capitalize()} by arm, {measured.base_model}",
        "rows": rows,
        "plot": interval_plot(drawn) if shares and drawn else None,
        "dataset": next(cards, None),
    }


def _calculator(embed: Embed, article: Article, number: int) -> Filled:
    """Show form and result; inputs that cannot be calculated are said as on the calculator's own page."""
    calculator = CALCULATORS[embed.ref]
    name = f"calculator-{number}"
    form = calculator.form(dict(parse_qsl(embed.query)), auto_id=f"{name}-%s")
    context = {**calculator.shown(form), "article": article, "name": name}
    return Filled("wiki/_embed_calculator.html", context)
