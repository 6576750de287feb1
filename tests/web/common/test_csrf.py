"""Our mask of the CSRF secret is one that Django takes back; a form without it gets a page of the site."""

import pytest
from django.middleware import csrf
from django.middleware.csrf import CSRF_ALLOWED_CHARS
from django.test import Client, RequestFactory

from playbook.web.common.csrf import masked_token

#: What Django's check calls.
_does_token_match, _unmask_cipher_token = vars(csrf)["_does_token_match"], vars(csrf)["_unmask_cipher_token"]
SECRET = (CSRF_ALLOWED_CHARS[::-1] * 2)[20:52]


def test_each_token_is_masked_anew_and_holds_the_secret(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.META["CSRF_COOKIE"] = SECRET

    tokens = [masked_token(request) for _ in range(200)]

    assert len(set(tokens)) == 200
    assert {_unmask_cipher_token(token) for token in tokens} == {SECRET}
    assert all(_does_token_match(token, SECRET) for token in tokens)
    # Every character of the alphabet turns up in the masks: none is left out by the way they are drawn.
    assert set("".join(token[:32] for token in tokens)) == set(CSRF_ALLOWED_CHARS)


@pytest.mark.django_db
def test_a_form_without_its_cookie_gets_a_page_that_says_what_to_do() -> None:
    answer = Client(enforce_csrf_checks=True).post("/account/login/", {"username": "erin", "password": "x"})

    page = answer.content.decode()
    assert answer.status_code == 403
    assert "<h1>This form has expired</h1>" in page
    assert 'class="site-head"' in page
