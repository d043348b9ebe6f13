"""Creations: one of a kind and name at a time, and which earlier ones nobody knows the outcome of.

A creation is written down as open before its request is sent and forgotten once its outcome is known. So the record
outlives a cancelled call, a lost answer and a killed process, and the next creation of that name can look first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from paperspace_storage_server.state.store import Put, Store, key_of
from paperspace_storage_server.state.turns import Turn, turn
from paperspace_storage_tools.errors import StoreUnavailable

REMEMBERED = 3600.0
"""Seconds after which an open creation is forgotten: what it made is found by then, or is not going to be."""


class Creation:
    """A creation whose turn it is. `earlier` is what an open one before it had written down, if any."""

    def __init__(self, store: Store, key: str, held: Turn, earlier: str | None) -> None:
        self.earlier = earlier
        self._store = store
        self._key = key
        self._turn = held

    async def opens(self, what: str) -> None:
        """Write down, before the request is sent, what the next creation needs to find what this one makes.

        Raises:
            StoreUnavailable: it could not be written down, or the turn was lost: do not send.
        """
        if not await self._turn.keep(Put(self._key, what, REMEMBERED)):
            raise StoreUnavailable("the turn of this creation was lost")
        self._turn.drops.discard(self._key)

    async def forget(self, what: str) -> None:
        """Forget it where it is still as it was written down: the turn may be another's by now."""
        await self._store.drop(self._key, what)

    def settled(self) -> None:
        """The outcome is known, of this one and of the earlier one: the record goes with the turn. Where the store is
        away it stays, and the next creation looks once more than it needs."""
        self._turn.drops.add(self._key)


class Creations:
    """The creations of one team."""

    def __init__(self, store: Store, team: str) -> None:
        self._store = store
        self._team = team

    @asynccontextmanager
    async def one_at_a_time(self, kind: str, name: str, wait: float) -> AsyncGenerator[Creation]:
        """The turn to create `name`, waited for up to `wait` seconds.

        Raises:
            TurnNotHad: it did not come in time.
            StoreUnavailable: the store is away.
        """
        key = key_of("open", self._team, kind, name)
        async with turn(self._store, key_of("turn", self._team, kind, name), wait, read=key) as held:
            yield Creation(self._store, key, held, held.found)
