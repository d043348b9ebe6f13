"""How often one address, and all of them together, may ask for the page: who is not signed in has no other name."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

EACH: Final = 60
ALL: Final = 1200
"""Requests in any minute, at one replica."""
_MINUTE: Final = 60.0
_MOST_ADDRESSES: Final = 10_000


class Rate:
    """Counts requests; memory is bounded by `ALL` and by the number of addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: deque[float] = deque()
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether one more request is within the bounds; then it is counted."""
        now = self._clock()
        mine = self._by_address.setdefault(address, deque())
        self._by_address.move_to_end(address)
        while len(self._by_address) > _MOST_ADDRESSES:
            self._by_address.popitem(last=False)
        for begun in (mine, self._all):
            while begun and begun[0] <= now - _MINUTE:
                begun.popleft()
        if len(mine) >= EACH or len(self._all) >= ALL:
            return False
        mine.append(now)
        self._all.append(now)
        return True
