"""Calculators as pages. Inputs come from the address alone, so that a result can be linked."""

from typing import cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from playbook.web.common.content import library
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.wiki.calculators import CALCULATORS


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "calculators/calculator_list.html", {"calculators": CALCULATORS.values()})


@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """The calculator with the inputs of the address. `article` names the article whose form they come from: htmx then
    gets the short result that stands there, and without JavaScript the page leads back to it."""
    calculator = CALCULATORS.get(name)
    if calculator is None:
        raise Http404(f"no calculator {name!r}; there are {', '.join(CALCULATORS)}")
    form = calculator.form(request.GET)
    article = library().articles.get(request.GET.get("article", ""))
    context = {**calculator.shown(form), "article": article}
    template = "calculators/calculator_detail.html"
    if wants_fragment(cast(HtmxRequest, request)):
        template = "calculators/_embedded_result.html" if article else "calculators/_result.html"
    return render(request, template, context, status=200 if form.is_valid() else 422)
