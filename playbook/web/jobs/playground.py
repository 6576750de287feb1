"""Playground sessions: start, ask, close, and what a worker brings back. Called by the pages, the protocol and ingest.

A session waits in the same queue as every job, under the same lease and attempt number. It ends by itself when nobody
writes, and after half an hour in any case, so that no waiting job waits for ever.
"""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from playbook.contracts.dataset import Message
from playbook.contracts.events import Said
from playbook.contracts.playground import MAX_TURNS, AdapterFile, ChatTurn, PlaygroundSpec, Side, Turns
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.run_spec import BaseModelRef, Method
from playbook.contracts.states import ENDED_STATES
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.jobs import policy
from playbook.web.jobs.models import (
    Artifact,
    Attempt,
    Job,
    JobKind,
    PlaygroundAnswer,
    PlaygroundSession,
    PlaygroundTurn,
)
from playbook.web.usecases.models import UseCase

ADAPTER = "adapter.zip"


def adapter_of(job: Job) -> Artifact | None:
    """Return the newest adapter that a job handed over, or None."""
    return job.artifacts.filter(name=ADAPTER).order_by("-attempt__number").first()


def adapter_problem(job: Job) -> str:
    """Return why a session cannot have the adapter of `job`, and what to do; "" when it can."""
    found = adapter_of(job)
    if found is not None:
        gone = not blobs.path_of(found.sha256).is_file()
        return f"The adapter of job {job.pk} is not on this site any more; choose another job." if gone else ""
    if not job.run_spec.trains:
        return (
            f"Job {job.pk} trained nothing, so it has no adapter; talk to its base model alone, or launch a LoRA run."
        )
    if job.run_spec.method is Method.FULL:
        return f"Job {job.pk} tuned all weights and left no adapter; the playground loads adapters alone, of LoRA runs."
    if not job.is_ended:
        return f"Job {job.pk} has no adapter yet; come back when it has succeeded."
    return f"Job {job.pk} ended without an adapter ({job.state}); clone it, and talk to the model that comes of it."


def start_session(
    *,
    use_case: UseCase,
    base_model: BaseModelRef,
    tuned_job: Job | None,
    prompt: PromptSettings,
    max_new_tokens: int,
    started_by: User,
) -> PlaygroundSession:
    """Queue a session with the base model, and the adapter of `tuned_job` beside it.

    Raises Conflict when this person has one that has not ended, the policy asks for a decision about the base model, or
    the adapter is not on this site.
    """
    policy.refuse_model(base_model.id, source=tuned_job)
    adapter = None
    if tuned_job is not None:
        found = adapter_of(tuned_job)
        if found is None or adapter_problem(tuned_job):
            raise Conflict(adapter_problem(tuned_job))
        adapter = AdapterFile(sha256=found.sha256, size_bytes=found.size_bytes)
    spec = PlaygroundSpec(base_model=base_model, adapter=adapter, prompt=prompt, max_new_tokens=max_new_tokens)
    name = tuned_job.title if tuned_job else base_model.id
    with transaction.atomic():
        # One at a time: a session holds a worker, and a person reads one page.
        User.objects.select_for_update().get(pk=started_by.pk)
        mine = Job.objects.filter(kind=JobKind.PLAYGROUND, created_by=started_by).exclude(state__in=ENDED_STATES)
        if (other := mine.first()) is not None:
            raise Conflict(f"You have a session that has not ended (job {other.pk}); close it first.")
        job = Job.objects.create(
            kind=JobKind.PLAYGROUND,
            use_case=use_case,
            created_by=started_by,
            title=f"Playground: {name}"[:200],
            spec=spec.model_dump(mode="json"),
            base_model=base_model.id,
        )
        session = PlaygroundSession.objects.create(job=job, tuned_job=tuned_job)
        record("started session", job, actor=started_by, base_model=base_model.id)
    return session


def ask(session: PlaygroundSession, *, question: str, actor: User) -> PlaygroundTurn:
    """Append a question. Raises Conflict when the session has ended, is closed or full, or an answer is under way."""
    with transaction.atomic():
        PlaygroundSession.objects.select_for_update().get(pk=session.pk)
        session.refresh_from_db()
        job = Job.objects.get(pk=session.job_id)
        if job.is_ended or session.closed_at is not None:
            raise Conflict("This session has ended; start another one.")
        if _unanswered(session):
            raise Conflict("The last question is still being answered; wait for it.")
        last = session.turns.aggregate(last=Max("number"))["last"] or 0
        if last >= MAX_TURNS:
            raise Conflict(f"A session has at most {MAX_TURNS} turns; start another one.")
        turn = session.turns.create(number=last + 1, question=question, asked_by=actor)
        record("asked", job, actor=actor, turn=turn.number)
    return turn


