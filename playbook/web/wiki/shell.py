"""The page around an article (head, navigation, menu), rendered once for each reader and theme.

It is most of what a template costs, and all that differs between two articles fits into a few slots. A slot is a random
word: no article can contain one, and what is filled in is never searched for slots again.
"""

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from django.conf import settings
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import conditional_escape

from playbook.web.common.csrf import masked_token
from playbook.web.usecases.permissions import signed_in

TEMPLATE = "wiki/article_detail.html"
KEPT_SHELLS = 500
#: What the template calls `slots.<name>`, and two that it gets from the request.
NAMES = ("title", "source_url", "head", "middle", "end", "flag_url", "beside")
_SLOTS = {name: f"slot-{secrets.token_hex(12)}" for name in (*NAMES, "csrf_token", "path")}
_BY_SLOT = {slot: name for name, slot in _SLOTS.items()}
_ANY_SLOT = re.compile("|".join(_SLOTS.values()))

#: Pieces of HTML and, at every odd place, the name of the slot between them.
Shell = tuple[str, ...]
MakeContext = Callable[[], Mapping[str, object]]
_shells: OrderedDict[tuple[object, ...], Shell] = OrderedDict()
_lock = threading.Lock()


def render_article(request: HttpRequest, slots: Mapping[str, str], context: MakeContext) -> HttpResponse:
    """Return the page with `slots` filled; texts that are not safe are escaped. `context` makes what is the same for
    everybody, when the shell has to be rendered."""
    if len(get_messages(request)):
        return render(request, TEMPLATE, {**context(), "slots": slots})
    shell = _shell(request, context)
    values: dict[str, str] = {name: conditional_escape(value) for name, value in slots.items()}
    values |= {"csrf_token": masked_token(request), "path": conditional_escape(request.get_full_path())}
    pieces = [values[piece] if place % 2 else piece for place, piece in enumerate(shell)]
    return HttpResponse("".join(pieces))


def _shell(request: HttpRequest, context: MakeContext) -> Shell:
    user = signed_in(request)
    key = (user.pk, user.username, user.name, user.is_staff, request.COOKIES.get("theme", "")[:10])
    with _lock:
        if key in _shells and not settings.DEBUG:
            _shells.move_to_end(key)
            return _shells[key]
    made = _render_shell(request, context)
    with _lock:
        _shells[key] = made
        while len(_shells) > KEPT_SHELLS:
            _shells.popitem(last=False)
    return made


def _render_shell(request: HttpRequest, context: MakeContext) -> Shell:
    html = render_to_string(
        TEMPLATE,
        {
            **context(),
            "slots": _SLOTS,
            "csrf_token": _SLOTS["csrf_token"],
            "request": {"get_full_path": _SLOTS["path"]},
        },
        request,
    )
    pieces, place = list[str](), 0
    for found in _ANY_SLOT.finditer(html):
        pieces += (html[place : found.start()], _BY_SLOT[found[0]])
        place = found.end()
    return (*pieces, html[place:])
