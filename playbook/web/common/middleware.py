"""Login is the default: a view is public only where it says so."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import middleware
from django.http import HttpRequest, HttpResponseBase

#: The worker protocol authenticates each call by its own bearer token.
TOKEN_PREFIX = "/api/worker/"  # noqa: S105 - a path


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Django's middleware, which lets the worker protocol through to its own token check."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if request.path.startswith(TOKEN_PREFIX):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
