"""A JSON column whose text is canonical (RFC 8785), so that a digest over it is the same on every database."""

import json
from typing import TYPE_CHECKING, Any

import rfc8785
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _Text = models.TextField[Any, Any]  # generic for the type checker alone
else:
    _Text = models.TextField


class CanonicalJSONField(_Text):
    """JSON values in, JSON values out; canonical text in the column. PostgreSQL's own JSON type would rewrite it.

    Raises rfc8785.CanonicalizationError for what is no JSON: NaN, integers beyond 2^53, keys that are no strings.
    """

    if TYPE_CHECKING:  # what django-stubs' plugin reads of a field
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any
        _pyi_lookup_exact_type: Any

    def from_db_value(self, value: str | None, expression: object, connection: BaseDatabaseWrapper) -> Any:
        try:
            return None if value is None else json.loads(value)
        except ValueError:  # somebody altered it: `verify_audit` names the row, and its pages still open
            return {"unreadable": str(value)}

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else rfc8785.dumps(value).decode()
