"""What a balancer asks: whether the process lives, and whether it should get calls. Needs no token, asks no API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_tools.errors import StoreUnavailable

ASKED_EVERY = 2.0
"""Seconds between two looks at the store, however often a balancer asks."""


@dataclass(slots=True)
class Health:
    """The state of this replica. `away` says in a word what it cannot do without; None where there is nothing.

    `ping` raises `StoreUnavailable`: then it reads and does not write, which another replica could not do either, so
    it stays with the balancer.
    """

    away: Callable[[], str | None]
    ping: Callable[[], Awaitable[None]]
    clock: Callable[[], float] = time.monotonic
    draining: bool = False
    found_degraded: bool = False
    _asked: float = -ASKED_EVERY
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def degraded(self) -> bool:
        """Whether what the replicas share is away."""
        async with self._asking:
            if self.clock() - self._asked >= ASKED_EVERY:
                try:
                    await self.ping()
                    self.found_degraded = False
                except StoreUnavailable:
                    self.found_degraded = True
                self._asked = self.clock()
        return self.found_degraded

    async def ready(self) -> tuple[int, dict[str, str]]:
        """The status and the words of `/readyz`."""
        if self.draining:
            return 503, {"status": "draining"}
        if away := self.away():
            return 503, {"status": "not ready", "reason": away}
        return 200, {"status": "degraded" if await self.degraded() else "ready"}


class HealthRoutes:
    """ASGI: `/healthz` and `/readyz`, under any Host; all else goes on."""

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in ("/healthz", "/readyz"):
            await self._app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            status, words = 405, {"status": "GET only"}
        elif scope["path"] == "/healthz":
            status, words = 200, {"status": "alive"}
        else:
            status, words = await self._health.ready()
        await JSONResponse(words, status, {"Cache-Control": "no-store"})(scope, receive, send)
