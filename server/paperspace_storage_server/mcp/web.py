"""MCP over HTTP: Streamable HTTP, on loopback or as a hosted endpoint, and the deprecated SSE at /sse on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from mcp.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http import LAST_EVENT_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.inbound import MCP_METHOD_HEADER
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paperspace_storage_server.mcp.sessions import Sessions
from paperspace_storage_server.mcp.step_up import Refuse, StepUp
from paperspace_storage_server.mcp.streamable import StreamableHttp

LARGEST_BODY = 1024 * 1024  # bytes of a request

_LAST_EVENT = LAST_EVENT_ID_HEADER.lower().encode()
_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def security(bound: str) -> TransportSecuritySettings:
    """A web page that a person has open must not reach this server by DNS rebinding: it is reached under the names of
    loopback, and the address that it is bound to (127.0.0.2, say), only."""
    bare = bound.strip("[]").lower()
    hosts = dict.fromkeys((*_HOSTS, f"[{bare}]" if ":" in bare else bare))
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[name for host in hosts for name in (host, f"{host}:*")],
        allowed_origins=[f"http://{host}{port}" for host in hosts for port in ("", ":*")],
    )


def streamable_http_app(server: Server[Any], bound: str = "127.0.0.1") -> ASGIApp:
    return _endpoint(server, "/mcp", security(bound), stateless=False)


def _endpoint(server: Server[Any], path: str, guard: TransportSecuritySettings, *, stateless: bool) -> ASGIApp:
    """Sessions are ours; what has none, of either era, is the SDK's."""
    sdk = StreamableHTTPSessionManager(
        server, stateless=True, security_settings=guard, max_request_body_size=LARGEST_BODY
    )
    sessions = None if stateless else StreamableHttp(server, guard, sdk.handle_request, LARGEST_BODY)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with sdk.run():
            if sessions is None:
                yield
            else:
                async with sessions.run():
                    yield

    endpoint: ASGIApp = sdk.asgi_app if sessions is None else sessions
    others = Starlette(routes=[Route(path, endpoint)], lifespan=lifespan)

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        # Nearly every request is for the one path; Starlette's layers would be a tenth of its time.
        await (endpoint if scope["type"] == "http" and scope["path"] == path else others)(scope, receive, send)

    return routed


def hosted_app(
    server: Server[Any],
    *,
    url: str | None,
    bound: str,
    origins: Sequence[str],
    stateless: bool,
    refuse: Refuse,
    ended: asyncio.Event,
) -> ASGIApp:
    """The endpoint of a hosted server, behind a gate that leaves a `Principal`.

    `url` is what clients call it, None where that is loopback. `stateless`: a session of the older era would live at
    one replica only, so there is none. Listening streams are closed when the server has `ended`.
    """
    guard = _security_of(url, origins) if url else security(bound)
    app = _endpoint(server, path_of(url), guard, stateless=stateless)
    return StepUp(_Ending(app if stateless else Sessions(app), ended), refuse)


def path_of(url: str | None) -> str:
    """Where the endpoint is served: at the path that clients call."""
    return urlsplit(url).path or "/" if url else "/mcp"


def _security_of(url: str, origins: Sequence[str]) -> TransportSecuritySettings:
    """The hosts and origins that a public endpoint is asked under, and no others."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    authority = parts.netloc.lower()
    bare = authority.removesuffix(f":{default}")
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[bare, f"{bare}:{default}"] if parts.port in (None, default) else [authority],
        allowed_origins=[f"{parts.scheme}://{bare}", *origins],
    )


class _Ending:
    """ASGI: closes listening streams when the server is about to end."""

    def __init__(self, app: ASGIApp, ended: asyncio.Event) -> None:
        self._app = app
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _listens(scope):
            # No event is kept, so none can be sent again; the SDK would answer whoever asks for that with nothing.
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != _LAST_EVENT]
            await self._until_the_end(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _until_the_end(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = whole = False

        async def noted(message: Message) -> None:
            nonlocal begun, whole
            begun = True
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def until() -> Message:
            coming = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(self._ended.wait())
            try:
                await asyncio.wait([coming, over], return_when=asyncio.FIRST_COMPLETED)
                return coming.result() if coming.done() else {"type": "http.disconnect"}
            finally:
                coming.cancel()
                over.cancel()

        await self._app(scope, until, noted)
        if begun and not whole:
            await send({"type": "http.response.body", "body": b""})  # ended by us, so that it is an end
        elif not begun and self._ended.is_set():
            await Response(status_code=503, headers={"Retry-After": "1"})(scope, receive, send)  # another replica's


def _listens(scope: Scope) -> bool:
    """Whether a request only waits for what the server may have to say: it would outlast every call."""
    return scope["method"] == "GET" or (MCP_METHOD_HEADER.encode(), b"subscriptions/listen") in scope["headers"]


def sse_app(server: Server[Any], bound: str = "127.0.0.1") -> Starlette:
    sse = SseServerTransport("/messages/", security_settings=security(bound), max_request_body_size=LARGEST_BODY)

    async def connect(request: Request) -> Response:
        async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):  # pyright: ignore[reportPrivateUsage]  # the SDK's own example: Starlette hands no send to an endpoint
            await server.run(read, write, server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/sse", connect), Mount("/messages/", app=sse.handle_post_message)])
