"""The theme switch and the error pages."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from playbook.web.common.context import THEMES, site
from playbook.web.common.uploads import UploadDiskFull, UploadTooBig, read_away


@login_not_required
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Remember light or dark in a cookie, so that the server renders the page in it: no flash, no script needed."""
    target = request.POST.get("next", "/")
    if not target.startswith("/") or not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    response = HttpResponseRedirect(target)  # not `redirect`, which takes a word for the name of a page
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=365 * 24 * 3600, samesite="Lax", httponly=True)
    else:
        response.delete_cookie("theme")
    return response


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say which bound was passed, if one was: Django then reads no form that could say so beside its field."""
    read_away(request)
    if isinstance(exception, UploadDiskFull):
        return render(request, "507.html", status=507)
    if isinstance(exception, UploadTooBig):
        told: dict[str, Any] = {"upload": exception, "limit_mb": settings.PLAYBOOK_MAX_UPLOAD_MB}
    elif isinstance(exception, RequestDataTooBig):
        told = {"is_too_long": True, "limit": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
    elif isinstance(exception, TooManyFilesSent):
        told = {"too_many": "files", "limit": settings.DATA_UPLOAD_MAX_NUMBER_FILES}
    elif isinstance(exception, TooManyFieldsSent):
        told = {"too_many": "fields", "limit": settings.DATA_UPLOAD_MAX_NUMBER_FIELDS}
    else:
        return render(request, "400.html", status=400)
    return render(request, "413.html", told, status=413)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", {"message": str(exception) if exception else ""}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    try:
        return render(request, "500.html", status=500)
    except Error:  # who is signed in stands in the database, and that may be what broke
        return HttpResponse(render_to_string("500.html", site(request)), status=500)
