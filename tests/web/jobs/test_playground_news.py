"""The page of a session while it runs: what it asks for, what it says, and how an answer is stopped."""

import re

from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.jobs import actions, playground
from playbook.web.jobs.models import Attempt, Job, PlaygroundSession
from tests.web.jobs.conftest import Caller
from tests.web.jobs.ended import send_events
from tests.web.jobs.factories import make_capabilities
from tests.web.jobs.talking import answered, claimed, said, session, tuned, url_of

__all__ = ["claimed", "session", "tuned"]

HTMX = {"HX-Request": "true"}


def poll(page: str) -> str:
    """Return the path that the status line of a page asks for news."""
    found = re.search(r'id="pulse" hx-get="([^"]+)"', page)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_asking_for_news_brings_only_what_changed(
    client: Client, session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    client.force_login(alice)
    playground.ask(session, question="first", actor=alice)
    answered(claimed, 1)
    playground.ask(session, question="second", actor=alice)
    send_events(claimed, {"kind": "ready", "seconds": 1.0}, said(2, "base", "whole", done=True))
    where = poll(client.get(url_of(session)).content.decode())
    assert client.get(where, headers=HTMX).status_code == 204
    send_events(claimed, said(2, "tuned", "half"))
    news = client.get(where, headers=HTMX).content.decode()
    assert re.findall(r'id="(answer-[^"]+)"', news) == ["answer-2-tuned"]
    assert ("half" in news, "first" in news, "<form id=" in news) == (True, False, False)
    again = poll(news)
    assert client.get(again, headers=HTMX).status_code == 204
    send_events(claimed, said(2, "tuned", "half and half", done=True))
    playground.ask(session, question="of another tab", actor=alice)
    news = client.get(again, headers=HTMX).content.decode()
    assert re.findall(r'id="(answer-[^"]+)"', news) == ["answer-2-tuned", "answer-3-base", "answer-3-tuned"]
    assert '<div hx-swap-oob="beforeend:#turns">' in news


def test_the_page_says_in_its_words_what_the_session_does(
    client: Client, session: PlaygroundSession, alice: User, caller: Caller
) -> None:
    client.force_login(alice)

    def words() -> str:
        page = client.get(url_of(session)).content.decode()
        found = re.search(r'role="status">\s*<span class="badge[^"]*">([^<]*)<', page)
        assert found is not None
        return found[1]

    seen = [words()]
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    seen.append(words())
    send_events(claim.attempt, {"kind": "ready", "seconds": 1.0})
    seen.append(words())
    playground.ask(session, question="first", actor=alice)
    seen.append(words())
    playground.close(session, actor=alice)
    assert [*seen, words()] == ["queued", "loading the model", "ready", "answering", "closing"]


def test_an_answer_shows_what_it_cost(
    client: Client, session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    client.force_login(alice)
    playground.ask(session, question="first", actor=alice)
    send_events(claimed, said(1, "base", "x", done=True, seconds=1.5), said(1, "tuned", "y", done=True))
    page = client.get(url_of(session)).content.decode()
    assert "3 tokens · 1.5 s · 2.0 tokens/s<" in page
    assert "3 tokens<" in page


def test_stopping_an_answer_tells_the_worker_and_keeps_what_was_said(
    client: Client, session: PlaygroundSession, caller: Caller, alice: User
) -> None:
    claim = caller.claimed()
    attempt = Attempt.objects.get(job=session.job_id)
    client.force_login(alice)
    url = f"{url_of(session)}stop/"
    path = f"/jobs/{claim.job_id}/turns?attempt={claim.attempt}"
    assert "No answer is being written" in client.post(url, follow=True).content.decode()
    playground.ask(session, question="first", actor=alice)
    send_events(attempt, said(1, "base", "half an"))
    assert 'id="stop"' in client.get(url_of(session)).content.decode()
    assert client.post(url, headers=HTMX).status_code == 204
    assert caller.get(f"{path}&stops=true", token=claim.job_token).json()["stopped"] == [1]
    # A worker of the release before this one does not know the field.
    assert set(caller.get(path, token=claim.job_token).json()) == {"turns", "closed"}
    end = {"done": True, "natural_stop": False, "stopped": True}
    send_events(attempt, said(1, "base", "half an answer", **end), said(1, "tuned", "", **end))
    page = client.get(url_of(session)).content.decode()
    assert (page.count(">stopped<"), "cut at" in page, 'id="stop"' in page) == (2, False, False)
    playground.ask(session, question="second", actor=alice)
    waiting = playground.waiting_turns(session.job)
    assert waiting.stopped == ()
    shown = {side: [message.content for message in chat] for side, chat in waiting.turns[0].chats.items()}
    assert shown == {"base": ["first", "half an answer", "second"], "tuned": ["second"]}


def test_closing_ends_the_answer_that_is_being_written(
    session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    playground.ask(session, question="first", actor=alice)
    playground.close(session, actor=alice)
    waiting = playground.waiting_turns(session.job)
    assert ([turn.number for turn in waiting.turns], waiting.stopped, waiting.closed) == ([1], (1,), True)


def test_the_template_that_a_model_was_tuned_with_stands_around_what_is_asked(
    client: Client, tuned: Job, alice: User
) -> None:
    tuned.spec["prompt"] = {"user_template": "Ticket: {input}"}
    tuned.save()
    client.force_login(alice)
    url = f"/jobs/playground/new/?job={tuned.pk}"
    assert ">\nTicket: {input}</textarea>" in client.get(url).content.decode()
    wrong = client.post(url, {"user_template": "Ticket", "max_new_tokens": 8})
    assert (wrong.status_code, "Write {input} where the message" in wrong.content.decode()) == (422, True)
    page = client.post(url, {"user_template": "T: {input}", "max_new_tokens": 8}, follow=True).content.decode()
    assert ">T: {input}</p>" in page
