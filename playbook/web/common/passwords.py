"""The password asked for once more, before a write that speaks in somebody's name. Guesses are counted and logged."""

from datetime import timedelta

from django.db import models, transaction
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry, record

#: After so many wrong passwords within `WINDOW`, not even the right one is taken until the oldest is past it.
MOST_WRONG = 5
WINDOW = timedelta(minutes=15)
_WRONG = "gave a wrong password"


class PasswordRefused(Exception):
    """The message says whether it was wrong, or one must wait."""


def confirm_password(user: User, given: str, *, about: models.Model) -> None:
    """Return if `given` is the user's password. Raises PasswordRefused; a wrong one leaves an audit row on `about`."""
    # Slow by design, so it is done before anybody has to wait for the lock.
    is_right = user.check_password(given)
    if refusal := _refusal(user, about=about, is_right=is_right):
        raise PasswordRefused(refusal)


@transaction.atomic
def _refusal(user: User, *, about: models.Model, is_right: bool) -> str | None:
    """Return why a guess is not taken, None when it is. One at a time: of many at once each sees those before it."""
    User.objects.select_for_update().get(pk=user.pk)
    now = timezone.now()
    wrong = AuditEntry.objects.filter(actor=user, action=_WRONG, at__gt=now - WINDOW).order_by("at")
    moments = list(wrong.values_list("at", flat=True))
    if len(moments) >= MOST_WRONG:
        minutes = int((moments[-MOST_WRONG] + WINDOW - now).total_seconds() // 60) + 1
        return (
            f"{len(moments)} wrong passwords in {WINDOW.seconds // 60} minutes: wait "
            f"{minutes} minute{'s' if minutes > 1 else ''}, then try again."
        )
    if is_right:
        return None
    record(_WRONG, about, actor=user)
    return "This is not your password."
