"""Whether the library can be trusted today: flags from readers, the review queue, the feed of freshness."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from playbook.web.common.content import library
from playbook.web.common.permissions import Conflict
from playbook.web.usecases.permissions import signed_in
from playbook.web.wiki import actions
from playbook.web.wiki.addresses import article_url
from playbook.web.wiki.catalogue import catalogue
from playbook.web.wiki.flags import open_flags
from playbook.web.wiki.forms import FlagForm
from playbook.web.wiki.models import Flag
from playbook.web.wiki.owners import known_names, names_of
from playbook.web.wiki.review import review_queue
from playbook.web.wiki.shell import render_article
from playbook.web.wiki.views import article_slots, get_article

#: The choice of the review queue that means the reader and their teams. Nobody is called so.
MINE = "/mine"


@require_POST
def flag(request: HttpRequest, area_slug: str, slug: str) -> HttpResponse:
    found = get_article(area_slug, slug)
    form = FlagForm(request.POST)
    if not form.is_valid():
        return render_article(request, article_slots(request, found), form)
    try:
        actions.flag_article(found, comment=form.cleaned_data["comment"], by=signed_in(request))
        somebody = found.owner.casefold() in known_names()
        told = found.owner if somebody else f"{found.owner} is nobody who may log in here, so staff"
        messages.success(request, f"Thank you. {told} will see your remark in the review queue.")
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(article_url(found))


@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    flag = get_object_or_404(Flag, pk=pk)
    found = library().articles.get(flag.article)
    try:
        actions.resolve_flag(flag, found, actor=signed_in(request))
        messages.success(request, f"Resolved the flag on {found.title if found else flag.article}.")
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(article_url(found) if found and request.POST.get("next") == "article" else "wiki:review")


@require_safe
def review(request: HttpRequest) -> HttpResponse:
    shelf = catalogue()
    user, known = signed_in(request), known_names()
    mine = names_of(user)
    owner = request.GET.get("owner", "")[:300]
    chosen = None if not owner else mine if owner == MINE else {owner.casefold()}
    queue = review_queue(shelf, open_flags(), today=timezone.localdate(), owners=chosen)
    articles = shelf.content.articles.values()
    context = {
        "queue": queue,
        "owner": owner,
        "mine": MINE,
        "owners": sorted({article.owner for article in articles}, key=str.casefold),
        "nobodies": {article.owner for article in shelf.owned_by_nobody(known)},
        "may_resolve": {article.key for article in (articles if user.is_staff else shelf.owned_by(mine))},
        "is_staff": user.is_staff,
    }
    return render(request, "wiki/review_queue.html", context)


@require_safe
def freshness(request: HttpRequest) -> JsonResponse:
    """Every article with its dates, for dashboards and reminders."""
    today, flags = timezone.localdate(), open_flags()
    articles = [
        {
            "article": article.key,
            "title": article.title,
            "url": request.build_absolute_uri(article_url(article)),
            "owner": article.owner,
            "reviewed": article.reviewed.isoformat(),
            "due": article.due.isoformat(),
            "freshness": article.freshness(today).value,
            "open_flags": len(flags.get(article.key, ())),
        }
        for article in library().articles.values()
    ]
    return JsonResponse({"version": 1, "today": today.isoformat(), "articles": articles})
