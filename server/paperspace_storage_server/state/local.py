"""The store of a server on one's own machine: the shared file, or memory where the file cannot be written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.store import Step, Store

T = TypeVar("T")


class LocalStore:
    """`Store` in a file while that works; from the first time that it does not, in memory, which is `said` once."""

    def __init__(self, file: Path, say: Callable[[str], None]) -> None:
        self._file = file
        self._say = say
        self._store: Store | None = None  # opened by what first needs it: importing sqlite3 takes time at a start

    async def get(self, key: str) -> str | None:
        return await self._try(lambda store: store.get(key))

    async def add(self, key: str, value: str, seconds: float) -> bool:
        return await self._try(lambda store: store.add(key, value, seconds))

    async def put(self, key: str, value: str, seconds: float | None) -> None:
        await self._try(lambda store: store.put(key, value, seconds))

    async def swap(self, key: str, old: str, new: str, seconds: float) -> bool:
        return await self._try(lambda store: store.swap(key, old, new, seconds))

    async def drop(self, key: str, old: str | None = None) -> bool:
        return await self._try(lambda store: store.drop(key, old))

    async def together(self, *steps: Step) -> list[str | bool | None]:
        return await self._try(lambda store: store.together(*steps))

    async def draw(self, key: str, limit: int, seconds: float, *, take: bool = True) -> float:
        return await self._try(lambda store: store.draw(key, limit, seconds, take=take))

    async def ping(self) -> None:
        await self._try(lambda store: store.ping())

    async def aclose(self) -> None:
        if self._store is not None:
            await self._store.aclose()

    async def _try(self, operation: Callable[[Store], Awaitable[T]]) -> T:
        from paperspace_storage_server.state.sqlite import CannotUse, SqliteStore

        if self._store is None:
            self._store = SqliteStore(self._file)
        store = self._store
        try:
            return await operation(store)
        except CannotUse as error:
            if self._store is store:  # else another call has met it before
                self._store = MemoryStore()
                await store.aclose()
                self._say(
                    f"{self._file} cannot be used ({error.reason}): budgets and open creations are counted by this "
                    "process alone. Mend or remove that file to share them."
                )
            return await operation(self._store)
