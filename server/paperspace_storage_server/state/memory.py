"""The store of one process: for the sandbox, and where no file can be written."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from paperspace_storage_server.state.store import Step, one_by_one
from paperspace_storage_tools.errors import StoreUnavailable

MOST = 100_000
"""Keys at one time. To forget an old one could let its token be used again, so a new one is refused."""


class MemoryStore:
    """`Store` in dictionaries; atomic because nothing in it waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: dict[str, tuple[str, float]] = {}
        self._draws: dict[str, deque[float]] = {}
        self._sweep_at = 1000  # keys, expired ones included

    async def get(self, key: str) -> str | None:
        return self._get(key)

    async def add(self, key: str, value: str, seconds: float) -> bool:
        if self._get(key) is not None:
            return False
        self._set(key, value, seconds)
        return True

    async def put(self, key: str, value: str, seconds: float | None) -> None:
        self._set(key, value, math.inf if seconds is None else seconds)

    async def swap(self, key: str, old: str, new: str, seconds: float) -> bool:
        if self._get(key) != old:
            return False
        self._set(key, new, seconds)
        return True

    async def drop(self, key: str, old: str | None = None) -> bool:
        present = self._get(key)
        if present is None or old not in (None, present):
            return False
        del self._values[key]
        return True

    async def together(self, *steps: Step) -> list[str | bool | None]:
        return await one_by_one(self, steps)

    async def draw(self, key: str, limit: int, seconds: float, *, take: bool = True) -> float:
        if limit <= 0:
            return math.inf
        now = self._clock()
        draws = self._draws.setdefault(key, deque())
        while draws and draws[0] <= now - seconds:
            draws.popleft()
        if len(draws) >= limit:
            return draws[len(draws) - limit] + seconds - now
        if take:
            draws.append(now)
        return 0.0

    async def ping(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    def _get(self, key: str) -> str | None:
        value, until = self._values.get(key, (None, 0.0))
        return None if until <= self._clock() else value

    def _set(self, key: str, value: str, seconds: float) -> None:
        if key not in self._values and len(self._values) >= self._sweep_at:
            self._sweep()
        self._values[key] = (value, self._clock() + seconds)

    def _sweep(self) -> None:
        """Forget what has expired; the next sweep comes when twice as much is left, so that a key costs O(1)."""
        now = self._clock()
        self._values = {key: kept for key, kept in self._values.items() if kept[1] > now}
        if len(self._values) >= MOST:
            raise StoreUnavailable("it is full")
        self._sweep_at = min(MOST, max(1000, 2 * len(self._values)))
