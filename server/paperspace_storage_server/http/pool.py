"""The httpx client: one pool for the server's life, over aiohttp's connections.

httpx on its own transport took twice the time of httpx on aiohttp's connections (docs/performance.md). The imports
are heavy, so this module is loaded when the first request is made.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import truststore
from starlette.types import ASGIApp
from yarl import URL

from paperspace_storage_server.http.trouble import TooLarge
from paperspace_storage_server.loopback import is_loopback

Headers = (
    httpx.Headers
    | Mapping[str, str]
    | Mapping[bytes, bytes]
    | Sequence[tuple[str, str]]
    | Sequence[tuple[bytes, bytes]]
)
MAX_CONNECTIONS = 32
CONNECT_TIMEOUT = 10.0  # seconds
LARGEST_ANSWER = 32 * 1024 * 1024  # bytes, decompressed

_KEPT = frozenset({b"content-type", b"retry-after"})  # all that is ever read of an answer's headers


def open_pool(base_url: str, app: ASGIApp | None = None) -> httpx.AsyncClient:
    """A client for the API at `base_url`, or for an in-process `app` (the sandbox)."""
    if app is not None:
        return DirectClient(httpx.ASGITransport(app, raise_app_exceptions=False))
    return DirectClient(AiohttpTransport(lambda: _session(is_loopback(urlsplit(base_url).hostname or ""))))


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


class AiohttpTransport(httpx.AsyncBaseTransport):
    """httpx's transport interface over one aiohttp session.

    It lets aiohttp's own exceptions through: they tell a refused connection from one that was lost after the
    request went out, which decides whether a write may be repeated. The package httpx-aiohttp maps both to
    `ConnectTimeout`.
    """

    def __init__(self, open_session: Callable[[], aiohttp.ClientSession]) -> None:
        self._open_session = open_session
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._session is None:
            self._session = self._open_session()
        # encoded=True: the path was quoted once, and an id must stay the segment it was quoted to.
        url = URL(str(request.url), encoded=True)
        headers = [(name.decode("ascii"), value.decode("utf-8")) for name, value in request.headers.raw]
        async with self._session.request(
            request.method, url, headers=headers, data=request.content or None, allow_redirects=False
        ) as answer:
            body = await _read(answer)
            kept = [(name, value) for name, value in answer.raw_headers if name.lower() in _KEPT]
            return httpx.Response(answer.status, headers=kept, content=body, request=request)

    async def aclose(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, decompressed, up to a bound."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise TooLarge
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _session(loopback: bool) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=_ssl_context(), ttl_dns_cache=60),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        trust_env=not loopback,  # HTTPS_PROXY, NO_PROXY; a proxy never stands before loopback
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers={"Content-Type"},
    )
    # aiohttp repeats a GET, PUT or DELETE by itself when a kept-alive connection was dead. Repeats are counted,
    # paced and bounded in one place (retry.py), so that one is switched off; there is no public way.
    setattr(session, "_retry_connection", False)  # noqa: B010 - private, see above
    return session


def _ssl_context() -> ssl.SSLContext:
    """`SSL_CERT_FILE` or `SSL_CERT_DIR` where set, else the system's trust store (macOS, Windows, Linux)."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if (file and Path(file).is_file()) or (folder and Path(folder).is_dir()):
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
