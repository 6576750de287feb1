"""Panels: how a lower page shows what an upper app owns, without importing it.

The upper app registers a function for a page ("article", "decision", …) in its `AppConfig.ready`; the page calls
`panels_for` and includes each panel's template with its context.

>>> @panel("decision", order=20)
... def jobs_of_decision(decision, user):
...     return Panel("jobs/_decision_panel.html", {"jobs": ...})
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from django.http import HttpRequest
from django.template.loader import render_to_string

from playbook.web.accounts.models import User

PageName = Literal["article", "use_case", "dataset", "prompt", "assessment", "decision", "job", "home"]


@dataclass(frozen=True)
class Panel:
    """A template and its context, rendered by the page that shows it. Without context it is the same for everybody."""

    template: str
    context: Mapping[str, Any]


PanelFunction = Callable[[Any, User], Panel | None]
_registered: dict[PageName, list[tuple[int, PanelFunction]]] = {}


def panel(page: PageName, *, order: int) -> Callable[[PanelFunction], PanelFunction]:
    """Register a function `(subject, user) -> Panel | None` for a page; lower `order` comes first."""

    def register(function: PanelFunction) -> PanelFunction:
        _registered.setdefault(page, []).append((order, function))
        _registered[page].sort(key=lambda pair: pair[0])
        return function

    return register


def panels_for(page: PageName, subject: Any, user: User) -> list[Panel]:
    """Return the panels of a page for one subject, as far as the user may see them."""
    found = (function(subject, user) for _, function in _registered.get(page, []))
    return [panel for panel in found if panel is not None]


def rendered(panels: Iterable[Panel], request: HttpRequest) -> bytes:
    """Return the HTML of the panels. Those that are the same for everybody are rendered once."""
    return b"".join(
        render_to_string(panel.template, {"panel": panel.context}, request).encode()
        if panel.context
        else _plain(panel.template)
        for panel in panels
    )


@lru_cache(maxsize=50)
def _plain(template: str) -> bytes:
    return render_to_string(template, {"panel": {}}).encode()
