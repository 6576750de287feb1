"""Rate two arms' answers side by side without knowing which is which: one row at a time, with or without JavaScript."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.jobs import blind
from playbook.web.jobs.blind import Pair
from playbook.web.jobs.models import Job
from playbook.web.jobs.report_access import reported_job, says_what_is_damaged
from playbook.web.jobs.report_page import headline_of
from playbook.web.usecases.permissions import signed_in


class RatingForm(forms.Form):
    row = forms.IntegerField(min_value=0, max_value=10_000_000)
    choice = forms.ChoiceField(choices=[(choice, choice) for choice in blind.CHOICES])


@dataclass(frozen=True)
class _Target:
    job: Job
    report_sha256: str
    pair: Pair
    pairs: list[Pair]

    @property
    def url(self) -> str:
        return f"{reverse('jobs:blind', args=[self.job.pk])}?{urlencode({'pair': self.pair.key})}"


@require_http_methods(["GET", "HEAD", "POST"])
@says_what_is_damaged
def rate(request: HtmxRequest, pk: int) -> HttpResponse:
    """The next row that the person has not rated; a POST rates the one that was shown."""
    target = _target(request, pk)
    problem = _rate(request, target) if request.method == "POST" else ""
    if request.method == "POST" and not wants_fragment(request):
        if problem:
            messages.error(request, problem)
        return redirect(target.url)
    template = "jobs/_blind.html" if wants_fragment(request) else "jobs/job_blind.html"
    return render(request, template, _context(request, target) | {"problem": problem})


def _rate(request: HttpRequest, target: _Target) -> str:
    """Keep the rating and return what is wrong with it; empty when nothing is."""
    form = RatingForm(request.POST)
    if not form.is_valid():
        return "Choose the left answer, the right one, or neither."
    try:
        blind.rate(
            target.job,
            target.pair,
            rater=signed_in(request),
            report_sha256=target.report_sha256,
            row_index=form.cleaned_data["row"],
            choice=form.cleaned_data["choice"],
        )
    except Conflict as conflict:
        return str(conflict)
    return ""


def _context(request: HttpRequest, target: _Target) -> dict[str, Any]:
    rater = signed_in(request)
    rated = blind.rated_rows(target.job, target.pair, rater)
    return {
        "job": target.job,
        "pair": target.pair,
        "pairs": target.pairs,
        "question": blind.next_question(target.job, target.pair, rater, rated),
        "done": len(rated),
        "total": len(target.pair.rows),
        "url": target.url,
    }


def _target(request: HttpRequest, pk: int) -> _Target:
    job, read = reported_job(request, pk)
    pairs = blind.pairs_of(read.report)
    if key := request.GET.get("pair", ""):
        pair = blind.pair_of(pairs, key)
    else:
        lines = (read.table.baseline, headline_of(read))
        pair = blind.default_pair(pairs, [line.report for line in lines if line is not None])
    if pair is None:
        raise Http404("this report has no two such arms that answered the same rows")
    return _Target(job, read.sha256, pair, pairs)
