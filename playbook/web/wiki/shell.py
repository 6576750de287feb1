"""The page around an article (head, navigation, menu), rendered once for each reader and theme.

It is most of what a template costs, and all that differs between two articles fits into a few slots. A slot is a random
word: no article can contain one, and what is filled in is never searched for slots again. Kept as bytes, like the parts
of the article (`fragments`): to encode a page costs as much as to put it together.
"""

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import escape

from playbook.web.common.csrf import masked_token
from playbook.web.common.messages import messages_wait
from playbook.web.usecases.permissions import signed_in
from playbook.web.wiki.forms import FlagForm

TEMPLATE = "wiki/article_detail.html"
KEPT_SHELLS = 500
#: What the template calls `slots.<name>`, and two that it gets from the request.
NAMES = ("title", "source_url", "head", "middle", "end", "flag_url", "beside")
_SLOTS = {name: f"slot-{secrets.token_hex(12)}" for name in (*NAMES, "csrf_token", "path")}
_BY_SLOT = {slot: name for name, slot in _SLOTS.items()}
_ANY_SLOT = re.compile("|".join(_SLOTS.values()))

#: Pieces of HTML, each with the name of the slot that follows it; "" follows the last.
Shell = tuple[tuple[bytes, str], ...]
_shells: OrderedDict[tuple[object, ...], Shell] = OrderedDict()
_lock = threading.Lock()


def render_article(request: HttpRequest, slots: Mapping[str, bytes], form: FlagForm | None = None) -> HttpResponse:
    """Return the page with `slots` (HTML) filled. `form`: what the reader sent and has to correct, with 422."""
    # What is shown to this request alone, a message or a form sent, is rendered for it and not kept.
    shell = _kept_shell(request) if form is None and not messages_wait(request) else _render_shell(request, form)
    values = {
        **slots,
        "csrf_token": masked_token(request).encode(),
        "path": escape(request.get_full_path()).encode(),
        "": b"",
    }
    pieces = list[bytes]()
    for html, slot in shell:
        pieces += (html, values[slot])
    # With its type said, the answer does not look the charset up.
    return HttpResponse(b"".join(pieces), content_type="text/html; charset=utf-8", status=422 if form else 200)


def _kept_shell(request: HttpRequest) -> Shell:
    user = signed_in(request)
    key = (user.pk, user.username, user.name, user.is_staff, request.COOKIES.get("theme", "")[:10])
    with _lock:
        if key in _shells and not settings.DEBUG:
            _shells.move_to_end(key)
            return _shells[key]
    made = _render_shell(request, None)
    with _lock:
        _shells[key] = made
        while len(_shells) > KEPT_SHELLS:
            _shells.popitem(last=False)
    return made


def _render_shell(request: HttpRequest, form: FlagForm | None) -> Shell:
    html = render_to_string(
        TEMPLATE,
        {
            "form": form or FlagForm(),
            "slots": _SLOTS,
            "csrf_token": _SLOTS["csrf_token"],
            "request": {"get_full_path": _SLOTS["path"]},
        },
        request,
    )
    pieces, place = list[tuple[bytes, str]](), 0
    for found in _ANY_SLOT.finditer(html):
        pieces.append((html[place : found.start()].encode(), _BY_SLOT[found[0]]))
        place = found.end()
    return (*pieces, (html[place:].encode(), ""))
