"""Live parts of an article, filled in: a checklist to start, a job to launch, a calculator, the evidence for a claim.

The same for every reader, so that they are kept with the article. What depends on the reader (which outcomes of which
teams) is fetched by the page itself, see `evidence_views`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from django.urls import reverse

from playbook.library.articles import Article
from playbook.library.content import Library
from playbook.library.embeds import Embed
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


def _calculator(embed: Embed, article: Article, number: int) -> Filled:
    """Show form and result; inputs that cannot be calculated are said as on the calculator's own page."""
    calculator = CALCULATORS[embed.ref]
    name = f"calculator-{number}"
    form = calculator.form(dict(parse_qsl(embed.query)), auto_id=f"{name}-%s")
    context = {**calculator.shown(form), "article": article, "name": name}
    return Filled("wiki/_embed_calculator.html", context)
