"""A playground session: the model stays loaded and answers turns, by the base and by the adapter, until it ends.

Asks through `Asker` and `PromptBuilder` like training and evaluation, and generates with the same `tokens_of`. The
import of this module brings torch and peft.
"""

import json
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from pydantic import ValidationError
from safetensors.torch import load_file

from playbook.contracts.asking import Asker, few_shot_messages
from playbook.contracts.dataset import Example, Message
from playbook.contracts.events import Said
from playbook.contracts.playground import ChatTurn, PlaygroundSpec, Side
from playbook.contracts.prompting import RetrievalSettings
from playbook.contracts.states import EndReason
from playbook.trainer.artifacts import ADAPTER_FILE
from playbook.trainer.decode import attend_in_groups
from playbook.trainer.emit import Emitter
from playbook.trainer.errors import IN_ANSWERING, RunError, ending_of, is_out_of_memory
from playbook.trainer.folder import RunFolder
from playbook.trainer.generate import Generator, generated, tokens_of
from playbook.trainer.model import (
    allow_hub,
    choose_attention,
    choose_device,
    load_base,
    load_tokenizer,
    read_limits,
    resolve,
)
from playbook.trainer.number_format import faster_dtype
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.stop import Stop

#: New turns are looked for, and pieces of an answer written, at most this often.
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_PIECES = 0.2


@dataclass(frozen=True)
class Session:
    """A loaded session. `model`: inside a PeftModel when the spec names an adapter."""

    spec: PlaygroundSpec
    emitter: Emitter
    generator: Generator
    builder: PromptBuilder
    context_length: int

    def answer(self, turn: ChatTurn, *, is_stopped: Callable[[], bool]) -> None:
        """Answer a turn by each side, in pieces. What cannot be answered is said so, and the session goes on.

        The sides take turns token by token, so that both answers grow at once; each has a cache of its own, so neither
        says anything else than it would alone. Once `is_stopped` they end with what was said.
        """
        speaking: dict[Side, tuple[_Voice, Iterator[tuple[int, int]]]] = {}
        for side in self.spec.sides:
            if side not in turn.chats:
                continue
            voice = _Voice(self, turn.number, side)
            try:
                speaking[side] = voice, tokens_of(self.generator, [self._prompt(turn.chats[side])])
            except RunError as error:
                voice.fail(error.message)
        with torch.inference_mode():
            while speaking:
                if is_stopped():
                    for voice, _ in speaking.values():
                        voice.finish(stopped=True)
                    return
                for side, (voice, tokens) in list(speaking.items()):
                    if not self._goes_on(side, voice, tokens):
                        del speaking[side]

    def _goes_on(self, side: Side, voice: "_Voice", tokens: Iterator[tuple[int, int]]) -> bool:
        """Make the next token of one side; return False when its answer is over."""
        try:
            with self._speaking(side), voice.counting():
                found = next(tokens, None)
        except RunError:
            raise  # cancelled, or the lease is lost
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            voice.fail(ending_of(error, less_memory=IN_ANSWERING).message)
            return False
        if found is None:
            voice.finish()
            return False
        voice.hear(found[1])
        return True

    def _prompt(self, chat: Sequence[Message]) -> tuple[int, ...]:
        asker = Asker(self.spec.prompt, RetrievalSettings())
        # The answer is what is to come; an empty one stands in its place.
        asked = asker.asked(Example(messages=(*chat, Message(role="assistant", content=""))))
        shots = [asker.written(shot) for shot in self.spec.prompt.examples]
        messages = few_shot_messages(shots, asked) if shots else asked.prompt
        ids = self.builder.prompt_ids(messages, where="this turn")
        room = self.context_length - self.spec.max_new_tokens
        if len(ids) > room:
            raise RunError(
                EndReason.ROW_TOO_LONG,
                f"What was said has {len(ids)} tokens; the model's context of {self.context_length} leaves {room} "
                f"beside an answer of {self.spec.max_new_tokens}. Start a new session, or write less.",
            )
        return ids

    def _speaking(self, side: Side) -> Any:
        if self.spec.adapter is None or side is Side.TUNED:
            return nullcontext()
        return self.generator.model.disable_adapter()


class _Voice:
    """One side's answer to one turn, written piece by piece."""

    def __init__(self, session: Session, turn: int, side: Side) -> None:
        self._session = session
        self._turn, self._side = turn, side
        self._ids: list[int] = []
        self._written = ""
        self._wrote_at = float("-inf")
        self._seconds = 0.0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the time within as this side's own: the other's tokens come between."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - start

    def hear(self, token: int) -> None:
        self._ids.append(token)
        if time.monotonic() - self._wrote_at < _SECONDS_BETWEEN_PIECES:
            return
        text = str(self._session.generator.tokenizer.decode(self._ids, skip_special_tokens=True)).lstrip()
        # The end may be half a character, and blanks there may turn out to be the last of the answer.
        text = text.rstrip("\N{REPLACEMENT CHARACTER}").rstrip()
        if len(text) > len(self._written):
            self._write(text)

    def finish(self, *, stopped: bool = False) -> None:
        said = generated(self._session.generator, self._ids, self._seconds)
        ended = stopped and not said.natural_stop
        self._write(said.text, done=True, natural_stop=said.natural_stop, stopped=ended)

    def fail(self, problem: str) -> None:
        self._write(self._written, done=True, natural_stop=False, error=problem[:2000])

    def _write(
        self,
        text: str,
        *,
        done: bool = False,
        natural_stop: bool = True,
        error: str | None = None,
        stopped: bool = False,
    ) -> None:
        same = len(self._written) if text.startswith(self._written) else 0
        self._session.emitter.said(
            Said(
                at=datetime.now(UTC),
                turn=self._turn,
                side=self._side,
                at_character=same,
                text=text[same:],
                tokens=len(self._ids),
                done=done,
                natural_stop=natural_stop,
                error=error,
                seconds=round(self._seconds, 3) if done else None,
                stopped=stopped,
            )
        )
        self._written = text
        self._wrote_at = time.monotonic()


