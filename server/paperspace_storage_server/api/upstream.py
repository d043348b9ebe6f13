"""The team's API beyond one call: the pool, the dialect once it is known, and what was created through it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http, Sleep
from paperspace_storage_server.wire.messages import Codec, Dialect
from paperspace_storage_tools.errors import TimedOut

DialectSetting: TypeAlias = Literal["auto", "published", "live"]

DIALECTS: tuple[Dialect, ...] = ("published", "live")
_MOST_REMEMBERED = 2000


@cache
def codec_of(dialect: Dialect) -> Codec:
    """The codec, imported when it is first spoken: its models take a start-up's time to build."""
    if dialect == "live":
        from paperspace_storage_server.wire.live import Live

        return Live()
    from paperspace_storage_server.wire.published import Published

    return Published()


@dataclass(slots=True)
class _Turn:
    """The lock of the creations of one kind and name, and how many hold it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@asynccontextmanager
async def held(lock: asyncio.Lock, budget: Budget) -> AsyncGenerator[None]:
    """The lock, waited for no longer than the budget lasts."""
    try:
        async with asyncio.timeout(budget.left()):
            await lock.acquire()
    except TimeoutError:
        raise TimedOut(budget.spent(), 0) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(slots=True)
class Upstream:
    """The team's API beyond one call: the pool, the dialect once it is known, and what was created through it."""

    http: Http
    dialect: DialectSetting = "auto"
    sleep: Sleep = asyncio.sleep
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    created: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    creating: dict[tuple[str, str], _Turn] = field(default_factory=dict[tuple[str, str], _Turn])

    @property
    def codec(self) -> Codec | None:
        return None if self.dialect == "auto" else codec_of(self.dialect)

    def remember_created(self, id: str) -> None:
        self.created[id] = None
        while len(self.created) > _MOST_REMEMBERED:
            self.created.popitem(last=False)

    @asynccontextmanager
    async def one_at_a_time(self, kind: str, name: str, budget: Budget) -> AsyncGenerator[None]:
        """Creations of one kind and name follow each other: else two lost answers could claim one resource.

        Raises:
            TimedOut: the turn did not come within the budget.
        """
        key = (kind, name)
        turn = self.creating.setdefault(key, _Turn())
        turn.users += 1  # those who wait count too: a lock that is dropped under them would let a third one in
        try:
            async with held(turn.lock, budget):
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                self.creating.pop(key, None)
