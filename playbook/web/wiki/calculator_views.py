"""Calculators as pages. Inputs come from the address alone, so that a result can be linked."""

from typing import cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.wiki.calculators import CALCULATORS


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "calculators/calculator_list.html", {"calculators": CALCULATORS.values()})


@require_safe
def detail(request: HttpRequest, name: str) -> HttpResponse:
    calculator = CALCULATORS.get(name)
    if calculator is None:
        raise Http404(f"no calculator {name!r}; there are {', '.join(CALCULATORS)}")
    form = calculator.form(request.GET)
    valid = form.is_valid()
    context = {"calculator": calculator, "form": form, "result": calculator.result(form) if valid else None}
    fragment = wants_fragment(cast(HtmxRequest, request))
    template = "calculators/_result.html" if fragment else "calculators/calculator_detail.html"
    return render(request, template, context, status=200 if valid else 422)
