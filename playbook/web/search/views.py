"""Search: the page, the palette's results, and the list of what was looked for in vain."""

from collections.abc import Collection
from math import ceil
from typing import cast

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from playbook.web.common.content import library
from playbook.web.common.permissions import RoleRequired
from playbook.web.common.requests import HtmxRequest
from playbook.web.search import actions
from playbook.web.search.models import MissedSearch
from playbook.web.search.results import KINDS, counted_kinds, filters_for, grouped, shown, suggested_commands
from playbook.web.search.rows import current_index
from playbook.web.usecases.permissions import signed_in

PER_PAGE = 20
#: Nobody reads further; the index would have to rank all results before the page.
MAX_PAGES = 50
PALETTE_RESULTS = 12


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user, content = signed_in(request), library()
    tags = sorted({tag for article in content.articles.values() for tag in article.tags})
    kind = _one_of(request, "kind", KINDS)
    area = _one_of(request, "area", [area.slug for area in content.areas])
    tag = _one_of(request, "tag", tags)
    number = _page_number(request)
    filters = filters_for(user, kind=kind, area=area, tag=tag)
    search_index = current_index()
    query = request.GET.get("q", "")
    results = search_index.search(query, filters, limit=PER_PAGE, offset=PER_PAGE * (number - 1))
    if results.total and not results.hits:  # a page behind the last
        number = min(ceil(results.total / PER_PAGE), MAX_PAGES)
        results = search_index.search(query, filters, limit=PER_PAGE, offset=PER_PAGE * (number - 1))
    if results.query and not results.total and not (kind or area or tag):
        actions.record_missed(results.query)
    chosen = {"q": results.query, "kind": kind, "area": area, "tag": tag}
    context = {
        "results": results,
        "found": shown(results.hits, user),
        "page": Paginator(range(min(results.total, PER_PAGE * MAX_PAGES)), PER_PAGE).get_page(number),
        "kinds": counted_kinds(search_index, results, filters),
        "areas": content.areas,
        "tags": tags,
        "nearest": shown(search_index.nearest(results.query, filters), user) if not results.total else [],
        **chosen,
        "without_kind": _query({**chosen, "kind": ""}),
        "paging": _query(chosen),
        "here": request.get_full_path(),
    }
    return render(request, "search/search_page.html", context)


@require_safe
def palette(request: HttpRequest) -> HttpResponse:
    """The palette's results, swapped in while the reader types."""
    user = signed_in(request)
    filters = filters_for(user)
    search_index = current_index()
    results = search_index.search(request.GET.get("q", ""), filters, limit=PALETTE_RESULTS)
    found = shown(results.hits, user) if results.query else suggested_commands()
    context = {
        "results": results,
        "groups": grouped(found),
        "nearest": [] if found else shown(search_index.nearest(results.query, filters), user),
        "here": cast(HtmxRequest, request).htmx.current_url_abs_path or "/",
    }
    return render(request, "search/_palette_results.html", context)


@require_POST
def missing(request: HttpRequest) -> HttpResponse:
    """Record that the palette found nothing for a query on which the reader stopped typing."""
    query = request.POST.get("q", "")
    if current_index().search(query, filters_for(signed_in(request)), limit=1).total == 0:
        actions.record_missed(query)
    return HttpResponse(status=204)


@require_safe
def missed(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if not user.is_staff:
        raise RoleRequired("The list of searches without a result is for staff. Ask an administrator for access.")
    search_index, filters = current_index(), filters_for(user)
    page = Paginator(MissedSearch.objects.all(), 50).get_page(request.GET.get("page"))
    rows = [{"missed": row, "found": search_index.search(row.query, filters, limit=1).total} for row in page]
    return render(request, "search/missed_list.html", {"page": page, "rows": rows})


def _one_of(request: HttpRequest, name: str, allowed: Collection[str]) -> str:
    """Return a parameter if it is an allowed value, else "": a wrong filter does not filter."""
    value = request.GET.get(name, "")
    return value if value in allowed else ""


def _page_number(request: HttpRequest) -> int:
    value = request.GET.get("page", "1")
    return min(max(int(value), 1), MAX_PAGES) if value.isdecimal() and len(value) < 6 else 1


def _query(chosen: dict[str, str]) -> str:
    """Return the chosen values as they stand in an address, ended by "&" when there are any."""
    given = {name: value for name, value in chosen.items() if value}
    return f"{urlencode(given)}&" if given else ""
