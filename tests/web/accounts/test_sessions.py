"""Who asks, read by our own statements, is who Django's own would say."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.backends import db as django_sessions
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.accounts.sessions import PersonBackend, SessionStore

HOME = "/"
#: A page that needs nothing from the database but who asks.
ABOUT = "/library/glossary/"


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


def test_session_and_person_are_read_at_once(reader: Client, alice: User) -> None:
    reader.get(ABOUT)

    with CaptureQueriesContext(connection) as asked:
        answer = reader.get(ABOUT)

    assert answer.wsgi_request.user == alice
    assert [query["sql"].count("FROM django_session LEFT JOIN accounts_user") for query in asked] == [1]


def test_the_person_read_along_with_the_session_is_the_one_that_django_reads(reader: Client, alice: User) -> None:
    reader.get(ABOUT)  # from now on it is known whose row to read
    person = SessionStore(reader.cookies["sessionid"].value)
    assert person.take_person() is None
    person.load()
    found = person.take_person()

    assert found == alice
    names = [field.attname for field in User._meta.concrete_fields]
    assert [getattr(found, name) for name in names] == [getattr(User.objects.get(), name) for name in names]
    assert person.take_person() is None


def test_a_session_given_to_another_person_is_that_persons_at_once(reader: Client, bob: User) -> None:
    reader.get(ABOUT)
    other = Client()
    other.force_login(bob)
    data = Session.objects.get(pk=other.session.session_key).session_data
    Session.objects.filter(pk=reader.cookies["sessionid"].value).update(session_data=data)

    assert [reader.get(ABOUT).wsgi_request.user for _ in range(2)] == [bob, bob]


@pytest.mark.parametrize("change", ["closed", "removed", "new password", "no backend", "expired", "session removed"])
def test_what_ends_a_session_ends_it_while_it_is_in_use(reader: Client, alice: User, change: str) -> None:
    assert [reader.get(ABOUT).status_code for _ in range(2)] == [200, 200]
    backends = settings.AUTHENTICATION_BACKENDS
    if change == "closed":
        User.objects.update(is_active=False)
    elif change == "removed":
        User.objects.all().delete()
    elif change == "new password":
        alice.set_password("another horse battery")
        alice.save()
    elif change == "no backend":
        backends = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    elif change == "expired":
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    else:
        Session.objects.all().delete()

    with override_settings(AUTHENTICATION_BACKENDS=backends):
        assert reader.get(ABOUT).status_code == 302


def test_the_hash_of_a_person_is_the_one_of_django(alice: User) -> None:
    first = alice.get_session_auth_hash()
    assert first == AbstractUser.get_session_auth_hash(alice)

    with override_settings(SECRET_KEY="another key"):
        second = alice.get_session_auth_hash()
    alice.set_password("another password 12")

    assert len({first, second, alice.get_session_auth_hash()}) == 3
