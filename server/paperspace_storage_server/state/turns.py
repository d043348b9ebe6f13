"""Taking turns across processes: a lease under a name, which ends by itself where its holder has died."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from paperspace_storage_server.state.store import Add, Drop, Get, Step, Store, Swap
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
        self.found: str | None = None
        """What `take` read along with it."""
        self.drops: set[str] = set()
        """Keys that are forgotten when it ends."""

    async def take(self, read: str | None = None) -> bool:
        """Whether it is had now; then the value of the key `read` is in `found`."""
        steps = (Get(read),) if read is not None else ()
        had, *found = await self._store.together(Add(self._key, self._mine, self._lease), *steps)
        self.found = next((one for one in found if isinstance(one, str)), None)
        return had is True

    async def keep(self, *then: Step) -> bool:
        """Whether it is still had; if so, for a whole lease from now, and with these steps done."""
        said = await self._store.together(Swap(self._key, self._mine, self._mine, self._lease), *then)
        return said[0] is True

    async def end(self) -> None:
        """Give it back. Where the store is away the lease ends it."""
        with suppress(StoreUnavailable):
            await self._store.together(*map(Drop, self.drops), Drop(self._key, self._mine))


@asynccontextmanager
async def turn(
    store: Store,
    key: str,
    wait: float,
    *,
    read: str | None = None,
    lease: float = LEASE,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Turn]:
    """Hold the turn of this key, waited for up to `wait` seconds, and renewed while the block runs. What stands under
    the key `read` when it is had is in its `found`.

    Raises:
        TurnNotHad: it did not come in time.
        StoreUnavailable: the store was away before it came.
    """
    mine = Turn(store, key, lease)
    until = clock() + wait
    pause = _LOOK_FIRST
    try:
        while not await mine.take(read):
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
