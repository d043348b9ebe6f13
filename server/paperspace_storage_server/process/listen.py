"""Serving an ASGI application on a port of this machine, until a signal ends it. Knows no protocol above HTTP."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from paperspace_storage_server.process.bounded import BACKLOG, BoundedHttp, Bounds
from paperspace_storage_server.process.life import end_within

GRACE = 1.0  # seconds for answers under way when the process is told to end
KEPT = 75
"""Seconds for which a connection between two requests is kept: longer than balancers keep theirs (nginx and those
of the clouds 60), for who sends a POST into one that is being closed gets no answer, and may not repeat it."""
LAST_RESORT = 0.7  # seconds after that, after which it ends in any case; 2 s is promised on one's own machine


@dataclass(frozen=True, slots=True)
class Ending:
    """How a server ends that was told to: `told` is called at once; for `turning_away` seconds it still listens, so
    that balancers see that it is not ready; then calls under way have `grace` seconds."""

    told: Callable[[], None] = lambda: None
    turning_away: float = 0.0
    grace: float = GRACE


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate chain and its key, as PEM files."""

    cert: Path
    key: Path


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ending: Ending, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config)
        self._ending = ending
        self._loop = loop
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's own, but a tool that blocks the event loop does not keep the process, and SIGTERM is not raised
        again after the last answer: what is open is still to be closed then."""
        first, self._told = not self._told, True
        if sig != signal.SIGTERM:
            self._captured_signals.append(sig)
        if not first:
            self.should_exit = True
            self.force_exit = self.force_exit or sig == signal.SIGINT
            return
        self._loop.call_soon_threadsafe(self._ending.told)
        end_within(self._ending.turning_away + self._ending.grace + LAST_RESORT)
        if self._ending.turning_away:
            self._loop.call_soon_threadsafe(self._loop.call_later, self._ending.turning_away, self._stop_listening)
        else:
            self._stop_listening()

    def _stop_listening(self) -> None:
        self.should_exit = True


async def serve_app(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    what: str,
    ending: Ending | None = None,
    tls: Tls | None = None,
    proxies: Sequence[str] = (),
) -> None:
    """Serve on uvicorn until SIGTERM or SIGINT; says the address on stderr, so that port 0 is of use.

    What `proxies` (addresses and networks) say of a client in `X-Forwarded-*` is believed.

    Raises:
        OSError: nothing can listen there, or the certificate cannot be read.
    """
    listener = _listen(host.strip("[]"), port)
    ending = ending or Ending()
    config = uvicorn.Config(
        Bounds(app),
        http=BoundedHttp,
        backlog=BACKLOG,
        timeout_keep_alive=KEPT,
        ws="none",  # whatever library is installed: nothing here speaks it
        log_config=None,  # what uvicorn says goes the way of all logs: masked, and never waited for
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
        timeout_graceful_shutdown=math.ceil(ending.grace),
    )
    try:
        config.load()
    except BaseException:
        listener.close()
        raise
    server = _Server(config, ending, asyncio.get_running_loop())
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    scheme = "https" if tls else "http"
    print(f"{what} on {scheme}://{shown}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)  # noqa: T201 - for a person at a terminal
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
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
