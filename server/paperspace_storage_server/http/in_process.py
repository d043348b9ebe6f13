"""The way to an API in this process, the sandbox: httpx's transports behind our protocol. Opens no socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx
from starlette.types import ASGIApp

from paperspace_storage_server.http.transport import RawAnswer


class ThroughHttpx:
    """Hands each request to one of httpx's transports, without the steps of its client: they are for redirects (the
    key must not travel), cookies and defaults that this server does not have."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    @classmethod
    def to(cls, app: ASGIApp) -> ThroughHttpx:
        """An error in the application is a 500, as it would be over a socket."""
        return cls(httpx.ASGITransport(app, raise_app_exceptions=False))

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        request = httpx.Request(method, url, headers=headers, content=content)
        on_wire()
        response = await self._transport.handle_async_request(request)
        await response.aread()
        kept = response.headers
        return RawAnswer(response.status_code, kept.get("content-type", ""), kept.get("retry-after"), response.content)

    async def aclose(self) -> None:
        await self._transport.aclose()
