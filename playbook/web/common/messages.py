"""Messages to a reader ("Saved."), read only where somebody asks for them.

Django makes their storage for each request, with a signer for its cookie: a twentieth of an article page's time, for
pages of which one in hundreds has a message to show.
"""

from django.contrib.messages import middleware
from django.contrib.messages.storage import default_storage
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject


class MessageMiddleware(middleware.MessageMiddleware):
    """Django's middleware. An answer for which nobody asked for messages has none to store."""

    def process_request(self, request: HttpRequest) -> None:
        def storage() -> BaseStorage:
            request.message_storage = made = default_storage(request)  # type: ignore[attr-defined]
            return made

        request._messages = SimpleLazyObject(storage)  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return super().process_response(request, response) if hasattr(request, "message_storage") else response


def messages_wait(request: HttpRequest) -> bool:
    """True when an earlier request left messages for the reader. Leaves them where they are.

    The cookie says so too when it was too small for them, and the session holds the rest.
    """
    return CookieStorage.cookie_name in request.COOKIES
