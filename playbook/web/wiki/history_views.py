"""The history of an article, as git tells it: commits, and what each changed."""

from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from playbook.library.history import GitFailed, read_diff
from playbook.web.common.content import history
from playbook.web.wiki.fragments import commits_of, paths_of
from playbook.web.wiki.views import get_article

SHOWN = 100


@require_safe
def article_history(request: HttpRequest, area_slug: str, slug: str) -> HttpResponse:
    """Without `?commit=` the newest commit is shown. Ids that are not in this article's history are not found."""
    found = get_article(area_slug, slug)
    commits = commits_of(found, history())
    wanted = request.GET.get("commit", commits[0].id if commits else "")
    shown = next((commit for commit in commits if commit.id == wanted), None)
    if wanted and shown is None:
        raise Http404(f"no commit {wanted[:80]!r} in the history of {found.key}")
    diff, problem = None, ""
    if shown:
        try:
            diff = read_diff(Path(settings.PLAYBOOK_CONTENT_DIR), shown.id, *paths_of(found))
        except GitFailed as error:
            problem = str(error)
    context = {
        "article": found,
        "commits": commits[:SHOWN],
        "hidden": max(0, len(commits) - SHOWN),
        "shown": shown,
        "diff": diff,
        "problem": problem,
    }
    return render(request, "wiki/article_history.html", context)
