"""Messages wait until a page shows them, and a page that shows none does not look for them."""

from django.contrib.messages import SUCCESS
from django.contrib.messages.storage import default_storage
from django.http import HttpResponse
from django.test import Client, RequestFactory

from playbook.web.accounts.models import User
from playbook.web.common.messages import messages_wait

#: Compresses to more than a cookie holds.
LONG = " ".join(str(number**3) for number in range(2_000))


def test_a_message_too_long_for_its_cookie_is_known_by_it(rf: RequestFactory) -> None:
    request, response = rf.get("/"), HttpResponse()
    request.session = {}  # type: ignore[assignment]
    storage = default_storage(request)
    storage.add(SUCCESS, LONG)
    storage.update(response)

    request.COOKIES = {name: morsel.value for name, morsel in response.cookies.items()}

    assert LONG in str(dict(request.session))
    assert messages_wait(request)


def test_no_message_waits_without_one(rf: RequestFactory) -> None:
    assert not messages_wait(rf.get("/"))


def test_a_page_that_shows_no_message_makes_no_storage(client: Client, alice: User) -> None:
    client.force_login(alice)

    asked, not_asked = (client.get(path).wsgi_request for path in ("/library/", "/library/freshness.json"))

    assert [hasattr(request, "message_storage") for request in (asked, not_asked)] == [True, False]
