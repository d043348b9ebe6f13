"""An API that may answer anything, over a real socket: any status, headers, body, framing and pace, per request.

It runs in a thread with an event loop of its own, so that what is measured of a client's loop is the client's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Literal, TypeAlias

Framing: TypeAlias = Literal["length", "chunked", "to the end", "too long", "too short", "twice", "none"]
"""How the answer says where it ends: truly by length, in chunks, or with the connection; or by a length that is too
long (the rest never comes), too short (the rest follows as if it were an answer), given twice; or not at all, the
connection staying open."""


@dataclass(frozen=True, slots=True)
class Says:
    """One answer. `raw` is said instead of all else; `trailers` follow a chunked body; `before` comes before the status
    line; `pieces` is how many bytes are written at a time, a turn of the event loop after each."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    body: bytes = b""
    framing: Framing = "length"
    chunk: int = 65536
    trailers: tuple[tuple[str, str], ...] = ()
    before: bytes = b""
    pieces: int = 0
    delay: float = 0.0  # seconds
    close: bool = False
    raw: Iterable[bytes] | None = None

    def written(self) -> Iterable[bytes]:
        if self.raw is not None:
            return self.raw
        if not self.pieces:
            return (self._head(), *self._framed())
        whole = self._head() + b"".join(self._framed())
        return (whole[at : at + self.pieces] for at in range(0, len(whole), self.pieces))

    def _head(self) -> bytes:
        lengths = {"length": [0], "too long": [100], "too short": [-len(self.body) // 2], "twice": [0, 1]}
        framing = [("content-length", str(len(self.body) + more)) for more in lengths.get(self.framing, [])]
        if self.framing == "chunked":
            framing.append(("transfer-encoding", "chunked"))
        if self.close or self.framing == "to the end":
            framing.append(("connection", "close"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*self.headers, *framing))
        return self.before + f"HTTP/1.1 {self.status} X\r\n{lines}\r\n".encode("latin-1")

    def _framed(self) -> Sequence[bytes]:
        if self.framing != "chunked":
            return (self.body,)
        parts = [self.body[at : at + self.chunk] for at in range(0, len(self.body), self.chunk)]
        ends = "".join(f"{name}: {value}\r\n" for name, value in self.trailers).encode("latin-1")
        return (b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + ends + b"\r\n",)

    @property
    def ends_connection(self) -> bool:
        return self.close or self.framing in ("to the end", "too long", "too short", "twice")


@dataclass(frozen=True, slots=True)
class Heard:
    """One request, as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


_AT_ONCE = 65536  # bytes
Answering: TypeAlias = Callable[[Heard], Says | Awaitable[Says]]


@dataclass(slots=True)
class Hostile:
    """Answers each request as `answering` says, which is called in the server's thread; `heard` is all that came."""

    answering: Answering
    url: str = ""
    heard: list[Heard] = field(default_factory=list[Heard])

    def in_turn(self, says: Sequence[Says]) -> None:
        """These answers, from the beginning again when they are used up; nothing has been heard so far."""
        turn = chain.from_iterable(repeat(tuple(says)))
        self.heard.clear()
        self.answering = lambda _: next(turn)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.strip().split("\r\n")
        headers = tuple((name.lower(), value.strip()) for name, _, value in (one.partition(":") for one in lines))
        body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
        method, target, _ = line.split(" ")
        heard = Heard(method, target, headers, body)
        self.heard.append(heard)
        answer = self.answering(heard)
        says = answer if isinstance(answer, Says) else await answer
        if says.delay:
            await asyncio.sleep(says.delay)
        for part in says.written():
            for at in range(0, len(part), _AT_ONCE):  # so that little of it waits here
                writer.write(part[at : at + _AT_ONCE])
                await writer.drain()
        return says.raw is None and not says.ends_connection


@contextmanager
def hostile(answering: Answering = lambda _: Says(503)) -> Generator[Hostile]:
    """Listens on 127.0.0.1 until the block ends."""
    upstream = Hostile(answering)
    ready = threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
        upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        end = asyncio.Event()
        ends.append((asyncio.get_running_loop(), end))
        ready.set()
        await end.wait()
        server.close()
        under_way = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="hostile", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield upstream
    finally:
        loop, end = ends[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
