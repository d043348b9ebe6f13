"""Whether the API can be reached at all, and what stands on the way: a proxy, certificates. Nothing is asked of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Literal, TypeAlias

import httpx

from paperspace_storage_server.http.dial import Dialer, Origin, own_certificates
from paperspace_storage_server.http.trouble import Trouble, UnknownHost, trouble_of

Stage: TypeAlias = Literal["proxy", "URL", "TLS"]


@dataclass(frozen=True, slots=True)
class Reached:
    """The way to the API. `trouble` happened at `stage`; both are None where a connection could be opened."""

    proxy: str | None
    trust: str | None  # what certificates are checked against; None for plain http
    trouble: Trouble | None = None
    stage: Stage | None = None


async def reach(url: str) -> Reached:
    """Open a connection to the API, and close it."""
    api = httpx.URL(url)
    trust = None
    if Origin.of(api).tls:
        own = own_certificates()
        named = [name for name, path in zip(("SSL_CERT_FILE", "SSL_CERT_DIR"), own or (), strict=False) if path]
        trust = " and ".join(named) or "the system's trust store"
    proxy = None
    try:
        dialer = Dialer(api)
        proxy = dialer.proxy
        connection = await dialer.dial()
    except Exception as error:  # whatever a transport raises, as in `Http`
        stage: Stage = "TLS" if isinstance(error.__cause__, ssl.SSLError) else "URL"
        # With a proxy, the one name that is looked up here is the proxy's.
        if isinstance(error, httpx.ProxyError) or (proxy and isinstance(error, UnknownHost)):
            stage = "proxy"
        return Reached(proxy, trust, trouble_of(error, on_wire=False), stage)
    connection.transport.abort()
    return Reached(proxy, trust)
