"""Login is the default, a view is public only where it says so; and text goes compressed over the wire."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth import middleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware import gzip
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject
from django_htmx.http import HttpResponseClientRedirect

from playbook.web.accounts.models import User
from playbook.web.accounts.sessions import person_of

#: The worker protocol authenticates each call by its own bearer token.
TOKEN_PREFIX = "/api/worker/"  # noqa: S105 - a path
#: Django leaves shorter answers as they are, whoever asks.
SHORTEST_COMPRESSED = 200


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Django's middleware, which lets the worker protocol through to its own token check.

    Whoever was logged out meanwhile comes back to the page that they saw: never to a part of it, nor to an address that
    only takes POST. htmx goes to the login as a whole: it would put the login page into the part that it asked for.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if request.path.startswith(TOKEN_PREFIX):
            return None
        answer = super().process_view(request, view_func, view_args, view_kwargs)
        if not isinstance(answer, HttpResponseRedirect) or "HX-Request" not in request.headers:
            return answer
        to_login = HttpResponseClientRedirect(answer.url)
        to_login.status_code = 401  # nothing was done; htmx follows the header whatever the status is
        return to_login

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> HttpResponseRedirect:
        by_htmx = "HX-Request" in request.headers
        if not by_htmx and request.method in ("GET", "HEAD"):
            return super().handle_no_permission(request, view_func)
        seen = urlsplit(request.headers.get("HX-Current-URL" if by_htmx else "Referer", ""))
        page = seen._replace(scheme="", netloc="").geturl() if seen.netloc == request.get_host() else "/"
        return redirect_to_login(page, self.get_login_url(view_func), self.get_redirect_field_name(view_func))


class AuthenticationMiddleware(middleware.AuthenticationMiddleware):
    """Django's middleware, with the person that was read along with the session."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)

        def person() -> User:
            found = cast(User, person_of(request))
            # From here on without the detour, which costs more than what most of its readers do.
            if request.user is waiting:
                request.user = found
            return found

        request.user = waiting = cast(User, SimpleLazyObject(person))


def page_headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say what is the same of each answer but static files: the policy, that nobody frames it, that htmx gets another.

    Without the last, the back button shows the part for the page. Django's own page for debugging needs its styles.
    """
    policy = build_policy()

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        headers = response.headers
        headers["Vary"] = _varied(headers.get("Vary", ""), "HX-Request")
        headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        if not (settings.DEBUG and response.status_code in (404, 500)):
            headers["Content-Security-Policy"] = policy
        return response

    return middleware


@lru_cache(maxsize=100)
def _varied(vary: str, header: str) -> str:
    answer = HttpResponse(headers={"Vary": vary} if vary else {})
    patch_vary_headers(answer, [header])
    return answer.headers["Vary"]


class CompressTextMiddleware(gzip.GZipMiddleware):
    """Django's middleware for whole texts alone: files and streams go out as they are.

    BREACH, which guesses a secret from the size of a compressed page that repeats a guess, meets two answers of
    Django's: the CSRF token, the only secret on a page, is masked anew in each, and sizes vary by up to 100 bytes.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        media_type = response.headers.get("Content-Type", "")
        if not isinstance(response, HttpResponse) or not media_type.startswith(("text/", "application/")):
            return response
        if len(response.content) >= SHORTEST_COMPRESSED and "gzip" not in request.META.get("HTTP_ACCEPT_ENCODING", ""):
            # Django's own way to the same answer reads all headers.
            response.headers["Vary"] = _varied(response.headers.get("Vary", ""), "Accept-Encoding")
            return response
        return super().process_response(request, response)
