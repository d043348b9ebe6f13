"""What calls of one team share: the dialect is asked for once, and closing leaves nothing undone."""

from __future__ import annotations

import asyncio
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
from paperspace_storage_server.wire.messages import Answer, Request
from paperspace_storage_tools.errors import StoreUnavailable, TimedOut

pytestmark = pytest.mark.anyio


@dataclass(slots=True)
class Api:
    """An API that answers when it is told to; `steps` is what happened, in order."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[str] = field(default_factory=list[str])

    async def send(self, request: Request, budget: Budget) -> Answer:
        del budget
        self.steps.append(f"{request.method} {request.path}")
        await self.go.wait()
        return Answer(200, "application/json", b"[]")

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


@pytest.mark.parametrize("keeps_store", [False, True])
async def test_closing_waits_for_what_was_left_to_end_though_some_of_it_fails(keeps_store: bool) -> None:
    api = Api()
    upstream = Upstream(cast(Http, api), store=Closing(api.steps), keeps_store=keeps_store)

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
