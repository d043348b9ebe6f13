"""Taking turns across processes: a lease under a name, which ends by itself where its holder has died."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from paperspace_storage_server.state.store import Store
from paperspace_storage_tools.errors import StoreUnavailable

Sleep = Callable[[float], Awaitable[None]]

LEASE = 15.0
"""Seconds after which the turn of a process that died, or that cannot reach the store, is another's."""
_LOOK_FIRST, _LOOK_LAST = 0.05, 0.5  # seconds between two looks


class TurnNotHad(Exception):
    """The turn did not come in time: another holder has it."""


class Turn:
    """A turn that is held. Held by lease, it can be lost; `keep` is for the moment before what must not overlap."""

    def __init__(self, store: Store, key: str, lease: float) -> None:
        self._store = store
        self._key = key
        self._mine = secrets.token_hex(8)
        self._lease = lease

    async def take(self) -> bool:
        """Whether it is had now."""
        return await self._store.add(self._key, self._mine, self._lease)

    async def keep(self) -> bool:
        """Whether it is still had; if so, for a whole lease from now."""
        return await self._store.swap(self._key, self._mine, self._mine, self._lease)

    async def end(self) -> None:
        """Give it back. Where the store is away the lease ends it."""
        with suppress(StoreUnavailable):
            await self._store.drop(self._key, self._mine)


@asynccontextmanager
async def turn(
    store: Store,
    key: str,
    wait: float,
    *,
    lease: float = LEASE,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Turn]:
    """Hold the turn of this key, waited for up to `wait` seconds, and renewed while the block runs.

    Raises:
        TurnNotHad: it did not come in time.
        StoreUnavailable: the store was away before it came.
    """
    mine = Turn(store, key, lease)
    until = clock() + wait
    pause = _LOOK_FIRST
    try:
        while not await mine.take():
            left = until - clock()
            if left <= 0:
                raise TurnNotHad
            await sleep(min(left, pause * random.uniform(0.5, 1)))  # noqa: S311 - so that those who wait do not march in step
            pause = min(_LOOK_LAST, pause * 1.5)
    except (asyncio.CancelledError, StoreUnavailable):
        await _to_its_end(mine.end())  # it may have been taken all the same
        raise
    renewal = asyncio.create_task(_renew(mine, lease / 3, sleep))
    try:
        yield mine
    finally:
        renewal.cancel()
        await _to_its_end(mine.end())


async def _renew(mine: Turn, every: float, sleep: Sleep) -> None:
    while True:
        await sleep(every)
        with suppress(StoreUnavailable):
            if not await mine.keep():
                return


async def _to_its_end(work: Awaitable[None]) -> None:
    """Also for a caller who is cancelled; bounded by the store's patience."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
