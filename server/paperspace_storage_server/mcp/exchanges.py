"""One session of the handshake era over Streamable HTTP: what its client asks, and where each answer goes.

Requests go straight to the SDK's dispatcher, and what it says straight to the exchange it belongs to. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeAlias

import anyio
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCMessage, JSONRPCResponse, RequestId

from paperspace_storage_server.mcp.streams import Reading, Stream

Owner: TypeAlias = tuple[str, str]
"""A team, and who acts for it."""
MOST_UNREAD = 16
"""Messages of one exchange that wait for the client; then whoever says more waits, too."""
_CANCELLED = -32800  # the code with which the SDK ends an exchange that its client cancelled, in this era


class Exchange:
    """What the server says to one request of the client, or to its listening stream."""

    def __init__(self) -> None:
        self._said: deque[JSONRPCMessage] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._over = False

    async def say(self, message: JSONRPCMessage) -> None:
        """Once the client is gone, to nobody."""
        while len(self._said) >= MOST_UNREAD and not self._over:
            self._room.clear()
            await self._room.wait()
        if not self._over:
            self._said.append(message)
            self._news.set()

    async def next(self) -> JSONRPCMessage | None:
        """The next message; None when there will be none."""
        while not self._said:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._said.popleft()

    def end(self) -> None:
        """Nothing more is said; what was said before can still be read."""
        self._over = True
        self._news.set()
        self._room.set()


class Asked(Reading):
    """The SDK's read stream of a session. `last_context` is that of the request which brought the last message."""

    def __init__(self) -> None:
        self.last_context: contextvars.Context | None = None
        self._waiting: deque[tuple[contextvars.Context, SessionMessage]] = deque()
        self._arrived = asyncio.Event()
        self._ended = False

    def put(self, message: SessionMessage) -> None:
        self._waiting.append((contextvars.copy_context(), message))
        self._arrived.set()

    def end(self) -> None:
        self._ended = True
        self._arrived.set()

    async def receive(self) -> SessionMessage:
        while not self._waiting:
            if self._ended:
                raise anyio.EndOfStream
            self._arrived.clear()
            await self._arrived.wait()
        self.last_context, message = self._waiting.popleft()
        return message


class InUse(Exception):
    """There is an exchange under this name already."""


class Session(Stream):
    """The SDK's write stream of a session, which hands each message to its exchange. `owner` is who began it."""

    def __init__(self, id: str, owner: Owner | None) -> None:
        self.id = id
        self.owner = owner
        self.asked = Asked()
        self.ended = False
        self.used = 0.0
        """When its last exchange was over, by the event loop's clock."""
        self.watch: asyncio.TimerHandle | None = None
        self._exchanges: dict[str | None, Exchange] = {}

    @property
    def in_use(self) -> bool:
        return bool(self._exchanges)

    @contextmanager
    def exchange(self, request: RequestId | None) -> Generator[Exchange]:
        """The exchange of a request, or with None of the stream that listens.

        Raises:
            InUse: that is open already.
        """
        name = None if request is None else str(request)
        if name in self._exchanges:
            raise InUse
        exchange = self._exchanges[name] = Exchange()
        try:
            yield exchange
        finally:
            exchange.end()
            del self._exchanges[name]
            self.used = asyncio.get_running_loop().time()

    async def send(self, item: SessionMessage, /) -> None:
        message, about = item.message, item.metadata
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            name = None if message.id is None else str(message.id)
        elif isinstance(about, ServerMessageMetadata) and about.related_request_id is not None:
            name = str(about.related_request_id)
        else:
            name = None
        if (exchange := self._exchanges.get(name)) is not None:
            await exchange.say(message)

    async def unanswered(self, request: RequestId) -> None:
        """End the exchange of a request that its client has cancelled, which the dispatcher does not answer."""
        error = ErrorData(code=_CANCELLED, message="Request cancelled")
        await self.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=request, error=error)))

    def end(self) -> None:
        """What is under way is cancelled by the dispatcher, which answers it so."""
        self.ended = True
        self.asked.end()
        if self.watch is not None:
            self.watch.cancel()

    def close(self) -> None:
        """The dispatcher has gone: whoever still waits waits no longer."""
        self.ended = True
        for exchange in self._exchanges.values():
            exchange.end()
