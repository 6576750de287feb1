"""Everything needs a login but the login; headers keep foreign content out."""

import pytest
from django.test import Client

from playbook.web.accounts.models import User

PAGES = ["/", "/library/", "/decide/", "/jobs/", "/decisions/", "/use-cases/", "/datasets/", "/outcomes/"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_sends_a_visitor_to_the_login_and_back(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/account/login/?next={path}"


def test_login_with_the_right_password_opens_home(client: Client, alice: User) -> None:
    answer = client.post("/account/login/", {"username": "alice", "password": "correct horse battery"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_login_with_a_wrong_password_says_so(client: Client, alice: User) -> None:
    answer = client.post("/account/login/", {"username": "alice", "password": "wrong"})
    assert "Please enter a correct username and password" in answer.content.decode()


def test_logout_needs_a_post(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/account/logout/").status_code == 405
    assert client.post("/account/logout/").headers["Location"] == "/account/login/"


def test_the_policy_allows_no_inline_script_and_no_foreign_host(client: Client, db: None) -> None:
    policy = client.get("/account/login/").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
