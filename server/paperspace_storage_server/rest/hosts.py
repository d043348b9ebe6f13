"""Under which names the REST surface is asked. It knows no token and no operation.

A page in a browser whose own name leads here (DNS rebinding), and a proxy that was set up wrongly, ask under another.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.rest.problems import Problem

Known = Callable[[str], bool]
"""Whether this server is called by that `Host`."""


def on_loopback(bound: str) -> Known:
    """The names of loopback and the address that it is bound to, with any port."""
    bare = bound.strip("[]").lower()
    names = {"127.0.0.1", "localhost", "[::1]", f"[{bare}]" if ":" in bare else bare}

    def known(host: str) -> bool:
        name, colon, port = host.rpartition(":")
        return host in names or (bool(colon) and port.isdigit() and name in names)

    return known


def of_public(url: str) -> Known:
    """The host of this URL, with its port where that is not the scheme's own."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    bare = parts.netloc.lower().removesuffix(f":{default}")
    return {bare, f"{bare}:{default}" if parts.port in (None, default) else bare}.__contains__


class KnownHosts:
    """ASGI: turns away who asks under a name that is not known."""

    def __init__(self, app: ASGIApp, known: Known) -> None:
        self._app = app
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts: list[bytes] = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and self._known(hosts[0].decode("latin-1").lower()):
            await self._app(scope, receive, send)
            return
        detail = "This server is not called by that Host. PAPERSPACE_MCP_PUBLIC_URL says how clients call it."
        await Problem(421, "misdirected", detail).response()(scope, receive, send)
