"""MCP over HTTP: Streamable HTTP at /mcp, or the deprecated SSE at /sse. Loopback only."""

from __future__ import annotations

from typing import Any

from mcp.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

LARGEST_BODY = 1024 * 1024  # bytes of a request

_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SECURITY = TransportSecuritySettings(
    enable_dns_rebinding_protection=True,
    allowed_hosts=[name for host in _HOSTS for name in (host, f"{host}:*")],
    allowed_origins=[f"http://{host}{port}" for host in _HOSTS for port in ("", ":*")],
)
"""A web page that a person has open must not reach this server by DNS rebinding."""


def streamable_http_app(server: Server[Any]) -> Starlette:
    return server.streamable_http_app(transport_security=SECURITY, max_request_body_size=LARGEST_BODY)


def sse_app(server: Server[Any]) -> Starlette:
    sse = SseServerTransport("/messages/", security_settings=SECURITY, max_request_body_size=LARGEST_BODY)

    async def connect(request: Request) -> Response:
        async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):  # pyright: ignore[reportPrivateUsage]  # the SDK's own example: Starlette hands no send to an endpoint
            await server.run(read, write, server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/sse", connect), Mount("/messages/", app=sse.handle_post_message)])
