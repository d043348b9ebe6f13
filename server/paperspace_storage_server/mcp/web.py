"""MCP over HTTP on uvicorn: Streamable HTTP at /mcp, or the deprecated SSE at /sse. Loopback only."""

from __future__ import annotations

import os
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
from mcp.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from paperspace_storage_server.process.life import end_within

GRACE = 1  # seconds for answers under way when the process is told to end
LAST_RESORT = 1.7  # seconds after which it ends in any case; 2 s is promised
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


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's own, but a tool that blocks the event loop does not keep the process."""
        super().handle_exit(sig, frame)
        end_within(LAST_RESORT)


async def serve_app(app: Starlette, host: str, port: int, *, what: str) -> None:
    """Serve on uvicorn until SIGTERM or SIGINT; says the address on stderr, so that port 0 is of use."""
    listener = _listen(host.strip("[]"), port)
    # h11: with httptools, which uvicorn would take, the conformance scenario http-header-validation fails.
    config = uvicorn.Config(app, http="h11", log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE)
    server = _Server(config)
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    print(f"{what} on http://{shown}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)  # noqa: T201 - for a person at a terminal
    try:
        await server.serve(sockets=[listener])
    finally:
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket that names its protocol: asyncio sets TCP_NODELAY on accepted connections only then, and
    without it every answer waits 40 ms for the client's delayed acknowledgement."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
