"""How many deletions and restores may be made, counted over all processes that share a store."""

from __future__ import annotations

from paperspace_storage_server.state.store import Store, key_of
from paperspace_storage_tools.errors import OverAllowance


class Allowance:
    """So many in any so many seconds: `count` None is no bound, 0 allows none. `whose` are counted together."""

    def __init__(self, store: Store, whose: str, count: int | None, seconds: float) -> None:
        self._store = store
        self._key = key_of("destructive", whose)
        self._count = count
        self._seconds = seconds

    async def check(self) -> None:
        """Raise `OverAllowance` where none is left: before a person is asked in vain."""
        await self._draw(take=False)

    async def take(self) -> None:
        """Count one. Raises `OverAllowance`, or `StoreUnavailable`: then it must not be made."""
        await self._draw(take=True)

    async def _draw(self, *, take: bool) -> None:
        if self._count is None:
            return
        if not self._count:
            raise OverAllowance(self._count, self._seconds, None)
        if wait := await self._store.draw(self._key, self._count, self._seconds, take=take):
            raise OverAllowance(self._count, self._seconds, wait)
