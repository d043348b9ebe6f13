"""What calls share: the dialect, the thread for long answers, and an end that leaves nothing undone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import cast

import pytest

from paperspace_storage_server.api.perform import Performing
from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.wire.messages import Answer, Decoded, Operation, Request
from paperspace_storage_server.wire.parts import LARGEST_WHOLE
from paperspace_storage_tools.errors import Malformed, StoreUnavailable, TimedOut, Unsupported
from paperspace_storage_tools.ports import PlaceQuery

pytestmark = pytest.mark.anyio


@dataclass(slots=True)
class Api:
    """An API that gives one answer, when it is told to; `steps` is what happened, in order."""

    body: bytes = b"[]"
    status: int = 200
    go: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[str] = field(default_factory=list[str])

    async def send(self, request: Request, budget: Budget, *, when_left: object = None) -> Answer:
        del budget, when_left
        self.steps.append(f"{request.method} {request.path}")
        await self.go.wait()
        return Answer(self.status, "application/json", self.body)

    async def aclose(self) -> None:
        self.steps.append("connections closed")


@dataclass(slots=True)
class Closing(MemoryStore):
    """A store that says when it is closed."""

    steps: list[str]

    def __post_init__(self) -> None:
        MemoryStore.__init__(self)

    async def aclose(self) -> None:
        self.steps.append("store closed")


def performing(upstream: Upstream, budget: float) -> Performing:
    return Performing(upstream, Budget.of(budget), lambda _: None, lambda _: None, Hygiene(Vault()))


async def test_of_two_that_need_the_dialect_one_asks_and_the_other_waits_no_longer_than_its_budget() -> None:
    api = Api()
    upstream = Upstream(cast(Http, api))
    first = asyncio.ensure_future(performing(upstream, 50.0).codec())
    await asyncio.sleep(0)
    patient = asyncio.ensure_future(performing(upstream, 50.0).codec())
    with pytest.raises(TimedOut) as caught:
        await performing(upstream, 0.02).codec()
    assert (caught.value.tries, caught.value.changed) == (0, "nothing")
    api.go.set()
    assert await first is await patient is upstream.codec
    assert (upstream.dialect, api.steps) == ("published", ["GET /snapshots"])


async def test_an_answer_that_either_dialect_could_give_settles_none() -> None:
    api = Api(b'{"id":"sd1","name":"data"}')
    api.go.set()
    upstream = Upstream(cast(Http, api))
    drive = await performing(upstream, 50.0).perform(lambda codec: codec.get_drive("sd1"))
    assert (drive.id, upstream.dialect, api.steps) == ("sd1", "auto", ["GET /shared-drives/sd1"])


async def test_what_one_dialect_lacks_is_refused_as_soon_as_it_is_known_which_one_is_spoken() -> None:
    api = Api()
    api.go.set()
    upstream = Upstream(cast(Http, api))
    with pytest.raises(Unsupported):
        await performing(upstream, 50.0).perform(lambda codec: codec.list_machines(PlaceQuery()))
    assert (upstream.dialect, api.steps) == ("published", ["GET /snapshots"])


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (200, "it does not show which dialect the API speaks"),
        (299, "it does not show which dialect the API speaks"),
        (300, "status 300 was not expected"),
        (404, "it is a 404 that is not the API's own, as a gateway gives it"),
    ],
)
async def test_an_answer_that_does_not_show_the_dialect_is_told_from_one_with_a_status_that_says_why(
    status: int, what: str
) -> None:
    api = Api(b'{"hello":"world"}', status)
    api.go.set()
    with pytest.raises(Malformed) as caught:
        await performing(Upstream(cast(Http, api)), 50.0).codec()
    assert caught.value.what == what


@pytest.mark.parametrize(("length", "beside"), [(0, False), (LARGEST_WHOLE, False), (LARGEST_WHOLE + 1, True)])
async def test_a_long_answer_is_read_in_a_thread_so_that_it_holds_up_nobody(length: int, beside: bool) -> None:
    def read(answer: Answer) -> Decoded[tuple[int, bool]]:
        return Decoded((len(answer.body), threading.current_thread() is not threading.main_thread()))

    api = Api(b" " * length)
    api.go.set()
    made = performing(Upstream(cast(Http, api), "live"), 50.0).perform(lambda _: Operation(Request("GET", "/x"), read))
    assert await made == (length, beside)


async def test_long_answers_of_all_teams_are_read_one_after_the_other() -> None:
    both = threading.Barrier(2)

    def read(answer: Answer) -> Decoded[str]:
        try:
            both.wait(0.05)
        except threading.BrokenBarrierError:
            return Decoded("alone")
        return Decoded("together")

    api = Api(b" " * (LARGEST_WHOLE + 1))
    api.go.set()
    calls = [performing(Upstream(cast(Http, api), "live"), 50.0) for _ in range(2)]
    read_both = (call.perform(lambda _: Operation(Request("GET", "/x"), read)) for call in calls)
    assert await asyncio.gather(*read_both) == ["alone", "alone"]


@pytest.mark.parametrize("keeps_store", [False, True])
async def test_closing_waits_for_what_was_left_to_end_though_some_of_it_fails(keeps_store: bool) -> None:
    api = Api()
    upstream = Upstream(cast(Http, api), store=Closing(api.steps))
    if keeps_store:
        upstream.keeps_store = True

    async def fails() -> None:
        raise StoreUnavailable("away")

    async def goes_on() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        api.steps.append("what was left has ended")

    upstream.later(fails())
    upstream.later(goes_on())
    await upstream.aclose()
    assert api.steps == [
        "connections closed",
        "what was left has ended",
        *([] if keeps_store else ["store closed"]),  # others use it, too
    ]
    assert upstream.unfinished == set()
