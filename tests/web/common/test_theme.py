"""The theme switch: remembered in a cookie, rendered by the server, no open redirect."""

import pytest
from django.test import Client

from playbook.web.accounts.models import User


def test_choosing_dark_is_rendered_on_the_next_page(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.post("/theme/", {"theme": "dark", "next": "/use-cases/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/use-cases/")
    assert 'data-theme="dark"' in client.get("/use-cases/").content.decode()


def test_system_forgets_the_choice(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post("/theme/", {"theme": "dark"})
    client.post("/theme/", {"theme": "system"})
    assert "data-theme" not in client.get("/use-cases/").content.decode()


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "C01",
        "home:home",
        "🎉",
        "a\x00b",
        "\\",
        "/\\evil.example",
    ],
)
def test_next_stays_on_this_site(client: Client, target: str) -> None:
    assert client.post("/theme/", {"theme": "dark", "next": target}).headers["Location"] == "/"


def test_a_theme_that_does_not_exist_is_not_kept(client: Client) -> None:
    answer = client.post("/theme/", {"theme": '"><script>'})
    assert answer.cookies["theme"].value == ""


def test_get_is_refused(client: Client) -> None:
    assert client.get("/theme/").status_code == 405
