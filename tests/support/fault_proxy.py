"""An HTTP/1.1 proxy on 127.0.0.1 before a sandbox, which spoils what it is told to spoil and records every request.

It knows sockets and bytes, and nothing of the server under test.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import httpx
from starlette.applications import Starlette

Act = Literal["answer", "reset", "hang", "truncate", "drip", "raw", "mislabel"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back."""

    status: int
    content_type: str = "application/json"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to spoil an exchange. `commit`: how often the sandbox gets the request, whatever the client hears.

    `answer` sends `reply` in place of the sandbox's answer, `raw` bytes that are no HTTP, `mislabel` the sandbox's
    answer with another content type, `truncate` half of it, `drip` a byte each `seconds`; `hang` never answers.
    `seconds` of latency come before everything else.
    """

    name: str
    act: Act
    commit: int = 0
    reply: Reply = field(default_factory=lambda: Reply(200))
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests a fault hits: method, a pattern of the path (query included), and which of those, from 1 on."""

    fault: Fault
    method: str
    path: str = ".*"
    nth: frozenset[int] | None = None  # None: all of them


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came, and the fault that hit it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fault: str | None = None


class FaultProxy:
    """Rules may be changed at any time. `choose`, where given, picks the fault of a request in place of the rules."""

    def __init__(self, app: Starlette, rules: tuple[Rule, ...] = ()) -> None:
        self.rules = rules
        self.choose: Callable[[Seen], Fault | None] | None = None
        self.requests: list[Seen] = []
        self.committed: list[Seen] = []
        self.reached = asyncio.Event()  # set with every request that arrives
        self.keeps_records = True
        self.dropped = asyncio.Event()  # set when a client went away while its answer was held back
        self.open_connections = 0
        self.url = ""
        self._hits: dict[int, int] = {}
        self._upstream = httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False))
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def methods(self) -> list[str]:
        return [seen.method for seen in self.requests]

    def count(self, method: str) -> int:
        return self.methods.count(method)

    def forget(self) -> None:
        """Begin the records, and the counting of the rules, anew."""
        self.requests.clear()
        self.committed.clear()
        self._hits.clear()
        self.reached.clear()
        self.dropped.clear()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[FaultProxy]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()
            await self._upstream.aclose()

    async def forward(self, seen: Seen) -> Reply:
        """The sandbox's own answer."""
        if self.keeps_records:
            self.committed.append(seen)
        kept = {"authorization", "content-type", "accept"}
        headers = [(name, value) for name, value in seen.headers if name.lower() in kept]
        answer = await self._upstream.request(
            seen.method, f"http://sandbox.test{seen.target}", headers=headers, content=seen.body
        )
        return Reply(answer.status_code, answer.headers.get("content-type", ""), answer.content)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_connections += 1
        try:
            while (seen := await _read_request(reader)) is not None:
                if not await self._exchange(seen, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client's doing
        except asyncio.CancelledError:
            return  # the test's end: a streams callback that ends cancelled would be logged as an error
        finally:
            self._tasks.discard(task)
            self.open_connections -= 1
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    def _fault_of(self, seen: Seen) -> Fault | None:
        if self.choose is not None:
            return self.choose(seen)
        for number, rule in enumerate(self.rules):
            if rule.method != seen.method or not re.search(rule.path, seen.target):
                continue
            self._hits[number] = self._hits.get(number, 0) + 1
            if rule.nth is None or self._hits[number] in rule.nth:
                return rule.fault
        return None

    async def _exchange(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection goes on."""
        fault = self._fault_of(seen)
        seen = Seen(seen.method, seen.target, seen.headers, seen.body, fault.name if fault else None)
        if self.keeps_records:
            self.requests.append(seen)
        self.reached.set()
        if fault is None:
            return await _send(writer, await self.forward(seen))
        if fault.seconds and fault.act != "drip":
            await asyncio.sleep(fault.seconds)
        reply = Reply(200)
        for _ in range(fault.commit):
            reply = await self.forward(seen)
        if fault.act == "answer":
            return await _send(writer, fault.reply if fault.reply.status else reply)
        if fault.act == "mislabel":
            return await _send(writer, Reply(reply.status, fault.reply.content_type, reply.body))
        if fault.act == "raw":
            writer.write(fault.reply.body)
            await writer.drain()
        elif fault.act == "truncate":
            body = reply.body or b'{"id":"x"}'
            writer.write(_head(Reply(reply.status if reply.status != 204 else 200, reply.content_type, body)))
            writer.write(body[: len(body) // 2])
            await writer.drain()
        elif fault.act == "drip":
            body = reply.body or b'{"id":"x"}'
            writer.write(_head(Reply(reply.status if reply.status != 204 else 200, reply.content_type, body)))
            for number in range(len(body)):
                writer.write(body[number : number + 1])
                await writer.drain()
                await asyncio.sleep(fault.seconds)
        elif fault.act == "hang":
            await reader.read(1)  # returns when the client gives up
            self.dropped.set()
        else:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            writer.transport.abort()
        return False


async def _read_request(reader: asyncio.StreamReader) -> Seen | None:
    """The next request of a connection; None at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Seen(method, target, headers, await reader.readexactly(length))


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Spoilt"]
    if reply.content_type:
        lines.append(f"content-type: {reply.content_type}")
    if reply.status != 204:
        lines.append(f"content-length: {len(reply.body)}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _send(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    writer.write(_head(reply) + reply.body)
    await writer.drain()
    return True


# --- the faults of the failure table

_HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>Traceback (most recent call last): secret</body></html>"
_ERROR = b'{"code":"INTERNAL","message":"database is down","id":"err1"}'
_DATE = ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")


def _answer(
    name: str, status: int, body: bytes = b"", *headers: tuple[str, str], kind: str = "application/json"
) -> Fault:
    return Fault(name, "answer", reply=Reply(status, kind, body, headers))


def _after(fault: Fault) -> Fault:
    """The same, after the sandbox has acted."""
    return Fault(f"{fault.name}, acted", fault.act, 1, fault.reply, fault.seconds)


_500 = _answer("500", 500, _ERROR)
_503 = _answer("503", 503)
_TEXT = Reply(200, "text/plain; charset=latin-1")
FAULTS: tuple[Fault, ...] = (
    Fault("latency 20 ms", "mislabel", 1, Reply(200), 0.02),
    Fault("reset before the commit", "reset"),
    Fault("reset after the commit", "reset", 1),
    Fault("truncated body", "truncate", 1),
    Fault("bytes that are no HTTP", "raw", reply=Reply(0, body=b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n")),
    Fault("bytes that are no HTTP, acted", "raw", 1, Reply(0, body=b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n")),
    _answer("garbage for JSON", 200, b"\x80\x81\xfe{]"),
    _after(_answer("garbage for JSON", 200, b"\x80\x81\xfe{]")),
    _answer("HTML page", 200, _HTML, kind="text/html"),
    _after(_answer("HTML page", 200, _HTML, kind="text/html")),
    Fault("wrong content type", "mislabel", 1, _TEXT),
    _answer("200 with an error body", 200, _ERROR),
    _after(_answer("200 with an error body", 200, _ERROR)),
    _answer("200, empty", 200),
    _after(_answer("200, empty", 200)),
    _answer("429, Retry-After 2", 429, b"", ("retry-after", "2")),
    _answer("429, Retry-After 9000", 429, b"", ("retry-after", "9000")),
    _answer("429, Retry-After a date", 429, b"", _DATE),
    _answer("429", 429),
    _after(_answer("408", 408)),
    _500,
    _after(_500),
    _answer("502 HTML page", 502, _HTML, kind="text/html"),
    _503,
    _after(_503),
    Fault("hang", "hang"),
    Fault("hang, acted", "hang", 1),
    Fault("slow drip", "drip", 1, seconds=0.5),
)
SLOW = frozenset({"hang", "hang, acted", "slow drip"})
"""Faults that end by a time limit, in real time."""
