"""The team's API beyond one call: the pool, the dialect once it is known, and what was created through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http, Sleep
from paperspace_storage_server.state.creations import Creation, Creations
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.store import Store
from paperspace_storage_server.state.turns import TurnNotHad
from paperspace_storage_server.wire.messages import Codec, Dialect, DialectSetting
from paperspace_storage_tools.errors import TimedOut

DIALECTS: tuple[Dialect, ...] = ("published", "live")


@cache
def codec_of(dialect: Dialect) -> Codec:
    """The codec, imported when it is first spoken: its models take a start-up's time to build."""
    match dialect:
        case "live":
            from paperspace_storage_server.wire.live import Live

            return Live()
        case "published":
            from paperspace_storage_server.wire.published import Published

            return Published()


@asynccontextmanager
async def held(lock: asyncio.Lock, budget: Budget) -> AsyncGenerator[None]:
    """The lock, waited for no longer than the budget lasts."""
    try:
        async with asyncio.timeout(budget.left()):
            await lock.acquire()
    except TimeoutError:
        raise TimedOut(budget.spent()) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(slots=True)
class Upstream:
    """The team's API beyond one call: the way to it, the dialect once it is known, what its creations share.

    `store` and `team` are what creations are counted in and under; `now` is the wall clock, in seconds. A store that
    other teams use too is not closed here (`keeps_store`).
    """

    http: Http
    dialect: DialectSetting = "auto"
    sleep: Sleep = asyncio.sleep
    store: Store = field(default_factory=MemoryStore)
    team: str = ""
    now: Callable[[], float] = time.time
    team_name: str | None = None
    """What people know the team by; None as long as the API has not said it, empty where it does not say it."""
    unfinished: set[asyncio.Future[None]] = field(default_factory=set["asyncio.Future[None]"])
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    keeps_store: bool = False

    def later(self, work: Coroutine[None, None, None]) -> None:
        """What nobody waits for, and what is done before all is closed."""
        task = asyncio.ensure_future(work)
        self.unfinished.add(task)
        task.add_done_callback(self.unfinished.discard)

    async def aclose(self) -> None:
        await self.http.aclose()
        await asyncio.gather(*self.unfinished, return_exceptions=True)
        if not self.keeps_store:
            await self.store.aclose()

    @property
    def codec(self) -> Codec | None:
        match self.dialect:
            case "auto":
                return None
            case dialect:
                return codec_of(dialect)

    @asynccontextmanager
    async def turn_to_create(self, kind: str, name: str, budget: Budget) -> AsyncGenerator[Creation]:
        """Creations of one kind and name follow each other, over all processes that share the store: else two lost
        answers could claim one resource.

        Raises:
            TimedOut: the turn did not come within the budget.
            StoreUnavailable: nobody can say whose turn it is.
        """
        try:
            async with Creations(self.store, self.team).one_at_a_time(kind, name, budget.left()) as creation:
                yield creation
        except TurnNotHad:
            raise TimedOut(budget.spent()) from None
