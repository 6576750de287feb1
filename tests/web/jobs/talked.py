"""A playground session with one question answered and one being answered, through the same actions as in use."""

from playbook.contracts.playground import Side
from playbook.contracts.prompting import PromptSettings
from playbook.web.accounts.models import User
from playbook.web.jobs import actions, playground
from playbook.web.jobs.models import Job, PlaygroundSession
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import send_events
from tests.web.jobs.factories import make_capabilities

TICKET = "The printer on the third floor burns and three people wait."
FIELDS = '{"queue": "hardware", "urgent": true, "product": "printer", "language": "en"}'


def talked(use_case: UseCase, person: User, tuned: Job) -> PlaygroundSession:
    session = playground.start_session(
        use_case=use_case,
        base_model=tuned.run_spec.base_model.model_copy(update={"id": "talkative"}),
        tuned_job=tuned,
        prompt=PromptSettings(system="Answer with the four fields as JSON."),
        max_new_tokens=64,
        started_by=person,
    )
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities("talkative"))
    assert claim is not None

    def said(turn: int, side: Side, text: str, **more: object) -> dict[str, object]:
        return {"kind": "said", "turn": turn, "side": side, "at_character": 0, "text": text, "tokens": 64, **more}

    playground.ask(session, question=TICKET, actor=person)
    send_events(
        claim.attempt,
        {"kind": "ready", "seconds": 2.0},
        said(1, Side.BASE, "I am sorry to hear that. Printers are " * 4, done=True, natural_stop=False, seconds=4.1),
        said(1, Side.TUNED, FIELDS, done=True, seconds=3.2),
    )
    playground.ask(session, question="The lift waits.", actor=person)
    send_events(claim.attempt, said(2, Side.BASE, "A lift is a"))
    return session
