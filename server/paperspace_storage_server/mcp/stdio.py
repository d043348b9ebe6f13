"""MCP over stdin and stdout on asyncio's own pipes: one JSON-RPC message a line.

The SDK's transport hands every line through worker threads, which costs about 0.9 ms a call; pipes that the event
loop reads itself do not. Where the platform or the kind of stdin lacks them, the SDK's transport serves instead.
stdout carries the protocol and nothing else: the descriptor is moved away, and whatever still prints to it goes
to stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp.server import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from paperspace_storage_server.mcp.results import TakesSpelled, encoded
from paperspace_storage_server.mcp.streams import Reading, Stream
from paperspace_storage_server.process.life import watch_host

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream

logger = logging.getLogger(__name__)

LONGEST_LINE = 8 * 1024 * 1024  # bytes; a longer message is dropped, and the server lives on
MOST_WAITING = 1000  # messages read ahead before the host is made to wait
_OVER_PIPES = ServerMessageMetadata(request_context=TakesSpelled())
LAST_ANSWERS = 1.0  # seconds after the end of input in which calls under way may still be answered


async def serve_stdio(server: Server[Any]) -> None:
    """Serve until stdin ends."""
    if not _are_pipes():
        from mcp.server.stdio import stdio_server

        watch_host(os.dup(0) if _is_pipe(0) else None, lambda: None)
        pending, seconds = Pending(), _last_answers()  # before the descriptors are moved away
        async with stdio_server() as (read, write), read, write:
            await _serve(server, Settling(read, pending, seconds), Settled(write, pending), pending)
        return
    stdin, stdout = _claim(0, os.devnull), _claim(1, None)
    sys.stdout = sys.stderr  # which never waits for its reader: the descriptor would
    loop = asyncio.get_running_loop()
    lines = Lines()
    reading, _ = await loop.connect_read_pipe(lambda: lines, os.fdopen(stdin, "rb", buffering=0))
    writing, flow = await loop.connect_write_pipe(_Flow, os.fdopen(stdout, "wb", buffering=0))

    def host_is_gone() -> None:
        loop.call_soon_threadsafe(lines.eof_received)

    watch_host(stdin, host_is_gone)
    try:
        await _serve(server, Incoming(lines), Outgoing(writing, flow, lines), lines.pending)
    finally:
        reading.close()
        writing.close()


async def _serve(server: Server[Any], read: Reading, write: WriteStream[SessionMessage], pending: Pending) -> None:
    """Serve until the input ends: anew, in the older era, where a client has not waited for the answer to its probe."""
    options = server.create_initialization_options()
    opening = Opening(read, pending)
    await server.run(opening, write, options)
    if opening.fallback is not None:
        await server.run(Resumed(opening.fallback, read), write, options)


class Pending:
    """Which requests are still unanswered."""

    def __init__(self) -> None:
        self._ids: set[str | int] = set()
        self._answered = asyncio.Event()

    def came(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest):
            self._ids.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            id = (message.params or {}).get("requestId")
            if isinstance(id, str | int):
                self.given_up(id)

    def given_up(self, id: str | int) -> None:
        self._ids.discard(id)
        self._answered.set()

    def went(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            if message.id is not None:
                self._ids.discard(message.id)
            self._answered.set()

    async def settle(self, seconds: float | None) -> None:
        """Wait until all are answered, that long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._ids:
                    self._answered.clear()
                    await self._answered.wait()


class Lines(asyncio.Protocol):
    """Splits what comes in into lines."""

    def __init__(self) -> None:
        self.pending = Pending()
        self._buffer = bytearray()
        self._searched = 0
        self._dropping = False
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.ReadTransport", transport)  # uvloop's transports are no subclasses of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            if self._dropping:
                self._dropping = False
            elif line := bytes(self._buffer[:end]).strip():
                self._waiting.append(line)
            del self._buffer[: end + 1]
            self._searched = 0
        self._searched = len(self._buffer)
        if len(self._buffer) > LONGEST_LINE:
            if not self._dropping:
                logger.warning("dropped a message of more than %d bytes", LONGEST_LINE)
            self._dropping = True
            self._buffer.clear()
            self._searched = 0
        if len(self._waiting) > MOST_WAITING and self._transport is not None:
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        self._ended = True
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof_received()

    async def next(self) -> bytes | None:
        """The next line; None at the end of input, once the calls under way had a moment to be answered."""
        while not self._waiting:
            if self._ended:
                await self.pending.settle(LAST_ANSWERS)
                return None
            self._arrived.clear()
            await self._arrived.wait()
        line = self._waiting.popleft()
        if len(self._waiting) == MOST_WAITING // 2 and self._transport is not None and not self._ended:
            self._transport.resume_reading()
        return line


