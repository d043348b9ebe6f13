"""How much one principal may ask at a time and per minute, so that nobody takes the others' turn. Knows no token.

Counted by each replica for itself: behind a balancer a principal has so much at each of them.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.calls.principal import principal_in
from paperspace_storage_server.hosted.challenges import Refusal

MOST_CALLS = 100
"""Calls of one principal under way at a time."""
MOST_STREAMS = 20
"""Listening streams of one principal that stand open."""
_MINUTE = 60.0
_MOST_PRINCIPALS = 50_000


class Limits:
    """ASGI, behind the gate: 429 where a principal asks too much. `rate` is calls per minute; None is unlimited."""

    def __init__(
        self,
        app: ASGIApp,
        rate: int | None,
        clock: Callable[[], float] = time.monotonic,
        refused: Callable[[Refusal], None] = lambda refusal: None,
    ) -> None:
        self._app = app
        self._rate = rate
        self._clock = clock
        self._refused = refused
        self._under_way: dict[tuple[str, bool], int] = {}
        self._begun: OrderedDict[str, deque[float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = principal_in(scope) if scope["type"] == "http" else None
        if principal is None:
            await self._app(scope, receive, send)
            return
        listening = scope["method"] == "GET" and not scope["path"].startswith("/v1/")
        place = (principal.key, listening)
        refusal = self._too_much(place)
        if refusal is not None:
            self._refused(refusal)
            await refusal.response(problem=scope["path"].startswith("/v1/"))(scope, receive, send)
            return
        self._under_way[place] = self._under_way.get(place, 0) + 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[place] -= 1
            if not self._under_way[place]:
                del self._under_way[place]

    def _too_much(self, place: tuple[str, bool]) -> Refusal | None:
        key, listening = place
        under_way = self._under_way.get(place, 0)
        if listening and under_way >= MOST_STREAMS:
            return _refusal(f"You have {MOST_STREAMS} streams open.", 5)
        if under_way >= MOST_CALLS:
            return _refusal(f"You have {MOST_CALLS} calls under way.", 1)
        wait = self._take(key)
        return _refusal(f"You may make {self._rate} calls in a minute.", wait) if wait else None

    def _take(self, key: str) -> int:
        """One call of this minute; else the whole seconds until the next."""
        if self._rate is None:
            return 0
        now = self._clock()
        begun = self._begun.setdefault(key, deque())
        self._begun.move_to_end(key)
        while begun and begun[0] <= now - _MINUTE:
            begun.popleft()
        if len(begun) >= self._rate:
            return max(1, math.ceil(begun[0] + _MINUTE - now))
        begun.append(now)
        while len(self._begun) > _MOST_PRINCIPALS:
            self._begun.popitem(last=False)
        return 0


def _refusal(why: str, seconds: int) -> Refusal:
    return Refusal(429, "too_many_requests", f"{why} Try again in {seconds} s.", {"Retry-After": str(seconds)})
