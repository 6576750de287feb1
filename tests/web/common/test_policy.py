"""The content security policy, the same on every answer, is that of the settings."""

import pytest
from django.test import Client
from pytest_django import Settings

from playbook.web.accounts.models import User

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def _policy(client: Client, path: str) -> dict[str, str]:
    header = client.get(path).headers.get("Content-Security-Policy", "")
    return {name: values for name, _, values in (part.strip().partition(" ") for part in header.split(";")) if name}


@pytest.mark.parametrize("path", ["/account/login/", "/", "/nowhere/", "/library/feed.atom", "/healthz"])
def test_every_answer_carries_the_policy(client: Client, db: None, path: str) -> None:
    assert _policy(client, path) == POLICY


def test_the_page_for_debugging_keeps_its_styles(client: Client, alice: User, settings: Settings) -> None:
    settings.DEBUG = True
    client.force_login(alice)

    assert (_policy(client, "/nowhere/"), _policy(client, "/account/login/")) == ({}, POLICY)
