"""A tuned job and a session beside it, claimed by a worker: for the tests of the playground."""

import pytest

from playbook.contracts.playground import Side
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.run_spec import BaseModelRef
from playbook.web.accounts.models import User
from playbook.web.jobs import actions, playground
from playbook.web.jobs.models import Attempt, Job, PlaygroundSession
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import send_events, succeeded_job
from tests.web.jobs.factories import make_capabilities


@pytest.fixture
def tuned(use_case: UseCase, alice: User) -> Job:
    return succeeded_job(use_case, alice)


@pytest.fixture
def session(tuned: Job, use_case: UseCase, alice: User) -> PlaygroundSession:
    return playground.start_session(
        use_case=use_case,
        base_model=BaseModelRef(id="tiny"),
        tuned_job=tuned,
        prompt=PromptSettings(system="Be short."),
        max_new_tokens=16,
        started_by=alice,
    )


@pytest.fixture
def claimed(session: PlaygroundSession) -> Attempt:
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    assert claim.attempt.job_id == session.job_id
    return claim.attempt


def said(turn: int, side: str, text: str, **more: object) -> dict[str, object]:
    return {"kind": "said", "turn": turn, "side": side, "at_character": 0, "text": text, "tokens": 3, **more}


def answered(attempt: Attempt, turn: int) -> None:
    """Have both sides answer in full."""
    send_events(attempt, *(said(turn, side, f"{side} {turn}", done=True) for side in Side))


def url_of(session: PlaygroundSession) -> str:
    return f"/jobs/{session.job_id}/playground/"
