"""The playground: sessions in the queue, turns out to the worker, answers back into the page, rows into a dataset."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Message
from playbook.contracts.playground import MAX_QUESTION_CHARACTERS, MAX_TURNS, ChatTurn, PlaygroundSpec, Side, Turns
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.roles import Role
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.jobs import actions, playground
from playbook.web.jobs.models import Artifact, Attempt, Job, PlaygroundAnswer, PlaygroundSession
from playbook.web.jobs.playground_forms import QuestionForm
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.web.jobs.conftest import Caller
from tests.web.jobs.ended import event_lines, send_events
from tests.web.jobs.factories import make_capabilities, make_job
from tests.web.jobs.talking import answered, claimed, said, session, tuned, url_of

__all__ = ["claimed", "session", "tuned"]

HTMX = {"HX-Request": "true"}


def test_a_session_waits_in_the_queue_with_the_adapter_as_its_input(session: PlaygroundSession, tuned: Job) -> None:
    job = session.job
    artifact = Artifact.objects.get(job=tuned, name="adapter.zip")
    assert (job.state, job.kind, job.title) == (JobState.QUEUED, "playground", "Playground: LoRA on tickets")
    spec = job.playground_spec
    assert spec.adapter is not None
    assert (spec.adapter.sha256, spec.sides) == (artifact.sha256, (Side.BASE, Side.TUNED))
    assert job.get_absolute_url() == url_of(session)


def test_the_worker_claims_it_like_a_job(session: PlaygroundSession, caller: Caller, tuned: Job) -> None:
    claim = caller.claimed()
    assert isinstance(claim.spec, PlaygroundSpec)
    (adapter,) = claim.inputs
    assert (adapter.name, adapter.sha256) == ("inputs/adapter.zip", claim.spec.adapter.sha256)  # type: ignore[union-attr]
    got = caller.get(f"/jobs/{claim.job_id}/inputs/adapter.zip", token=claim.job_token)
    assert b"".join(got) == blobs.path_of(adapter.sha256).read_bytes()


def test_turns_go_out_with_what_each_side_said_before(
    session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    playground.ask(session, question="first", actor=alice)
    question = Message(role="user", content="first")
    assert playground.waiting_turns(session.job) == Turns(
        turns=(ChatTurn(number=1, chats={Side.BASE: (question,), Side.TUNED: (question,)}),)
    )
    answered(claimed, 1)
    assert playground.waiting_turns(session.job) == Turns()
    playground.ask(session, question="second", actor=alice)
    (turn,) = playground.waiting_turns(session.job).turns
    shown = {side: [message.content for message in chat] for side, chat in turn.chats.items()}
    assert shown == {"base": ["first", "base 1", "second"], "tuned": ["first", "tuned 1", "second"]}


def test_a_turn_that_could_not_be_answered_is_not_asked_again(
    session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    playground.ask(session, question="far too long", actor=alice)
    problem = {"done": True, "natural_stop": False, "error": "too long"}
    send_events(claimed, said(1, "base", "", **problem), said(1, "tuned", "short enough", done=True))
    playground.ask(session, question="second", actor=alice)
    (turn,) = playground.waiting_turns(session.job).turns
    shown = {side: [message.content for message in chat] for side, chat in turn.chats.items()}
    assert shown == {"base": ["second"], "tuned": ["far too long", "short enough", "second"]}


def test_without_javascript_the_page_reloads_only_while_nobody_can_write(
    client: Client, session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    client.force_login(alice)
    assert 'http-equiv="refresh"' not in client.get(url_of(session)).content.decode()
    playground.ask(session, question="first", actor=alice)
    assert 'http-equiv="refresh"' in client.get(url_of(session)).content.decode()


def test_turns_are_opened_by_the_token_of_the_attempt_alone(
    session: PlaygroundSession, caller: Caller, use_case: UseCase, alice: User
) -> None:
    claim = caller.claimed()
    path = f"/jobs/{claim.job_id}/turns?attempt={claim.attempt}"
    assert caller.get(path, token=claim.job_token).json() == {"turns": [], "closed": False}
    assert caller.get(path, token=caller.token).status_code == 401
    assert caller.get(f"/jobs/{claim.job_id}/turns?attempt=7", token=claim.job_token).status_code == 409
    assert caller.get(f"/jobs/{claim.job_id + 1}/turns?attempt=1", token=claim.job_token).status_code == 404


def test_a_job_that_is_no_session_has_no_turns(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    path = f"/jobs/{claim.job_id}/turns?attempt={claim.attempt}"
    assert caller.get(path, token=claim.job_token).json() == {"turns": [], "closed": True}


def test_text_grows_while_it_is_generated(
    client: Client, session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    client.force_login(alice)
    playground.ask(session, question="first", actor=alice)
    send_events(claimed, {"kind": "ready", "seconds": 1.0}, said(1, "base", "Hel"))
    first = client.get(url_of(session)).content.decode()
    assert '<span class="said">Hel</span><span class="cursor"' in first
    assert 'hx-trigger="every 700ms"' in first
    send_events(claimed, said(1, "base", "lo <b>", at_character=3))
    assert "Hello &lt;b&gt;" in client.get(url_of(session)).content.decode()
    answered(claimed, 1)
    done = client.get(url_of(session)).content.decode()
    assert "base 1" in done
    assert 'hx-trigger="every 3s"' in done
    session.job.refresh_from_db()
    assert session.job.state == JobState.RUNNING


def test_another_attempt_begins_the_answer_again(session: PlaygroundSession, claimed: Attempt, alice: User) -> None:
    playground.ask(session, question="first", actor=alice)
    send_events(claimed, said(1, "base", "Half an ans"))
    actions.release(claimed)
    worker, _ = actions.create_worker(name="gpu-2", created_by=None)
    again = actions.claim_next_job(worker, make_capabilities())
    assert again is not None
    assert [turn.number for turn in playground.waiting_turns(session.job).turns] == [1]
    send_events(again.attempt, said(1, "base", "Whole", done=True, natural_stop=False))
    answer = PlaygroundAnswer.objects.get()
    assert (answer.text, answer.is_done, answer.is_cut) == ("Whole", True, True)


def test_events_of_an_attempt_that_was_lost_change_nothing(
    session: PlaygroundSession, caller: Caller, alice: User
) -> None:
    claim = caller.claimed()
    playground.ask(session, question="first", actor=alice)
    actions.release(Attempt.objects.get(job=session.job_id))
    assert caller.events(claim, event_lines(said(1, "base", "late"))).status_code == 409
    assert PlaygroundAnswer.objects.count() == 0


def test_a_session_succeeds_without_a_report(session: PlaygroundSession, caller: Caller) -> None:
    claim = caller.claimed()
    assert caller.finish(claim, "succeeded", "completed", "Nobody wrote for 120 seconds.").status_code == 200
    session.job.refresh_from_db()
    assert (session.job.state, session.job.end_message) == (JobState.SUCCEEDED, "Nobody wrote for 120 seconds.")


def test_one_session_at_a_time_for_a_person(session: PlaygroundSession, use_case: UseCase, alice: User) -> None:
    with pytest.raises(Conflict, match=f"has not ended \\(job {session.job_id}\\)"):
        playground.start_session(
            use_case=use_case,
            base_model=BaseModelRef(id="tiny"),
            tuned_job=None,
            prompt=PromptSettings(),
            max_new_tokens=16,
            started_by=alice,
        )


def test_an_adapter_that_is_gone_is_a_conflict(tuned: Job, use_case: UseCase, alice: User) -> None:
    blobs.path_of(Artifact.objects.get(job=tuned, name="adapter.zip").sha256).unlink()
    with pytest.raises(Conflict, match="is not on this site"):
        playground.start_session(
            use_case=use_case,
            base_model=BaseModelRef(id="tiny"),
            tuned_job=tuned,
            prompt=PromptSettings(),
            max_new_tokens=16,
            started_by=alice,
        )


def test_questions_are_bounded(session: PlaygroundSession, claimed: Attempt, alice: User, client: Client) -> None:
    client.force_login(alice)
    assert "maxlength" not in str(QuestionForm())
    long = client.post(url_of(session), {"question": "x" * (MAX_QUESTION_CHARACTERS + 200)})
    assert (long.status_code, session.turns.count()) == (422, 0)
    assert "This has 8,200 characters, 200 more than the limit of 8,000." in long.content.decode()
    just = "x\r\n" * (MAX_QUESTION_CHARACTERS // 2)
    assert QuestionForm({"question": f"{just[:-3]}yz"}).errors == {}
    playground.ask(session, question="first", actor=alice)
    early = client.post(url_of(session), {"question": "second"})
    assert early.status_code == 409
    assert "The last question is still being answered" in early.content.decode()
    answered(claimed, 1)
    session.turns.update(number=MAX_TURNS)
    with pytest.raises(Conflict, match="at most 50 turns"):
        playground.ask(session, question="one more", actor=alice)


def test_asking_works_without_javascript_and_with_it(
    client: Client, session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    client.force_login(alice)
    plain = client.post(url_of(session), {"question": "a\r\nb"})
    assert (plain.status_code, plain["Location"]) == (302, f"{url_of(session)}#ask")
    assert session.turns.get().question == "a\nb"
    answered(claimed, 1)
    part = client.post(url_of(session), {"question": "second"}, headers=HTMX)
    assert part.status_code == 200
    assert part.content.decode().lstrip().startswith('<div id="playground"')
    assert "second" in part.content.decode()


def test_a_session_is_started_with_a_job_and_its_system_message(
    client: Client, tuned: Job, alice: User, use_case: UseCase
) -> None:
    client.force_login(alice)
    url = f"/jobs/playground/new/?job={tuned.pk}"
    assert 'name="base_model"' not in client.get(url).content.decode()
    answer = client.post(url, {"system": "Be short.", "max_new_tokens": 8})
    job = PlaygroundSession.objects.get().job
    assert (answer.status_code, answer["Location"]) == (302, f"/jobs/{job.pk}/playground/")
    assert (job.playground_spec.prompt.system, job.playground_spec.max_new_tokens) == ("Be short.", 8)
    again = client.post(url, {"system": "", "max_new_tokens": 8})
    assert again.status_code == 409
    assert "You have a session that has not ended" in again.content.decode()


def test_a_worker_that_cannot_read_a_session_is_not_given_one(session: PlaygroundSession, caller: Caller) -> None:
    before_sessions = caller.claim(protocol_version=1)
    assert before_sessions.status_code == 426
    assert "install the same release of playbook on both" in before_sessions.json()["detail"]
    session.job.refresh_from_db()
    assert session.job.state == JobState.QUEUED


def test_job_and_use_case_lead_to_the_playground_those_who_may_write(
    client: Client, tuned: Job, use_case: UseCase, alice: User, mallory: User
) -> None:
    untuned = make_job(use_case, alice)
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    links = {
        tuned.get_absolute_url(): f'href="/jobs/playground/new/?job={tuned.pk}"',
        use_case.get_absolute_url(): f'href="/jobs/playground/new/?use_case={use_case.slug}"',
    }
    for person, shown in ((alice, True), (mallory, False)):
        client.force_login(person)
        for page, link in links.items():
            assert (link in client.get(page).content.decode()) is shown, (person, page)
    client.force_login(alice)
    assert "/jobs/playground/new/" not in client.get(untuned.get_absolute_url()).content.decode()


def test_jobs_without_an_adapter_are_not_offered(client: Client, tuned: Job, use_case: UseCase, alice: User) -> None:
    untuned = make_job(use_case, alice)
    client.force_login(alice)
    page = client.get(f"/jobs/playground/new/?use_case={use_case.slug}").content.decode()
    assert f"?job={tuned.pk}" in page
    assert f"?job={untuned.pk}" not in page
    url = f"/jobs/playground/new/?job={untuned.pk}"
    refused = client.post(url, {"system": "", "max_new_tokens": 8})
    assert refused.status_code == 409
    why = f"Job {untuned.pk} trained nothing, so it has no adapter; talk to its base model alone, or launch a LoRA run."
    assert why in refused.content.decode()
    shown = client.get(url).content.decode()
    assert (why in shown, 'name="system"' in shown, f"?job={tuned.pk}" in shown) == (True, False, True)


def test_a_base_model_alone_can_be_talked_to(client: Client, alice: User, use_case: UseCase) -> None:
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    actions.see_worker(worker, make_capabilities())
    client.force_login(alice)
    url = f"/jobs/playground/new/?use_case={use_case.slug}"
    client.post(url, {"base_model": "tiny", "max_new_tokens": 8})
    assert PlaygroundSession.objects.get().job.playground_spec.sides == (Side.BASE,)
    bad = client.post(url, {"base_model": "unheard-of", "max_new_tokens": 5000})
    assert bad.status_code == 422
    assert "less than or equal to 1024" in bad.content.decode()


def test_the_page_says_where_it_waits_and_closing_it_then_cancels(
    client: Client, session: PlaygroundSession, alice: User, use_case: UseCase
) -> None:
    make_job(use_case, alice, priority=1)
    client.force_login(alice)
    page = client.get(url_of(session)).content.decode()
    assert "position 2 in the queue" in page
    assert client.post(f"{url_of(session)}close/").status_code == 302
    session.job.refresh_from_db()
    assert session.job.state == JobState.CANCELLED
    ended = client.get(url_of(session), headers=HTMX)
    news = ended.content.decode()
    assert (ended.status_code, "hx-trigger" in news) == (286, False)
    assert ('<div id="ask" hx-swap-oob="delete">' in news, "Start another session" in news) == (True, True)


def test_closing_a_running_session_tells_the_worker(
    client: Client, session: PlaygroundSession, claimed: Attempt, alice: User
) -> None:
    client.force_login(alice)
    client.post(f"{url_of(session)}close/")
    assert playground.waiting_turns(session.job).closed
    assert client.post(url_of(session), {"question": "late"}).status_code == 409
    page = client.post(f"{url_of(session)}close/", follow=True).content.decode()
    assert "This session has ended already." in page
    assert client.get(f"{url_of(session)}close/").status_code == 405


def test_the_job_page_of_a_session_is_the_playground(client: Client, session: PlaygroundSession, alice: User) -> None:
    client.force_login(alice)
    answer = client.get(f"/jobs/{session.job_id}/")
    assert (answer.status_code, answer["Location"]) == (302, url_of(session))
    assert client.get(f"/jobs/new/?clone={session.job_id}").status_code == 404
    page = client.get("/jobs/").content.decode()
    assert "Playground: LoRA on tickets" in page


def test_strangers_and_viewers(
    client: Client,
    session: PlaygroundSession,
    claimed: Attempt,
    tuned: Job,
    use_case: UseCase,
    alice: User,
    mallory: User,
) -> None:
    playground.ask(session, question="first", actor=alice)
    answered(claimed, 1)
    writes = [url_of(session), f"{url_of(session)}close/", f"{url_of(session)}1/save/"]
    client.force_login(mallory)
    assert [client.get(url).status_code for url in (url_of(session), f"/jobs/playground/new/?job={tuned.pk}")] == [
        404
    ] * 2
    assert [client.post(url).status_code for url in writes] == [404] * 3
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    page = client.get(url_of(session)).content.decode()
    assert ("base 1" in page, "Save as a dataset row" in page, 'id="ask"' in page) == (True, False, False)
    assert [client.post(url).status_code for url in writes] == [403] * 3
    assert client.get(f"/jobs/playground/new/?job={tuned.pk}").status_code == 403


def test_the_page_asks_as_often_for_three_turns_as_for_one(
    client: Client,
    session: PlaygroundSession,
    claimed: Attempt,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(alice)

    def talk(number: int) -> None:
        playground.ask(session, question=f"question {number}", actor=alice)
        answered(claimed, number)

    talk(1)
    client.get(url_of(session), headers=HTMX)
    with django_assert_num_queries(6) as first:
        client.get(url_of(session), headers=HTMX)
    talk(2)
    talk(3)
    with django_assert_num_queries(len(first)):
        client.get(url_of(session), headers=HTMX)
