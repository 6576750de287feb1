"""A playground session with the tiny model: turns in, pieces of answers out, by the base and by the adapter."""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from playbook.contracts.dataset import Message
from playbook.contracts.events import Ready, Said
from playbook.contracts.playground import ChatTurn, PlaygroundSpec, Side
from playbook.contracts.states import EndReason
from tests.trainer.conftest import TINY_ID, MakeRun, Train, ended, events_of, events_so_far, meanwhile
from tests.waiting import wait_for

MakeSession = Callable[..., Path]


def user(text: str) -> Message:
    return Message(role="user", content=text)


def turn(number: int, *chat: Message) -> ChatTurn:
    return ChatTurn(number=number, chats=dict.fromkeys(Side, chat))


@pytest.fixture
def make_session(tmp_path: Path) -> MakeSession:
    """Return a function that writes the folder of a session whose turns have all come, and which is then closed."""

    def make(*turns: ChatTurn, adapter: Path | None = None, closed: bool = True, **settings: Any) -> Path:
        folder = tmp_path / f"session-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        if adapter is not None:
            shutil.copytree(adapter, folder / "inputs" / "adapter")
            settings["adapter"] = {"sha256": "0" * 64, "size_bytes": 1}
        spec = PlaygroundSpec.model_validate({"base_model": {"id": TINY_ID}, "max_new_tokens": 6, **settings})
        (folder / "spec.json").write_text(spec.model_dump_json())
        lines = [found.model_dump_json() for found in turns] + ([json.dumps({"closed": True})] if closed else [])
        (folder / "turns.jsonl").write_text("".join(line + "\n" for line in lines))
        return folder

    return make


@pytest.fixture
def adapter(make_run: MakeRun, train: Train) -> Path:
    folder = make_run(evaluation={"arms": ["lora"]}, training={"learning_rate": 0.5, "max_steps": 4})
    assert train(folder) == 0
    return folder / "artifacts" / "adapter"


def said(folder: Path) -> dict[tuple[int, Side], list[Said]]:
    """Return what was said in each turn by each side, also while the session goes on."""
    found = defaultdict(list)
    for event in events_so_far(folder):
        if isinstance(event, Said):
            found[event.turn, event.side].append(event)
    return found


def text_of(pieces: list[Said]) -> str:
    """Return the answer as a page would put it together."""
    text = ""
    for piece in pieces:
        text = text[: piece.at_character] + piece.text
    return text


def test_each_turn_is_answered_by_base_and_adapter(
    make_session: MakeSession, adapter: Path, train: Train, tiny_models_dir: Path
) -> None:
    folder = make_session(turn(1, user("say x 3")), turn(2, user("say y"), user("and z")), adapter=adapter)
    assert train(folder) == 0
    assert ended(folder).reason is EndReason.COMPLETED
    assert ended(folder).message == "The session was closed; 2 turns answered."
    assert [type(event) for event in events_of(folder)].count(Ready) == 1
    answers = said(folder)
    assert list(answers) == [(1, Side.BASE), (1, Side.TUNED), (2, Side.BASE), (2, Side.TUNED)]
    for pieces in answers.values():
        assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert (pieces[-1].tokens <= 6, pieces[-1].error) == (True, None)
    assert text_of(answers[1, Side.BASE]) != text_of(answers[1, Side.TUNED])


def test_both_sides_speak_at_once(make_session: MakeSession, adapter: Path, train: Train) -> None:
    folder = make_session(turn(1, user("say x 3")), adapter=adapter, max_new_tokens=12)
    assert train(folder) == 0
    order = [(event.side, event.done) for event in events_of(folder) if isinstance(event, Said)]
    assert order[:2] == [(Side.BASE, False), (Side.TUNED, False)]


def test_answers_are_those_of_the_evaluation(
    make_session: MakeSession, make_run: MakeRun, train: Train, adapter: Path
) -> None:
    run = make_run(name="evaluated", evaluation={"arms": ["zero_shot"], "max_new_tokens": 6})
    assert train(run) == 0
    item = json.loads((run / "report.json").read_text())["arms"][0]["items"][0]
    folder = make_session(turn(1, *(Message(**message) for message in item["prompt"])), adapter=adapter)
    assert train(folder) == 0
    assert text_of(said(folder)[1, Side.BASE]) == item["output"]


def test_the_base_model_answers_alone_without_an_adapter(make_session: MakeSession, train: Train) -> None:
    folder = make_session(turn(1, user("hi")))
    assert train(folder) == 0
    assert list(said(folder)) == [(1, Side.BASE)]


