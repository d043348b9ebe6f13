"""The way to an API over the network: at most 32 connections, for the server's life.

Its imports are heavy, so this module is loaded when the first request is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache

import httpx

from paperspace_storage_server.http.connection import Connection
from paperspace_storage_server.http.dial import Dialer
from paperspace_storage_server.http.transport import RawAnswer

MAX_CONNECTIONS = 32
# Seconds; servers close idle connections too, and a request must not cross with that. What is repeated may do so once;
# of a POST nobody would know whether it acted, and the list that goes before it has just used a connection.
LONGEST_IDLE = 15.0
LONGEST_IDLE_OF_POST = 0.5


@lru_cache
def _parsed(url: str) -> httpx.URL:
    """Parsing is a tenth of the time of a request, and the same paths come again: lists, an event that is followed."""
    return httpx.URL(url)


class Pool:
    """A `Transport` over connections to the API at `base_url`, wherever a request's URL may point.

    Not httpx's own: that takes several times as long. Not aiohttp's: that is heavy, and of a connection that
    broke it does not say plainly whether the request had gone out (docs/decisions/own-http-transport.md).
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._dialer: Dialer | None = None
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._busy: set[Connection] = set()
        self._idle: list[Connection] = []  # the one used last is last

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        """The answer, read whole.

        Raises:
            UnknownHost, httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.LocalProtocolError:
                nothing was sent.
            httpx.ReadError, httpx.RemoteProtocolError, httpx.DecodingError, TooLarge: it went out, and no usable
                answer came back.
        """
        if self._dialer is None:
            self._dialer = Dialer(httpx.URL(self._base_url))
        message = _message(method, _parsed(url), headers, content)
        async with self._slots:
            connection = self._take(method) or await self._dialer.dial()
            self._busy.add(connection)
            try:
                reply = await connection.send(message, on_wire)
            finally:
                self._busy.discard(connection)
            self._idle.append(connection)
        return reply

    async def aclose(self) -> None:
        for connection in (*self._busy, *self._idle):
            connection.transport.abort()
        self._idle.clear()

    def _take(self, method: str) -> Connection | None:
        now, longest = asyncio.get_running_loop().time(), LONGEST_IDLE_OF_POST if method == "POST" else LONGEST_IDLE
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < longest and connection.reusable:
                return connection
            connection.transport.abort()
        return None


def _message(method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None) -> bytes:
    """The request as it goes out (RFC 9112)."""
    lines = [f"{method} {url.raw_path.decode('ascii')} HTTP/1.1", f"Host: {url.netloc.decode('ascii')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append("Accept-Encoding: gzip")
    if content is not None or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(content or b'')}")
    if not "".join(lines).isprintable():
        raise httpx.LocalProtocolError("a line break, or another control character, in a header")
    return b"%s\r\n\r\n%s" % ("\r\n".join(lines).encode("ascii"), content or b"")
