"""How many sessions of the older era one caller holds, so that nobody takes the others' room. Knows no tool.

A session that nobody has used for `IDLE` seconds ends, and there are `MOST` in all (`streamable.py`). Within that, a
caller who opens more than their share loses the one that they left longest ago: clients begin sessions and leave them
without a word.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paperspace_storage_server.calls.principal import principal_in

IDLE: Final = 1800.0
"""Seconds after which a session that nobody uses has ended."""
MOST: Final = 10_000
"""Sessions of all callers together."""
MOST_OF_ONE: Final = 100
"""Sessions of one caller for one team. As many may have a request under way, so that one of more is always idle."""

_ID: Final = MCP_SESSION_ID_HEADER.lower().encode()
_VERSION: Final = MCP_PROTOCOL_VERSION_HEADER.lower().encode()


@dataclass(slots=True)
class _Held:
    """The sessions of one caller, with the requests under way in each; who was used last comes last."""

    used: float = 0.0
    sessions: OrderedDict[bytes, int] = field(default_factory=OrderedDict[bytes, int])

    @property
    def busy(self) -> bool:
        return any(self.sessions.values())


class Sessions:
    """ASGI, behind the gate and before the sessions themselves."""

    def __init__(
        self, app: ASGIApp, *, most: int = MOST_OF_ONE, idle: float = IDLE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._most = most
        self._idle = idle
        self._clock = clock
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()

    @property
    def callers(self) -> int:
        """How many are remembered."""
        return len(self._held)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = principal_in(scope) if scope["type"] == "http" else None
        if principal is None:
            await self._app(scope, receive, send)
            return
        owner = (principal.team, principal.key)
        id = next((value for name, value in scope["headers"] if name == _ID), None)
        if id is None:
            await self._opening(owner, scope, receive, send)
        else:
            await self._using(owner, id, scope, receive, send)

    async def _opening(self, owner: tuple[str, str], scope: Scope, receive: Receive, send: Send) -> None:
        """A request without a session: where the answer names one, it is a new one."""
        opened: bytes | None = None

        async def noted(message: Message) -> None:
            nonlocal opened
            if message["type"] == "http.response.start" and message["status"] < 400:
                opened = next((value for name, value in message["headers"] if name.lower() == _ID), None)
                if opened is not None:
                    self._of(owner).sessions[opened] = 1
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if opened is not None:
                await self._leave(owner, opened)
                await self._end_those_beyond(owner, scope)

    async def _using(self, owner: tuple[str, str], id: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        held = self._held.get(owner)
        if held is None or id not in held.sessions:
            await self._app(scope, receive, send)  # one that has ended, or another's: that is said there
            return
        statuses: list[int] = []

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        self._of(owner)
        held.sessions[id] += 1
        held.sessions.move_to_end(id)
        try:
            await self._app(scope, receive, noted)
        finally:
            await self._leave(owner, id)
            if statuses == [404] or (scope["method"] == "DELETE" and statuses[:1] < [400]):
                held.sessions.pop(id, None)

    def _of(self, owner: tuple[str, str]) -> _Held:
        """What a caller holds, as of now. Whoever has used none for so long that all have ended is forgotten."""
        now = self._clock()
        held = self._held.setdefault(owner, _Held())
        held.used = now
        self._held.move_to_end(owner)
        while (first := next(iter(self._held.values()))).used < now - self._idle:
            if first.busy:
                first.used = now
                self._held.move_to_end(next(iter(self._held)))
            else:
                self._held.popitem(last=False)
        return held

    async def _leave(self, owner: tuple[str, str], id: bytes) -> None:
        held = self._of(owner)
        if id in held.sessions:
            held.sessions[id] -= 1

    async def _end_those_beyond(self, owner: tuple[str, str], scope: Scope) -> None:
        """End what a caller has too many of, as the caller could: with DELETE."""
        held = self._of(owner)
        while len(held.sessions) > self._most:
            id = next((one for one, under_way in held.sessions.items() if not under_way), None)
            if id is None:
                return
            del held.sessions[id]
            kept = [(name, value) for name, value in scope["headers"] if name in (b"host", b"origin", _VERSION)]
            ending = {**scope, "method": "DELETE", "headers": [*kept, (_ID, id)]}
            await self._app(ending, _nothing_more, _unheard)


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(message: Message) -> None:
    return None