def test_the_prompt_stands_around_what_is_written(make_session: MakeSession, train: Train) -> None:
    plain = make_session(turn(1, Message(role="system", content="Be short."), user("Q: hi")))
    asked = make_session(turn(1, user("hi")), prompt={"system": "Be short.", "user_template": "Q: {input}"})
    assert (train(plain), train(asked)) == (0, 0)
    assert text_of(said(plain)[1, Side.BASE]) == text_of(said(asked)[1, Side.BASE])


def test_what_is_too_long_is_said_and_the_session_goes_on(make_session: MakeSession, train: Train) -> None:
    folder = make_session(turn(1, user("x" * 300)), turn(2, user("hi")))
    assert train(folder) == 0
    (first,), second = said(folder)[1, Side.BASE], said(folder)[2, Side.BASE]
    assert first.error is not None
    assert "context of 256 leaves 250 beside an answer of 6" in first.error
    assert (first.done, second[-1].done, second[-1].error) == (True, True, None)


def test_an_answer_that_is_cut_says_so(make_session: MakeSession, train: Train) -> None:
    folder = make_session(turn(1, user("hi")), max_new_tokens=1)
    assert train(folder) == 0
    assert (said(folder)[1, Side.BASE][-1].natural_stop, said(folder)[1, Side.BASE][-1].tokens) == (False, 1)


def test_an_idle_session_ends_by_itself(make_session: MakeSession, train: Train) -> None:
    folder = make_session(closed=False, idle_seconds=1)
    assert train(folder) == 0
    assert ended(folder).message == "Nobody wrote for 1 seconds; 0 turns answered."


def test_no_session_lasts_longer_than_it_may(make_session: MakeSession, train: Train) -> None:
    folder = make_session(turn(1, user("hi")), closed=False, max_seconds=1)
    assert train(folder) == 0
    assert ended(folder).message == "The session lasted 1 seconds, as long as one may; 1 turn answered."


def test_turns_are_answered_as_they_come(make_session: MakeSession, train: Train) -> None:
    folder = make_session(turn(1, user("hi")), closed=False)

    def write_on() -> None:
        wait_for(lambda: (1, Side.BASE) in said(folder))
        with (folder / "turns.jsonl").open("a") as file:
            file.write(turn(2, user("more")).model_dump_json() + "\n" + '{"closed": true}\n')

    writer = Thread(target=write_on)
    writer.start()
    assert train(folder) == 0
    writer.join()
    assert list(said(folder)) == [(1, Side.BASE), (2, Side.BASE)]


def test_an_answer_stopped_before_it_begins_is_empty(make_session: MakeSession, train: Train, adapter: Path) -> None:
    folder = make_session(turn(1, user("hi")), turn(2, user("more")), adapter=adapter)
    lines = (folder / "turns.jsonl").read_text().splitlines()
    (folder / "turns.jsonl").write_text("\n".join([lines[0], '{"stop": 1}', *lines[1:]]) + "\n")
    assert train(folder) == 0
    shown = {
        at: (pieces[-1].stopped, pieces[-1].natural_stop, pieces[-1].tokens > 0) for at, pieces in said(folder).items()
    }
    assert {at: found[0] for at, found in shown.items()} == {
        (1, Side.BASE): True,
        (1, Side.TUNED): True,
        (2, Side.BASE): False,
        (2, Side.TUNED): False,
    }
    assert shown[1, Side.BASE] == (True, False, False)
    assert all(pieces[-1].seconds is not None for pieces in said(folder).values())


def test_cancel_ends_the_session(make_session: MakeSession, train: Train) -> None:
    folder = make_session(closed=False)
    with meanwhile(lambda: any(isinstance(event, Ready) for event in events_so_far(folder))):
        assert train(folder) == 1
    assert ended(folder).reason is EndReason.CANCELLED_BY_USER


def test_only_safetensors_are_loaded(make_session: MakeSession, adapter: Path, train: Train) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    folder = make_session(adapter=adapter)
    assert train(folder) == 1
    assert ended(folder).reason is EndReason.INPUT_MISMATCH
    assert "only safetensors are loaded" in ended(folder).message


def test_an_adapter_of_another_model_is_refused(make_session: MakeSession, adapter: Path, train: Train) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["q_proj"]}))
    folder = make_session(adapter=adapter)
    assert train(folder) == 1
    assert ended(folder).reason is EndReason.INPUT_MISMATCH
    assert "was trained on another base model" in ended(folder).message


def test_a_spec_that_is_wrong_names_the_field(make_session: MakeSession, train: Train) -> None:
    folder = make_session()
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"max_new_tokens": 99999}))
    assert train(folder) == 1
    assert ended(folder).reason is EndReason.INVALID_SPEC
    assert "max_new_tokens" in ended(folder).message
