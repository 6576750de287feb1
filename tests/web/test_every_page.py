"""The table of pages is complete: a url pattern in no table would be a page that no browser test ever looks at."""

import pytest
from django.test import Client
from django.urls import reverse
from django.urls.exceptions import NoReverseMatch

from playbook.web.accounts.models import User
from tests.conftest import PASSWORD
from tests.web.every_page import NOT_PAGES, POSTS, Row, make_rows, url_names


@pytest.fixture
def rows(db: None, bob: User, charlie: User, every_block: None) -> tuple[Row, ...]:
    erin = User.objects.create_user("erin", password=PASSWORD, name="Erin Vogel", is_staff=True)
    return make_rows(erin, bob, charlie)


def test_every_url_pattern_is_in_one_table(rows: tuple[Row, ...]) -> None:
    pages = {row.name for row in rows if row.name}
    tables = [pages, set(NOT_PAGES), set(POSTS)]
    assert set().union(*tables) == url_names()
    assert sum(map(len, tables)) == len(url_names())


def test_every_row_answers_as_it_says(rows: tuple[Row, ...], client: Client) -> None:
    answers = {}
    for row in rows:
        client.logout()
        if row.who:
            client.force_login(User.objects.get(username=row.who))
        answers[row.who, row.path] = client.get(row.path).status_code
    assert answers == {(row.who, row.path): row.status for row in rows}


@pytest.mark.parametrize("name", sorted(POSTS))
def test_what_only_writes_refuses_to_be_read(name: str, client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(_some_address(name)).status_code == 405


def _some_address(name: str) -> str:
    for arguments in ([], [1], ["x"], [1, "x"], ["x", 1], ["x", "y"]):
        try:
            return reverse(name, args=arguments)
        except NoReverseMatch:
            continue
    raise AssertionError(f"{name} takes other arguments; add them here")
