"""People. A user's `name` is the printed name that stands in signatures and audit rows."""

from functools import lru_cache

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person. `username` logs in; `name` is shown."""

    first_name = None  # type: ignore[assignment]  # one printed name, in whatever order its owner writes it
    last_name = None  # type: ignore[assignment]
    name = models.CharField("printed name", max_length=150)

    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name or self.username

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self).split(" ")[0]

    def get_session_auth_hash(self) -> str:
        """Return Django's hash of the password field, which a session has to hold: a new password ends the others."""
        return _session_hash(self.password, settings.SECRET_KEY)

    @property
    def initials(self) -> str:
        """`Alice Moreau` → `AM`; shown in place of a picture."""
        return "".join(word[0] for word in str(self).split()[:2]).upper()


@lru_cache(maxsize=1_000)
def _session_hash(password: str, key: str) -> str:
    """Return the hash for one password field and key: asked for by every page, the same until either changes."""
    return AbstractUser.get_session_auth_hash(User(password=password))