def read_session(folder: RunFolder) -> PlaygroundSpec:
    """Return the spec of a playground session. Raises RunError(invalid_spec)."""
    try:
        return PlaygroundSpec.model_validate_json(folder.spec.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        raise RunError(
            EndReason.INVALID_SPEC, f"spec.json: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        ) from error


def serve(folder: RunFolder, emitter: Emitter, stop: Stop, *, models_dir: Path, process_start: float) -> str:
    """Load the model, answer turns until the session is closed, idle or over, and return why it ended.

    Raises RunError: what loading raises, invalid_spec, and cancelled_by_user or lease_lost between two tokens.
    """
    spec = read_session(folder)
    session = _load(spec, folder, emitter, stop, models_dir=models_dir)
    emitter.ready(seconds=time.monotonic() - process_start)
    start = heard = time.monotonic()
    answered = 0
    feed = _Feed(folder.turns)
    for turn in feed:
        stop.check()
        now = time.monotonic()
        if turn is not None:
            session.answer(turn, is_stopped=partial(feed.is_stopped, turn.number))
            answered += 1
            heard = time.monotonic()
        elif now - heard > spec.idle_seconds:
            return f"Nobody wrote for {spec.idle_seconds} seconds; {_number(answered)}."
        else:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if time.monotonic() - start > spec.max_seconds:
            break
    else:
        return f"The session was closed; {_number(answered)}."
    return f"The session lasted {spec.max_seconds} seconds, as long as one may; {_number(answered)}."


class _Feed:
    """`turns.jsonl` as it grows: turns, stops, and the end of the session."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._looked_at = float("-inf")
        self._turns: deque[ChatTurn] = deque()
        self._stopped: set[int] = set()
        self._is_closed = False

    def __iter__(self) -> Iterator[ChatTurn | None]:
        """Yield each turn as it comes, None whenever there is none yet; end when all before the close are answered."""
        while True:
            self._look()
            if self._turns:
                yield self._turns.popleft()
            elif self._is_closed:
                return
            else:
                yield None

    def is_stopped(self, number: int) -> bool:
        """Whether somebody ended the answer to this turn. Looks at the file now and then."""
        if time.monotonic() - self._looked_at >= _SECONDS_BETWEEN_LOOKS:
            self._look()
        return number in self._stopped

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        if self._is_closed or not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        for line in data.split(b"\n")[:-1]:  # what follows the last newline is not written in full yet
            self._offset += len(line) + 1
            said = json.loads(line)
            if said.get("closed"):
                self._is_closed = True
                return
            if "stop" in said:
                self._stopped.add(said["stop"])
            else:
                self._turns.append(ChatTurn.model_validate_json(line))


def _load(spec: PlaygroundSpec, folder: RunFolder, emitter: Emitter, stop: Stop, *, models_dir: Path) -> Session:
    source = resolve(spec.base_model, models_dir)
    allow_hub(source)
    tokenizer = load_tokenizer(source)
    context_length, end_ids = read_limits(source, tokenizer)
    device = choose_device()
    dtype = faster_dtype(device)
    attention = choose_attention(device, longest=context_length, compute_dtype=dtype)
    model = load_base(source, device=device, dtype=dtype, attention=attention)
    stop.check()
    if spec.adapter is not None:
        model = with_adapter(model, folder.input_adapter, device=device)
    attend_in_groups(model)
    generator = Generator(
        model=model.eval(),
        tokenizer=tokenizer,
        device=device,
        end_ids=end_ids,
        max_new_tokens=spec.max_new_tokens,
        batch_size=1,
        stop=stop,
    )
    return Session(spec, emitter, generator, PromptBuilder(tokenizer, end_ids=end_ids), context_length)


def with_adapter(base: Any, folder: Path, *, device: torch.device) -> PeftModel:
    """Return `base` with the adapter in `folder`, from safetensors alone. Raises RunError(input_mismatch)."""
    weights = folder / ADAPTER_FILE
    if not weights.is_file():
        raise RunError(EndReason.INPUT_MISMATCH, f"The adapter has no {ADAPTER_FILE}; only safetensors are loaded.")
    try:
        config = LoraConfig.from_pretrained(str(folder))
        # By its digest the site knows whose adapter this is; the name in it is that of the worker that trained it.
        config.base_model_name_or_path = None
        with warnings.catch_warnings():
            # peft asks transformers for a name that transformers has just deprecated; nothing a reader can act on.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            model = get_peft_model(base, config)
        result = set_peft_model_state_dict(model, load_file(weights, device=str(device)))
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise RunError(EndReason.INPUT_MISMATCH, f"The adapter does not fit the base model: {error}") from error
    if result.unexpected_keys:
        raise RunError(
            EndReason.INPUT_MISMATCH,
            f"The adapter holds {len(result.unexpected_keys)} tensors that the base model has no place for, first "
            f"{result.unexpected_keys[0]!r}: it was trained on another base model.",
        )
    return model


def _number(answered: int) -> str:
    return f"{answered} turn{'' if answered == 1 else 's'} answered"
