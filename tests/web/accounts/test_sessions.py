"""Who asks, read by our own statements, is who Django's own would say."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.backends import db as django_sessions
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.accounts.sessions import PersonBackend, SessionStore

HOME = "/"


@pytest.fixture
def reader(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def test_the_session_is_the_one_that_django_reads(reader: Client, alice: User) -> None:
    key = reader.session.session_key

    assert dict(SessionStore(key).load()) == dict(django_sessions.SessionStore(key).load())
    assert SessionStore(key).load()["_auth_user_id"] == str(alice.pk)


def test_the_person_is_the_one_that_django_reads(alice: User) -> None:
    found = PersonBackend().get_user(alice.pk)
    fields = [field.attname for field in User._meta.concrete_fields]

    assert found == alice
    assert [getattr(found, name) for name in fields] == [getattr(User.objects.get(), name) for name in fields]
    assert [type(getattr(found, name)) for name in fields] == [type(getattr(alice, name)) for name in fields]


def test_a_person_who_is_gone_is_nobody(alice: User) -> None:
    assert PersonBackend().get_user(alice.pk + 1) is None


def test_an_expired_session_leads_to_the_login(reader: Client) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))

    assert reader.get(HOME).headers["Location"] == "/account/login/?next=/"


def test_a_closed_account_leads_to_the_login(reader: Client) -> None:
    assert reader.get(HOME).status_code == 200
    User.objects.update(is_active=False)

    assert reader.get(HOME).headers["Location"] == "/account/login/?next=/"


def test_a_new_password_ends_the_sessions(reader: Client, alice: User) -> None:
    alice.set_password("another horse battery")
    alice.save()

    assert reader.get(HOME).headers["Location"] == "/account/login/?next=/"


def test_a_session_ends_with_the_log_out(reader: Client) -> None:
    key = reader.cookies["sessionid"].value
    reader.post("/account/logout/")
    reader.cookies["sessionid"] = key

    assert reader.get(HOME).headers["Location"] == "/account/login/?next=/"


@pytest.mark.parametrize("key", ["x" * 32, "", "a' OR '1'='1", "x" * 10_000])
def test_a_made_up_session_leads_to_the_login(client: Client, db: None, key: str) -> None:
    client.cookies["sessionid"] = key

    assert client.get(HOME).headers["Location"] == "/account/login/?next=/"


def test_a_session_that_was_altered_leads_to_the_login(reader: Client) -> None:
    assert reader.get(HOME).status_code == 200  # its signature was seen to hold
    row = Session.objects.get()
    payload, _, signature = row.session_data.partition(":")
    Session.objects.update(session_data=f"{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}:{signature}")

    assert reader.get(HOME).status_code == 302


def test_another_secret_key_ends_the_sessions(reader: Client) -> None:
    assert reader.get(HOME).status_code == 200

    with override_settings(SECRET_KEY="another key"):
        assert reader.get(HOME).status_code == 302


def test_what_one_request_does_to_its_session_is_not_seen_by_the_next(reader: Client) -> None:
    key = reader.session.session_key
    before = SessionStore(key).load()

    SessionStore(key).load().clear()

    assert SessionStore(key).load() == before != {}


def test_the_hash_of_a_person_is_the_one_of_django(alice: User) -> None:
    first = alice.get_session_auth_hash()
    assert first == AbstractUser.get_session_auth_hash(alice)

    with override_settings(SECRET_KEY="another key"):
        second = alice.get_session_auth_hash()
    alice.set_password("another password 12")

    assert len({first, second, alice.get_session_auth_hash()}) == 3