class Incoming(Reading):
    """The SDK's read stream: messages, or the exception where a line is none."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    async def receive(self) -> SessionMessage | Exception:
        line = await self._lines.next()
        if line is None:
            raise anyio.EndOfStream
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError as error:
            return _nameless(error)
        self._lines.pending.came(message)
        return SessionMessage(message, _OVER_PIPES)


class Outgoing(Stream):
    """The SDK's write stream; a host that does not read makes the sender wait, not the process block."""

    def __init__(self, transport: asyncio.WriteTransport, flow: _Flow, lines: Lines) -> None:
        self._transport = transport
        self._flow = flow
        self._lines = lines

    async def send(self, item: SessionMessage, /) -> None:
        if self._transport.is_closing():
            raise anyio.BrokenResourceError
        message = item.message
        self._transport.write(encoded(message) + b"\n")
        if not self._flow.drained.is_set():
            await self._flow.drained.wait()
        self._lines.pending.went(message)


class Opening(Reading):
    """A read stream that ends where a client that has only probed with `server/discover` turns to `initialize`.

    Clients of both eras wait a second or so for the answer and then take the server for an older one (2026-07-28,
    basic/transports/stdio, Backward Compatibility); a server that starts on a busy machine takes longer. The SDK fixes
    the era by the first request, and would refuse them.
    """

    def __init__(self, read: Reading, pending: Pending) -> None:
        self.fallback: SessionMessage | None = None
        self._read = read
        self._pending = pending
        self._probes: list[str | int] = []
        self._settled = False

    async def receive(self) -> SessionMessage | Exception:
        item = await self._read.receive()
        if self._settled or isinstance(item, Exception) or not isinstance(item.message, JSONRPCRequest):
            return item
        if item.message.method == "server/discover":
            self._probes.append(item.message.id)
        elif item.message.method == "initialize" and self._probes:
            for probe in self._probes:
                self._pending.given_up(probe)
            self.fallback = item
            raise anyio.EndOfStream
        else:
            self._settled = True
        return item


class Resumed(Reading):
    """A read stream, after a message that was read from it too early."""

    def __init__(self, first: SessionMessage, read: Reading) -> None:
        self._first: SessionMessage | None = first
        self._read = read

    async def receive(self) -> SessionMessage | Exception:
        first, self._first = self._first, None
        return first or await self._read.receive()


class Settling(Reading):
    """The SDK's own read stream, which ends only once the calls under way had time to be answered."""

    def __init__(self, read: ReadStream[SessionMessage | Exception], pending: Pending, seconds: float | None) -> None:
        self._read = read
        self._pending = pending
        self._seconds = seconds

    async def receive(self) -> SessionMessage | Exception:
        try:
            item = await self._read.receive()
        except anyio.EndOfStream:
            await self._pending.settle(self._seconds)
            raise
        if isinstance(item, Exception):
            return _nameless(item)
        self._pending.came(item.message)
        return item


class Settled(Stream):
    """The SDK's own write stream, which tells what is answered."""

    def __init__(self, write: WriteStream[SessionMessage], pending: Pending) -> None:
        self._write = write
        self._pending = pending

    async def send(self, item: SessionMessage, /) -> None:
        await self._write.send(item)
        self._pending.went(item.message)


class _Flow(asyncio.BaseProtocol):
    def __init__(self) -> None:
        self.drained = asyncio.Event()
        self.drained.set()

    def pause_writing(self) -> None:
        self.drained.clear()

    def resume_writing(self) -> None:
        self.drained.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.drained.set()


def _are_pipes() -> bool:
    """Whether the event loop can read stdin and write stdout by itself: pipes and sockets, on POSIX."""
    if sys.platform == "win32":
        return False
    return _is_pipe(0) and _is_pipe(1)


def _is_pipe(descriptor: int) -> bool:
    mode = _mode(descriptor)
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _mode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_mode
    except OSError:
        return 0


def _last_answers() -> float | None:
    """How long calls may go on after the end of input: behind a file is no host that has gone, so to their end."""
    return None if stat.S_ISREG(_mode(0)) else LAST_ANSWERS


def _nameless(error: Exception) -> ValueError:
    """Without the line's content: a garbled line may hold a secret, and the SDK logs what it is given."""
    return ValueError(f"a line that is no JSON-RPC message ({type(error).__name__})")


def _claim(descriptor: int, instead: str | None) -> int:
    """Move a standard stream away and put `instead` (None: stderr) in its place, for whoever still uses it."""
    private = os.dup(descriptor)
    os.set_inheritable(private, False)
    if instead is None:
        os.dup2(2, descriptor)
    else:
        null = os.open(instead, os.O_RDONLY)
        os.dup2(null, descriptor)
        os.close(null)
    return private
