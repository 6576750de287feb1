"""What the team's own jobs and decisions found for a claim: the outcomes behind the articles that explain it."""

from typing import cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from playbook.web.common.content import library
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.outcomes.models import OutcomeReview
from playbook.web.usecases.permissions import signed_in

SHOWN = 20


@require_safe
def evidence(request: HttpRequest, claim_id: str) -> HttpResponse:
    """Outcomes of use cases that the reader belongs to; of others only the number. An article fetches the fragment."""
    content = library()
    claim = content.claims.get(claim_id)
    if claim is None:
        raise Http404(f"no claim {claim_id!r}")
    articles = [article for article in content.articles.values() if claim_id in article.claims]
    outcomes = OutcomeReview.objects.of_articles([article.key for article in articles])
    visible = outcomes.newest_visible_to(signed_in(request)).select_related("decision__use_case", "job")
    shown = list(visible[:SHOWN])
    context = {"claim": claim, "articles": articles, "outcomes": shown, "hidden": outcomes.count() - len(shown)}
    fragment = wants_fragment(cast(HtmxRequest, request))
    return render(request, "wiki/_evidence.html" if fragment else "wiki/evidence_detail.html", context)
