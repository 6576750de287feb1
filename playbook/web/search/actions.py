"""Writes of search: one, and it records no person, so it leaves no audit row either."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from playbook.library.search_words import read_words
from playbook.web.search.models import MissedSearch

#: The oldest are dropped beyond this, so that nobody fills the database by searching for nonsense.
KEEP = 1_000


@transaction.atomic
def record_missed(query: str) -> None:
    """Count a search that found nothing. A query without a word (quotes, emoji) asks for nothing and is not kept."""
    words = read_words(query)
    if not words.words:
        return
    text = words.text.lower()[: MissedSearch._meta.get_field("query").max_length]
    _, created = MissedSearch.objects.get_or_create(query=text)
    if not created:
        MissedSearch.objects.filter(query=text).update(count=F("count") + 1, last_at=timezone.now())
        return
    if beyond := MissedSearch.objects.order_by("-last_at", "-pk").values_list("pk", flat=True)[KEEP : KEEP + 100]:
        MissedSearch.objects.filter(pk__in=list(beyond)).delete()
