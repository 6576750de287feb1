"""The request as views see it, with what HtmxMiddleware adds."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request whose `htmx` is truthy when htmx sent it."""

    htmx: HtmxDetails


def wants_fragment(request: HtmxRequest) -> bool:
    """True when htmx will swap the answer into the page, rather than restore a whole page from the history."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request
