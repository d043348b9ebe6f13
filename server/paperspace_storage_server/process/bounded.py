"""HTTP/1.1 on uvicorn, with an end to how long and how large a request may be before anybody has looked at it.

A client that sends slowly, sends no end of headers, or never reads its answer holds a connection for half a minute.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers (431)."""
LARGEST_BODY = 1024 * 1024
"""Bytes of a body (413)."""
PATIENCE = 30.0
"""Seconds for a whole request to come (408), and for a client to go on reading."""
MOST_CONNECTIONS = 8192
"""Connections at a time; fewer where the process may not open so many files. Beyond, who asks nothing gives way."""
BACKLOG = 128
"""Connections that wait to be taken in; as many are taken in at once."""

_TEXTS = {
    400: "This is no HTTP request.",
    408: f"The request did not come within {PATIENCE:.0f} s.",
    413: f"A request has {LARGEST_BODY:,} bytes at most.",
    431: f"The headers of a request have {LARGEST_HEAD:,} bytes at most.",
    501: "That transfer coding is not served.",
}


class _Connection(h11.Connection):
    """Remembers the status that fits what was wrong with a request."""

    hint = 400

    def next_event(self) -> Any:
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            self.hint = error.error_status_hint
            raise


class BoundedHttp(H11Protocol):
    """uvicorn's protocol over h11, with a clock on each request."""

    conn: _Connection
    silent_since: float
    """When its last answer was whole, on the loop's clock."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _Connection(h11.SERVER, LARGEST_HEAD)
        self._coming: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.silent_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._starts_coming()
        if len(self.connections) > _most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE:
            self._starts_coming()
        super().data_received(data)
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            self._has_come()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and close; `msg` is uvicorn's own word for it."""
        self._refuse(self.conn.hint if self.conn.hint in _TEXTS else 400)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.silent_since = self.loop.time()
        if self.conn.their_state is h11.SEND_BODY:  # of the next request, which came along with the last one
            self._starts_coming()

    def _starts_coming(self) -> None:
        if self._coming is None:
            self._coming = self.loop.call_later(PATIENCE, self._too_slow)

    def _has_come(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _too_slow(self) -> None:
        self._coming = None
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()  # nothing was asked, so there is nothing to answer
        else:
            self._refuse(408)

    def _make_room(self) -> None:
        """Close the tenth of those that ask nothing which has been silent for longest; where all ask something, this
        one. A tenth at a time, so that a flood costs a look at each connection once in a while."""
        silent = [one for one in cast("set[BoundedHttp]", self.connections) if one.is_silent]
        silent.sort(key=lambda one: one.silent_since)
        for one in silent[: max(1, len(silent) // 10)] or [self]:
            one.transport.abort()

    @property
    def is_silent(self) -> bool:
        """Whether no request is being answered."""
        return self._coming is not None or not self.cycle or self.cycle.response_complete

    def _refuse(self, status: int) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = _TEXTS[status].encode()
            headers = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(text)).encode()),
                (b"connection", b"close"),
            ]
            for event in (
                h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
                h11.Data(data=text),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application hears that nobody is there any more
            self.cycle.message_event.set()
        self.transport.close()


@cache
def _most_connections() -> int:
    """A quarter of the files that this process may open is for all else (the API, the store, its own files), and some
    for those that are taken in at once, before they can be counted."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(16, min(MOST_CONNECTIONS, (soft - BACKLOG) * 3 // 4))


class Bounds:
    """ASGI: refuses what came whole and is too large still, and bodies that grow beyond what they may."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = len(scope["path"]) + len(scope["query_string"]) + sum(len(n) + len(v) + 4 for n, v in scope["headers"])
        if head > LARGEST_HEAD:
            await _answer(send, 431)
            return
        names = [name for name, _ in scope["headers"]]
        if b"content-length" in names and b"transfer-encoding" in names:
            await _answer(send, 400)  # who reads the one and who reads the other disagree on where the next begins
            return
        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not told.isdigit() or int(told) > LARGEST_BODY:
            await _answer(send, 413)
            return
        await self._bounded(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0
        begun = refused = False

        async def measured() -> Message:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size <= LARGEST_BODY:
                return message
            if not begun:
                refused = True
                await _answer(send, 413)
            return {"type": "http.disconnect"}  # whatever the application makes of that, it is not sent

        async def noted(message: Message) -> None:
            nonlocal begun
            if not refused:
                begun = True
                await send(message)

        await self._app(scope, measured, noted)


async def _answer(send: Send, status: int) -> None:
    text = _TEXTS[status].encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
