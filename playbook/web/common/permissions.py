"""Errors that views raise: a stranger gets 404 (the object is not theirs to know of), the wrong role 403."""

from django.core.exceptions import PermissionDenied


class RoleRequired(PermissionDenied):
    """The signed-in member lacks the role; the 403 page shows this message."""


class Conflict(Exception):
    """A write met a state that no longer allows it. Views answer 409 and show the message."""
