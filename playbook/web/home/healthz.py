"""`/healthz`: is everything there? For `make demo`, for load balancers, and for a person with curl.

| status | code | meaning |
|---|---|---|
| ok | 200 | database, content and a worker with a base model are there |
| degraded | 200 | the same, but content files have problems |
| degraded | 503 | a worker that was there has fallen silent |
| starting | 503 | something has not come up yet, or the database does not answer |
"""

from datetime import datetime
from typing import Literal, TypedDict

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.models import Max
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from playbook.web.common.content import library
from playbook.web.jobs.models import Worker

Status = Literal["ok", "degraded", "starting"]


class Content(TypedDict):
    articles: int
    checklists: int
    problems: int


@never_cache
@login_not_required
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer with the state of each part: two small queries, and the content from its cache. Never raises."""
    content = _content()
    online: list[Worker] = []
    last_seen_at: datetime | None = None
    problem = ""
    try:
        online = list(Worker.objects.online())
        last_seen_at = Worker.objects.filter(disabled_at=None).aggregate(last=Max("last_seen_at"))["last"]
    except DatabaseError as error:  # cannot be reached, or not migrated yet
        problem = str(error)
    base_models = sorted({base_model for worker in online for base_model in worker.base_models})
    ready = not problem and content["articles"] > 0 and bool(base_models)
    return JsonResponse(
        {
            "status": _status(ready=ready, problems=content["problems"], seen=last_seen_at is not None),
            "database": {"ok": not problem, "vendor": connection.vendor, "problem": problem},
            "content": content,
            "worker": {"online": bool(online), "last_seen_seconds": _seconds_since(last_seen_at)},
            "base_models": base_models,
        },
        status=200 if ready else 503,
    )


def _status(*, ready: bool, problems: int, seen: bool) -> Status:
    if ready:
        return "degraded" if problems else "ok"
    return "degraded" if seen else "starting"


def _seconds_since(moment: datetime | None) -> float | None:
    """None when no worker ever called."""
    return round((timezone.now() - moment).total_seconds(), 1) if moment else None


def _content() -> Content:
    try:
        found = library()
    except OSError:  # the content folder was taken away under us
        return {"articles": 0, "checklists": 0, "problems": 1}
    return {
        "articles": len(found.articles),
        "checklists": len(found.checklists),
        "problems": len(found.problems),
    }
