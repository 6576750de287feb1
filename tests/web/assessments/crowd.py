"""Many people who answer the same questions of one assessment at the same time, over real HTTP.

Each answers every question once, and whoever is told that somebody was quicker looks at both answers and sends theirs
again: that is what the page offers. Afterwards `lost` compares what was sent with what is kept.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from playbook.library.definition import Checklist
from tests.library.kinds import checklist, outcome, question
from tests.waiting import DEADLINE_SECONDS

#: More attempts than people would be somebody who is never let in.
PATIENCE = 200


def wide_checklist(questions: int) -> Checklist:
    """A checklist that asks all its questions at once, so that nobody waits for anybody's answer."""
    names = [f"q{number}" for number in range(questions)]
    return checklist(
        [question(name) for name in names],
        [outcome("go", 'q0 == "yes"'), outcome("wait", 'q0 != "yes"', "wait")],
        slug="crowd",
    )


@dataclass
class Crowd:
    """What came of it: answers by status, seconds of each request, and what went wrong on the way."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    elapsed: float = 0.0


def answer_together(address: str, cookies: Sequence[str], assessment: int, questions: Sequence[str]) -> Crowd:
    """Let each of the people (by session cookie) answer each question once, all at the same time."""
    crowd, together = Crowd(), threading.Barrier(len(cookies))

    def answer_all(place: int) -> None:
        try:
            with httpx.Client(
                base_url=address, cookies={"sessionid": cookies[place]}, timeout=DEADLINE_SECONDS
            ) as client:
                page = _get(client, crowd, f"/decide/assessments/{assessment}/")
                together.wait(timeout=DEADLINE_SECONDS)
                for turn in range(len(questions)):
                    name = questions[(place + turn) % len(questions)]
                    _answer(client, crowd, assessment, name, page, comment=f"{place} on {name}")
        except (httpx.HTTPError, threading.BrokenBarrierError, ValueError) as error:
            crowd.errors.append(f"person {place}: {type(error).__name__} {error}")

    threads = [threading.Thread(target=answer_all, args=(place,)) for place in range(len(cookies))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    crowd.elapsed = time.perf_counter() - began
    return crowd


def expected(people: int, questions: Sequence[str]) -> set[tuple[str, str]]:
    """Return (question, comment) of every answer that the crowd sends."""
    return {(name, f"{place} on {name}") for place in range(people) for name in questions}


def _answer(client: httpx.Client, crowd: Crowd, assessment: int, name: str, page: str, *, comment: str) -> None:
    for _ in range(PATIENCE):
        began = time.perf_counter()
        response = client.post(
            f"/decide/assessments/{assessment}/answers/{name}/",
            data={"value": "no", "comment": comment, "seen_revision": _revision(page, name)},
            headers={"HX-Request": "true", "X-CSRFToken": client.cookies["csrftoken"]},
        )
        crowd.seconds.append(time.perf_counter() - began)
        crowd.statuses[response.status_code] += 1
        if response.status_code == 200:
            return
        if response.status_code != 409:
            raise ValueError(f"{name} answered {response.status_code}: {response.text[:300]}")
        page = response.text
    raise ValueError(f"{name} was refused {PATIENCE} times")


def _get(client: httpx.Client, crowd: Crowd, path: str) -> str:
    began = time.perf_counter()
    response = client.get(path)
    crowd.seconds.append(time.perf_counter() - began)
    crowd.statuses[response.status_code] += 1
    if response.status_code != 200:
        raise ValueError(f"{path} answered {response.status_code}: {response.text[:300]}")
    return response.text


def _revision(page: str, name: str) -> str:
    card = page.partition(f'id="{name}"')[2]
    found = re.search(r'name="seen_revision" value="(\d+)"', card)
    if found is None:
        raise ValueError(f"no form for {name} on the page")
    return found[1]
