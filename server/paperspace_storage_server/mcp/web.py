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


def streamable_http_app(server: Server[Any], bound: str = "127.0.0.1") -> Starlette:
    return server.streamable_http_app(transport_security=security(bound), max_request_body_size=LARGEST_BODY)


def sse_app(server: Server[Any], bound: str = "127.0.0.1") -> Starlette:
    sse = SseServerTransport("/messages/", security_settings=security(bound), max_request_body_size=LARGEST_BODY)

    async def connect(request: Request) -> Response:
        async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):  # pyright: ignore[reportPrivateUsage]  # the SDK's own example: Starlette hands no send to an endpoint
            await server.run(read, write, server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/sse", connect), Mount("/messages/", app=sse.handle_post_message)])
