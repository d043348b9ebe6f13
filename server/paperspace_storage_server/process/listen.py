"""Serving an ASGI application on a port of this machine, until a signal ends it. Knows no protocol above HTTP."""

from __future__ import annotations

import os
import socket
import sys
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from paperspace_storage_server.process.life import end_within

GRACE = 1  # seconds for answers under way when the process is told to end
LAST_RESORT = 1.7  # seconds after which it ends in any case; 2 s is promised


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's own, but a tool that blocks the event loop does not keep the process."""
        super().handle_exit(sig, frame)
        end_within(LAST_RESORT)


async def serve_app(app: ASGIApp, host: str, port: int, *, what: str) -> None:
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
