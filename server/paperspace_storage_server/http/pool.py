"""The httpx client and its transport: at most 32 connections to one API, for the server's life.

The imports are heavy, so this module is loaded when the first request is made.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import httpx
from starlette.types import ASGIApp

from paperspace_storage_server.http.dial import Dialer
from paperspace_storage_server.http.exchange import LARGEST_ANSWER, Exchange, Reply
from paperspace_storage_server.http.trouble import TooLarge

Headers = (
    httpx.Headers
    | Mapping[str, str]
    | Mapping[bytes, bytes]
    | Sequence[tuple[str, str]]
    | Sequence[tuple[bytes, bytes]]
)
MAX_CONNECTIONS = 32
LONGEST_IDLE = 15.0  # seconds; servers close idle connections too, and a request must not cross with that

_KEPT = frozenset({b"content-type", b"retry-after"})  # all that is ever read of an answer's headers
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def open_pool(base_url: str, app: ASGIApp | None = None) -> httpx.AsyncClient:
    """A client for the API at `base_url`, or for an in-process `app` (the sandbox)."""
    if app is not None:
        return DirectClient(httpx.ASGITransport(app, raise_app_exceptions=False))
    return DirectClient(Pool(base_url))


class DirectClient(httpx.AsyncClient):
    """An httpx client that hands a request straight to its transport.

    This server follows no redirect (the key must not travel), keeps no cookie and brings its own headers, so the
    steps that httpx takes for these are left out: a third of httpx's share of a request.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport=transport, trust_env=False)
        self._direct = transport

    async def request(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        content: str | bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        headers: Headers | None = None,
        **_: Any,
    ) -> httpx.Response:
        """The whole answer. Takes only what this server uses."""
        request = httpx.Request(method, _parsed(str(url)), headers=headers, content=content)
        response = await self._direct.handle_async_request(request)
        await response.aread()
        return response


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    """Parsing is a tenth of the time of a request, and the same paths come again: lists, an event that is followed."""
    return httpx.URL(url)


class Pool(httpx.AsyncBaseTransport):
    """httpx's transport interface over connections to one API. Nothing is repeated here, and nothing redirected.

    Not httpx's own transport: that takes several times as long. Not aiohttp's: that is heavy, and of a connection that
    broke it does not say plainly whether the request had gone out (docs/decisions/own-http-transport.md).
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._dialer: Dialer | None = None
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._busy: set[Exchange] = set()
        self._idle: list[Exchange] = []  # the one used last is last

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, read whole.

        Raises:
            UnknownHost, httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.LocalProtocolError:
                nothing was sent.
            httpx.ReadError, httpx.RemoteProtocolError, httpx.DecodingError, TooLarge: it went out, and no usable
                answer came back.
        """
        if self._dialer is None:
            self._dialer = Dialer(httpx.URL(self._base_url))
        message = _message(request)
        async with self._slots:
            exchange = self._take() or await self._dialer.dial()
            self._busy.add(exchange)
            try:
                reply = await exchange.ask(message)
            finally:
                self._busy.discard(exchange)
            self._idle.append(exchange)
        kept = [header for header in reply.headers if header[0] in _KEPT]
        return httpx.Response(reply.status, headers=kept, content=_unpacked(reply), request=request)

    async def aclose(self) -> None:
        for exchange in (*self._busy, *self._idle):
            exchange.transport.abort()
        self._idle.clear()

    def _take(self) -> Exchange | None:
        oldest = asyncio.get_running_loop().time() - LONGEST_IDLE
        while self._idle:
            exchange = self._idle.pop()
            if exchange.reusable and exchange.idle_since > oldest:
                return exchange
            exchange.transport.abort()
        return None


def _message(request: httpx.Request) -> bytes:
    """The request as it goes out (RFC 9112)."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path), b"Accept-Encoding: gzip"]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    head = b"\r\n".join(lines)
    if not head.count(b"\n") == head.count(b"\r") == len(lines) - 1 or b"\0" in head:
        raise httpx.LocalProtocolError("a line break in a header")
    return b"%s\r\n\r\n%s" % (head, request.content)


def _unpacked(reply: Reply) -> bytes:
    """The body, of which a few packed bytes may make gigabytes."""
    coding = dict(reply.headers).get(b"content-encoding", b"identity")
    if coding.lower() == b"identity" or not reply.body:
        return reply.body
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = unpacker.decompress(reply.body, LARGEST_ANSWER + 1)
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error
    if len(body) > LARGEST_ANSWER:
        raise TooLarge
    if not unpacker.eof:
        raise httpx.DecodingError("the packed body ends too early")
    return body
