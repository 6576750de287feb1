"""The CSRF token of a page that is served often.

Django draws each of the 32 characters of a mask with a system call of its own, and sends its cookie anew with each page
that holds a token: together a quarter of an article page's time. Secret, cookie, token and check are Django's own here.
"""

import secrets

from django.http import HttpRequest
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH, get_token

_CHARS = CSRF_ALLOWED_CHARS.encode()
_BASE = len(_CHARS)
#: Random bytes at and above the largest multiple of the base are thrown away: the rest fall on each place as often.
_UNEVEN = bytes(range(256 // _BASE * _BASE, 256))
#: Tables that turn whole texts at once: random byte → place in the alphabet, place or sum of two → character.
_PLACE = bytes(byte % _BASE for byte in range(256))
_CHAR = bytes(_CHARS[byte % _BASE] for byte in range(256))
_PLACE_OF = bytes.maketrans(_CHARS, bytes(range(_BASE)))


def masked_token(request: HttpRequest) -> str:
    """Return a token that Django's check accepts from the request's reader, masked anew by each call.

    The cookie is sent to readers without one. Those who have it keep it as it is: pages with Django's `csrf_token`
    renew the year that it holds.
    """
    secret = request.META.get("CSRF_COOKIE")
    if secret is None:
        return get_token(request)
    mask = b""
    while len(mask) < CSRF_SECRET_LENGTH:
        mask += secrets.token_bytes(2 * CSRF_SECRET_LENGTH).translate(_PLACE, _UNEVEN)
    mask = mask[:CSRF_SECRET_LENGTH]
    # Added as two long numbers with a byte for each character: two places are at most 122, so nothing is carried.
    added = int.from_bytes(mask) + int.from_bytes(secret.encode().translate(_PLACE_OF))
    return (mask.translate(_CHAR) + added.to_bytes(CSRF_SECRET_LENGTH).translate(_CHAR)).decode()
