"""The CSRF token of a page that is served often.

Django draws each of the 32 characters of a mask with a system call of its own, and sends its cookie anew with each page
that holds a token: together a quarter of an article page's time. Secret, cookie, token and check are Django's own here.
"""

import secrets

from django.http import HttpRequest
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH, get_token

_BASE = len(CSRF_ALLOWED_CHARS)
_MASKS = _BASE**CSRF_SECRET_LENGTH
_PLACES = {char: place for place, char in enumerate(CSRF_ALLOWED_CHARS)}


def masked_token(request: HttpRequest) -> str:
    """Return a token that Django's check accepts from the request's reader, masked anew by each call.

    The cookie is sent to readers without one. Those who have it keep it as it is: pages with Django's `csrf_token`
    renew the year that it holds.
    """
    secret = request.META.get("CSRF_COOKIE")
    if secret is None:
        return get_token(request)
    mask, cipher, number = list[str](), list[str](), secrets.randbelow(_MASKS)
    for char in secret:
        number, place = divmod(number, _BASE)
        mask.append(CSRF_ALLOWED_CHARS[place])
        cipher.append(CSRF_ALLOWED_CHARS[(_PLACES[char] + place) % _BASE])
    return "".join(mask + cipher)
