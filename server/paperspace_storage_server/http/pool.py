"""The httpx client: one pool for the server's life, over aiohttp's connections.

httpx on its own transport took twice the time of httpx on aiohttp's (see docs/performance.md). The imports are
heavy, so this module is loaded when the first request is made, or while the host's first message is awaited.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import httpx
import truststore
from httpx_aiohttp import AiohttpTransport
from starlette.types import ASGIApp

from paperspace_storage_server.loopback import is_loopback

MAX_CONNECTIONS = 32
CONNECT_TIMEOUT = 10.0  # seconds


def open_pool(base_url: str, app: ASGIApp | None = None) -> httpx.AsyncClient:
    """A client for the API at `base_url`, or for an in-process `app` (the sandbox)."""
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
    if app is not None:
        transport: httpx.AsyncBaseTransport = httpx.ASGITransport(app, raise_app_exceptions=False)
    else:
        context = ssl_context()
        loopback = is_loopback(urlsplit(base_url).hostname or "")

        def session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=context, ttl_dns_cache=60)
            made = aiohttp.ClientSession(
                connector=connector,
                trust_env=not loopback,  # HTTPS_PROXY, NO_PROXY; a proxy never stands before loopback
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers={"Content-Type"},
            )
            # aiohttp repeats a GET, PUT or DELETE by itself when a kept-alive connection was dead. Repeats are
            # counted, paced and bounded in one place (retry.py), so that one is switched off; there is no public way.
            setattr(made, "_retry_connection", False)  # noqa: B010
            return made

        transport = AiohttpTransport(verify=context, client=session)
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


def ssl_context() -> ssl.SSLContext:
    """`SSL_CERT_FILE` or `SSL_CERT_DIR` where set, else the system's trust store (macOS, Windows, Linux)."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if (file and Path(file).is_file()) or (folder and Path(folder).is_dir()):
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
