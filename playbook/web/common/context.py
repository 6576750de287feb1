"""What every template may use besides its own context."""

from typing import Any

from django.http import HttpRequest

THEMES = ("light", "dark")
#: Top-level pages: label, url name, the first path segment under which the entry is marked as current.
NAVIGATION = (
    ("Home", "home:home", ""),
    ("Library", "wiki:index", "library"),
    ("Decide", "assessments:index", "decide"),
    ("Jobs", "jobs:index", "jobs"),
    ("Decisions", "decisions:index", "decisions"),
)


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the navigation with its current entry, and the reader's theme ("" follows the system)."""
    section = request.path.split("/")[1]
    theme = request.COOKIES.get("theme", "")
    return {
        "navigation": [
            {"label": label, "url_name": url_name, "current": section == segment}
            for label, url_name, segment in NAVIGATION
        ],
        "theme": theme if theme in THEMES else "",
    }
