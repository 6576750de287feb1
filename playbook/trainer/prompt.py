"""The one prompt builder: training, validation and evaluation all take their token ids from here.

The loss mask is ours: the prompt and the answer are tokenised apart, so the boundary is exact and the model is asked
in evaluation with the very ids it saw in training. Must not import torch.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from playbook.contracts.dataset import Example, Message
from playbook.contracts.states import EndReason
from playbook.trainer import bounds
from playbook.trainer.day import asks_for_the_day, told_the_day
from playbook.trainer.errors import RunError
from playbook.trainer.turns import Render, mend, place_of, shared, shows, texts_in, with_objects

#: An answer that stands for any.
_PROBE = "the answer to come"
#: Characters shown of two texts where they part.
_SHOWN = 40
#: The functions that a row offers the assistant, as OpenAI writes them.
Tools = tuple[dict[str, Any], ...] | None


@dataclass(frozen=True)
class Encoded:
    """Token ids of a row. `input_ids[:prompt_length]` is context, the rest is learned and ends the turn.

    `earlier`: (start, end) of what is learned inside the context too, the assistant's earlier turns. `whole`: nothing
    of the answers is left out by the chat template, as some do with what stands before </think>.
    """

    input_ids: tuple[int, ...]
    prompt_length: int
    earlier: tuple[tuple[int, int], ...] = ()
    whole: bool = True

    @property
    def learned(self) -> tuple[tuple[int, int], ...]:
        """Return (start, end) of every learned stretch, in order."""
        return (*self.earlier, (self.prompt_length, len(self.input_ids)))

    @property
    def supervised_tokens(self) -> int:
        return sum(end - start for start, end in self.learned)


@dataclass(frozen=True)
class _Place:
    """Where a turn stands in a text: from `begin`, what it says to `said`, its end before `limit`. `alone`: nothing but
    the turn lies there, for it is written as if no other followed."""

    begin: int
    said: int
    limit: int
    alone: bool


@dataclass(frozen=True)
class _Turn:
    """(start, end) of the tokens of a turn, and whether all of its answer is shown."""

    tokens: tuple[int, int]
    whole: bool


class PromptBuilder:
    """Renders messages with the base model's chat template and tokenises them without adding special tokens."""

    def __init__(self, tokenizer: Any, *, end_ids: frozenset[int]) -> None:
        """`end_ids`: the tokens that end a turn (the tokenizer's eos and those of the generation configuration).

        Raises RunError(base_model_unreadable) when there is no chat template or no end-of-turn token.
        """
        if not getattr(tokenizer, "chat_template", None):
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                "The base model has no chat template, so messages cannot be shown to it; choose an instruct model.",
            )
        if not end_ids:
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                "The tokenizer names no eos token, so the model could never learn to stop; set eos_token.",
            )
        self._tokenizer = tokenizer
        self._end_ids = end_ids

    @property
    def asks_for_the_day(self) -> bool:
        """Whether the template prints today's date; it is then told `DAY`."""
        return asks_for_the_day(self._tokenizer.chat_template)

    @property
    def end_ids(self) -> frozenset[int]:
        return self._end_ids

    def prompt_ids(self, messages: Sequence[Message], *, where: str, tools: Tools = None) -> tuple[int, ...]:
        """Return the ids of a conversation that ends with the header of the answer to come.

        `where` names the row in messages, `tools` are those the row offers. Raises RunError(invalid_dataset) when the
        template refuses the roles.
        """
        return self._prompt_ids(self._asked(messages, where=where, tools=tools), where=where)

    def _prompt_ids(self, text: str, *, where: str) -> tuple[int, ...]:
        ids = self.ids(text)
        bos = self._tokenizer.bos_token_id
        if bos is not None and ids[:2] == (bos, bos):
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"{where}: the chat template writes the begin token {self._tokenizer.bos_token!r} twice; "
                "correct chat_template.jinja of the base model.",
            )
        return ids

    def encode(self, example: Example, *, where: str) -> Encoded:
        """Return the ids of a training row; the last one is the end-of-turn token.

        Learned are the answer and every earlier assistant message whose weight is not 0.

        Raises RunError: invalid_dataset (the template refuses the roles), base_model_unreadable (the template shows a
        prompt or an earlier answer differently once more follows), nothing_to_learn (it leaves the answer out).
        """
        before = self._asked(example.prompt, where=where, tools=example.tools)
        prompt = self._prompt_ids(before, where=where)
        said = self._answer(example, before, where=where)
        answer = self._up_to_end_of_turn(self.ids(said))
        if len(answer) < 2:
            raise RunError(
                EndReason.NOTHING_TO_LEARN,
                f"{where}: the chat template leaves no token of the answer {example.answer!r}; write a longer answer.",
            )
        turns = self._earlier_turns(example, before, prompt, where=where)
        return Encoded(
            input_ids=prompt + answer,
            prompt_length=len(prompt),
            earlier=tuple(turn.tokens for turn in turns),
            whole=shows(said, example.answer) and all(turn.whole for turn in turns),
        )

    @cached_property
    def _around_an_answer(self) -> tuple[str, str]:
        """What the template writes between a prompt and an answer, and after it."""
        probe = (Message(role="user", content="-"), Message(role="assistant", content=_PROBE))
        try:
            asked = self._render(probe[:1], add_generation_prompt=True, where=_PROBE)
            full = self._render(probe, add_generation_prompt=False, where=_PROBE)
        except RunError:
            return "", ""  # a template that wants other roles first; the rows will tell
        beginning, _, rest = full.partition(_PROBE)
        return beginning.removeprefix(asked) if rest and beginning.startswith(asked) else "", rest

    @property
    def opening(self) -> str:
        """What the template writes between a prompt and every answer: the header of the turn where it does not write
        that when asked to, or an empty reasoning. Learned with the answer unless it is a header, so no part of it."""
        return self._around_an_answer[0]

    @property
    def other_end(self) -> str:
        """What the template ends an answer with, where no token of it ends a turn of this model; "" where one does."""
        rest = self._around_an_answer[1]
        return "" if self._end_ids.intersection(self.ids(rest)) else rest.strip()

    @property
    def learned_opening(self) -> str:
        """What of `opening` is learned and no white space: an empty reasoning (Qwen3)."""
        return "" if self._header or not self.opening.strip() else self.opening

    @cached_property
    def _header(self) -> str:
        """What a prompt must end with and a template leaves out that knows no add_generation_prompt."""
        if not self.opening.strip():
            return ""
        said = [
            self._render((Message(role="user", content="-"),), add_generation_prompt=asks, where=_PROBE)
            for asks in (True, False)
        ]
        return self.opening if said[0] == said[1] else ""

    def _asked(self, messages: Sequence[Message], *, where: str, tools: Tools = None) -> str:
        """Return the text of a prompt, up to where the answer begins."""
        if not messages:
            return self._before_an_answer_alone(where=where, tools=tools)
        return self._render(messages, add_generation_prompt=True, where=where, tools=tools) + self._header

    def _before_an_answer_alone(self, *, where: str, tools: Tools) -> str:
        """Return what the template writes before an answer that nothing precedes, as in rows of plain text: no
        conversation is no prompt that it could be asked for."""
        probe = (Message(role="assistant", content=_PROBE),)
        full = self._render(probe, add_generation_prompt=False, where=where, tools=tools)
        before = full.partition(_PROBE)[0].removesuffix(self.learned_opening)
        if not before:
            raise RunError(EndReason.INVALID_DATASET, f"{where}: nothing precedes the answer; give the row a prompt.")
        return before

    def special_in(self, example: Example) -> str | None:
        """Return the first special token that a row holds as text, which is read as that token: in what is said, called
        and answered, and in the tools that it offers."""
        for message in example.messages:
            has_more = message.tool_calls or message.name or message.tool_call_id
            said = texts_in(with_objects(message.model_dump())) if has_more else (message.content,)
            if (found := self.special_among(said)) is not None:
                return found
        return self.special_among(texts_in(example.tools))

    def special_among(self, texts: Iterable[str]) -> str | None:
        """Return the first special token that one of these texts holds."""
        found = map(self._special.search, texts)
        return next((match.group() for match in found if match), None)

    @cached_property
    def _special(self) -> re.Pattern[str]:
        added = [str(token) for token in self._tokenizer.added_tokens_decoder.values() if token.special]
        names = {*added, *self._tokenizer.all_special_tokens, *map(self.text_of, self._end_ids)}
        # The longest first: one may begin with another. Of white space alone rows are full. None at all match nothing.
        return re.compile("|".join(map(re.escape, sorted(filter(str.strip, names), key=len, reverse=True))) or r"(?!)")

    def text_of(self, token: int) -> str:
        """Return one token as text, special ones by name."""
        return str(self._tokenizer.decode([token]))

    def without_tail(self, text: str, tokens: int) -> str:
        """Return `text` without its last `tokens` tokens; empty when it has no more than that. Always shorter: half of
        a character that a cut would leave, and its stand-in may take more tokens than it took, is left out too."""
        ids = self.ids(text)
        shorter = str(self._tokenizer.decode(ids[:-tokens])).rstrip("\ufffd") if tokens < len(ids) else ""
        return shorter if len(shorter) < len(text) else text[:-1]

    def _answer(self, example: Example, before: str, *, where: str) -> str:
        """Return what the template writes of the answer after the prompt `before`, to the end of its text."""
        render = partial(self._render, add_generation_prompt=False, where=where, tools=example.tools)
        full = render(example.messages)
        if full.startswith(before):
            return full[len(before) :]
        # Some show the system message with the last turn, and only if that is the user's (Mistral 7B v0.3). The answer
        # is put behind the prompt that evaluation asks with, if the same header leads to it.
        place = self._place(render, example.messages, len(example.prompt), full)
        asked = example.prompt[-1].content.strip() if example.prompt else ""
        if place is not None and asked and asked in before:
            begin = place[0]
            if full[:begin].rpartition(asked)[2] == before.rpartition(asked)[2]:
                return full[begin:]
        same = shared(before, full)
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"{where}: the chat template renders the prompt differently once an answer follows "
            f"({before[same : same + _SHOWN]!r} becomes {full[same : same + _SHOWN]!r}), so training and evaluation "
            "would not match. Correct its chat_template.jinja, or choose a base model with a plain template.",
        )

    def _earlier_turns(self, example: Example, before: str, prompt: tuple[int, ...], *, where: str) -> list[_Turn]:
        """Return the assistant's earlier turns that are to be learned, as they stand in `prompt`, each with its end.

        The ids are those of the whole prompt, as evaluation asks it; a token that reaches over a border is not learned.
        """
        turns = [at for at, said in enumerate(example.prompt) if said.role == "assistant" and said.weight in (None, 1)]
        if not turns:
            return []
        offsets = self._offsets(before, where=where)
        found = []
        for at in turns:
            place = self._turn(example, at, before, where=where)
            inside = [n for n, (first, last) in enumerate(offsets) if place.begin <= first < last <= place.limit]
            ends = [n for n in inside if prompt[n] in self._end_ids and offsets[n][0] >= place.said]
            if not (ends or place.alone):
                raise _unlike(where, at)
            if inside:
                # What the template writes after the end of the turn is nobody's to say.
                stop = ends[-1 if place.alone else 0] if ends else inside[-1]
                shown = before[place.begin : offsets[stop][1]]
                found.append(_Turn((inside[0], stop + 1), whole=shows(shown, example.messages[at].content)))
        return found

    def _turn(self, example: Example, at: int, before: str, *, where: str) -> _Place:
        """Return where in the text `before` turn `at` stands.

        Many templates write a turn in another way when more follow: they leave out what was thought, or the empty place
        for thoughts. It is learned as it stands there, for that is what the model is asked with.
        """
        asked = partial(self._asked, where=where, tools=example.tools)
        # Nothing stands before an assistant that speaks first, and no template renders nothing.
        header = asked(example.messages[:at]) if at else ""
        turn = self._render(example.messages[: at + 1], add_generation_prompt=False, where=where, tools=example.tools)
        if at and before.startswith(turn) and turn.startswith(header):
            return _Place(len(header), len(header), len(turn), alone=True)
        place = self._place(asked, example.prompt, at, before)
        more = at + 1 < len(example.prompt)
        follows = self._place(asked, example.prompt, at + 1, before) if more else (len(before), len(before))
        if place is None or follows is None:
            raise _unlike(where, at)
        begin, said = place
        return _Place(len(header) if at and before.startswith(header) else begin, said, follows[0], alone=False)

    def _place(self, render: Render, messages: Sequence[Message], at: int, text: str) -> tuple[int, int] | None:
        """Return where what message `at` says begins in `text` and where it is over, as `place_of`; what the template
        writes before every answer is said with it, unless it is a header."""
        place = place_of(render, messages, at, text)
        if place is None or messages[at].role != "assistant" or self._header:
            return place
        begin, over = place
        return begin - len(self.opening) * text[:begin].endswith(self.opening), over

    def _offsets(self, text: str, *, where: str) -> list[tuple[int, int]]:
        if not self._tokenizer.is_fast:
            raise RunError(
                EndReason.INVALID_DATASET,
                f"{where}: this base model's tokenizer does not say where a token begins, so earlier answers cannot be "
                "learned; give all assistant messages but the last weight 0.",
            )
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [tuple(pair) for pair in encoding["offset_mapping"]]

    def _up_to_end_of_turn(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        ends = [at for at, token in enumerate(ids) if token in self._end_ids]
        if ends:
            # Templates write a line break after the end of the turn, and the end of the text after that (Phi-3). Nobody
            # will ever generate those.
            stop = ends.pop()
            while ends and not self._tokenizer.decode(ids[ends[-1] + 1 : stop]).strip():
                stop = ends.pop()
            return ids[: stop + 1]
        return (*ids, self._tokenizer.eos_token_id if self._tokenizer.eos_token_id is not None else min(self._end_ids))

    def _render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool, where: str, tools: Tools = None
    ) -> str:
        # jinja2 comes with transformers; its import is deferred until a template is really rendered.
        from jinja2 import TemplateError, TemplateSyntaxError
        from jinja2.exceptions import SecurityError

        try:
            with bounds.bounded():
                text = self._apply(messages, tools, add_generation_prompt=add_generation_prompt)
        except bounds.EndlessError as error:
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"{where}: the base model's chat template came to no end within {bounds.SECONDS:g} s of the processor. "
                "Correct its chat_template.jinja, or choose another base model.",
            ) from error
        except TemplateSyntaxError as error:
            line = error.lineno - (1 if self.asks_for_the_day else 0)
            raise RunError(
                EndReason.BASE_MODEL_UNREADABLE,
                f"The chat template of the base model cannot be read (line {line}: {error.message}). Fetch the base "
                "model again.",
            ) from error
        except Exception as error:
            if not isinstance(error, TemplateError) or isinstance(error, SecurityError):
                # A template is a program of its own: it may do anything but what it should.
                raise RunError(
                    EndReason.BASE_MODEL_UNREADABLE,
                    f"{where}: the base model's chat template fails ({type(error).__name__}: {error}). Correct its "
                    "chat_template.jinja, or choose another base model.",
                ) from error
            roles = [message.role for message in messages]
            raise RunError(
                EndReason.INVALID_DATASET,
                f"{where}: the base model's chat template refuses roles {roles} ({error}); {mend(roles)}.",
            ) from error
        if len(text) > bounds.MOST_OF_ITS_OWN:
            given = len(str([message.model_dump() for message in messages])) + len(str(tools))
            bounds.require_proportion(len(text), given, where=where)
        return text

    def _apply(self, messages: Sequence[Message], tools: Tools, *, add_generation_prompt: bool) -> str:
        """Apply the template as it stands. What functions are called with is text in OpenAI's rows; templates are
        written for objects, but for some that put texts together."""
        offered = None if tools is None else list(tools)
        template = self._tokenizer.get_chat_template(tools=offered)
        apply = partial(
            self._tokenizer.apply_chat_template,
            chat_template=told_the_day(template) if asks_for_the_day(template) else template,
            tools=offered,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
        written = [message.model_dump(exclude={"weight"}) for message in messages]
        calls = any(message.tool_calls for message in messages)
        try:
            return str(apply([with_objects(message) for message in written] if calls else written))
        except TypeError:
            if not calls:
                raise
        return str(apply(written))

    def ids(self, text: str) -> tuple[int, ...]:
        """Return the tokens of plain text, without a chat template or special tokens."""
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)


def _unlike(where: str, at: int) -> RunError:
    return RunError(
        EndReason.BASE_MODEL_UNREADABLE,
        f"{where}, messages[{at}]: the chat template renders an earlier answer differently once more turns follow, and "
        "shows no end of it there, so it cannot be learned where it stands; give that message weight 0.",
    )