def close(session: PlaygroundSession, *, actor: User) -> None:
    """Have the worker end the session. Raises Conflict when it has ended or is closed already."""
    with transaction.atomic():
        closed = PlaygroundSession.objects.filter(pk=session.pk, closed_at=None)
        if session.job.is_ended or closed.update(closed_at=timezone.now()) != 1:
            raise Conflict("This session has ended already.")
        # The answer that is being written ends with what was said: nobody waits for it any more.
        _stop_answers(session)
        record("closed session", session.job, actor=actor)


def stop_answer(session: PlaygroundSession, *, actor: User) -> None:
    """Have the worker end the answer that is being written, and keep what was said. Raises Conflict without one."""
    with transaction.atomic():
        PlaygroundSession.objects.select_for_update().get(pk=session.pk)
        job = Job.objects.get(pk=session.job_id)
        if job.is_ended or not _unanswered(session) or not _stop_answers(session):
            raise Conflict("No answer is being written any more.")
        record("stopped answer", job, actor=actor)


def _stop_answers(session: PlaygroundSession) -> bool:
    """Stop the last turn; return whether it was not stopped before. Without effect on answers that are done."""
    last = session.turns.order_by("-number").first()
    return last is not None and session.turns.filter(pk=last.pk, stopped_at=None).update(stopped_at=timezone.now()) == 1


def waiting_turns(job: Job) -> Turns:
    """Return the turns that no worker has answered in full, each with what was said before. Nothing for other jobs."""
    session = PlaygroundSession.objects.filter(job=job).prefetch_related("turns__answers").first()
    if session is None:
        return Turns(closed=True)
    sides = job.playground_spec.sides
    chats: dict[Side, list[Message]] = {side: [] for side in sides}
    waiting, stopped = [], []
    for turn in session.turns.all():
        answers = {answer.side: answer for answer in turn.answers.all()}
        question = Message(role="user", content=turn.question)
        asked = {side: (*chats[side], question) for side in sides}
        if not all(side in answers and answers[side].is_done for side in sides):
            waiting.append(ChatTurn(number=turn.number, chats=asked))
            stopped += [turn.number] if turn.stopped_at else []
            continue
        for side in sides:
            chats[side] += _exchange(turn, side)
    return Turns(turns=tuple(waiting), closed=session.closed_at is not None, stopped=tuple(stopped))


def said_before(turn: PlaygroundTurn, side: Side) -> tuple[Message, ...]:
    """Return the questions before `turn` and what `side` answered: what it was asked `turn` with."""
    earlier = turn.session.turns.filter(number__lt=turn.number).prefetch_related("answers")
    return tuple(message for one in earlier for message in _exchange(one, side))


def keep_answers(attempt: Attempt, pieces: Iterable[Said]) -> None:
    """Put pieces of answers where they belong. One from the first character on takes the place of an earlier try."""
    for piece in pieces:
        turn = PlaygroundTurn.objects.filter(session__job=attempt.job_id, number=piece.turn).first()
        if turn is None:
            continue
        answer, _ = PlaygroundAnswer.objects.get_or_create(turn=turn, side=piece.side.value)
        answer.text = answer.text[: piece.at_character] + piece.text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        answer.tokens = min(piece.tokens, 2**31 - 1)
        answer.is_done = piece.done
        answer.is_stopped = piece.stopped
        answer.is_cut = piece.done and not piece.natural_stop and piece.error is None and not piece.stopped
        answer.seconds = piece.seconds
        answer.error = (piece.error or "").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        answer.save()


def _exchange(turn: PlaygroundTurn, side: Side) -> tuple[Message, ...]:
    """Return a question and its answer by `side`. Nothing for what a side could not answer: it is not asked that again,
    as a turn that was too long would refuse all after it. Nor for an answer that was stopped before its first word."""
    said = next((answer for answer in turn.answers.all() if answer.side == side), None)
    if said is None or not said.is_done or said.error or (said.is_stopped and not said.text):
        return ()
    return Message(role="user", content=turn.question), Message(role="assistant", content=said.text)


def _unanswered(session: PlaygroundSession) -> bool:
    """Whether a question waits for an answer of any side."""
    sides = len(Job.objects.get(pk=session.job_id).playground_spec.sides)
    last = session.turns.prefetch_related("answers").last()
    return last is not None and sum(answer.is_done for answer in last.answers.all()) < sides
