"""Opening a connection to the API: name, proxy, TLS. What fails here was not sent: httpx's exceptions tell it apart."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx
import truststore
from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]  # a bare `tuple` in it

from paperspace_storage_server.http.connection import Connection
from paperspace_storage_server.http.loopback import is_loopback
from paperspace_storage_server.http.trouble import NotThisMachine, UnknownHost

CONNECT_TIMEOUT = 10.0  # seconds for all of it
HAPPY_EYEBALLS_DELAY = 0.25  # seconds until the next address is tried beside the last (RFC 8305, 5)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a socket is opened to."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: httpx.URL) -> Origin:
        tls = url.scheme == "https"
        return cls(url.raw_host.decode("ascii"), url.port or (443 if tls else 80), tls)

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Dialer:
    """Opens connections to one API, through the proxy of the environment where that has one.

    `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read, and the settings of macOS and Windows. Plain HTTP, which goes to
    loopback only, never meets a proxy.
    """

    def __init__(self, api: httpx.URL) -> None:
        self._api = Origin.of(api)
        self._proxy = _proxy_before(self._api)
        self._context: ssl.SSLContext | None = None

    @property
    def proxy(self) -> str | None:
        """The proxy between this machine and the API, without its password."""
        return f"{self._proxy.url.scheme}://{self._proxy.url.netloc.decode('ascii')}" if self._proxy else None

    async def dial(self) -> Connection:
        """A connection on which the API answers.

        Raises:
            UnknownHost, NotThisMachine, httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError: nothing was sent.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if self._proxy is None:
                    return await self._open(self._api, Connection())
                return await self._open_through(self._proxy)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error

    async def _open_through(self, proxy: httpx.Proxy) -> Connection:
        """TLS with the API through a proxy that was asked to CONNECT."""
        connection = Connection()
        try:
            tunnel = await self._open(Origin.of(proxy.url), Connection(tunnel=True))
            reply = await tunnel.send(_connect_to(self._api, proxy), lambda: None)
        except UnknownHost:
            raise
        except httpx.TransportError as error:
            raise httpx.ProxyError(str(error)) from error
        try:
            if not 200 <= reply.status < 300:
                raise httpx.ProxyError(f"the proxy answers {reply.status}")
            loop = asyncio.get_running_loop()
            transport = await loop.start_tls(tunnel.transport, connection, self._tls(), server_hostname=self._api.host)
            if transport is None:
                raise httpx.ProxyError("the proxy closed the connection")
        except BaseException as error:
            tunnel.transport.abort()
            if isinstance(error, OSError):
                raise httpx.ConnectError(str(error)) from error
            raise
        connection.connection_made(transport)
        return connection

    async def _open(self, origin: Origin, connection: Connection) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            tls, name = (self._tls(), origin.host) if origin.tls else (None, None)
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            # Whatever a name looks like, where it leads is what counts. Of a proxy it does not: it is sent no key.
            if self._proxy is None and not origin.tls and not all(is_loopback(str(one[4][0])) for one in found):
                raise NotThisMachine(origin.host)
            reached = await start_connection(found, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY, interleave=1)
            await loop.create_connection(lambda: connection, sock=reached, ssl=tls, server_hostname=name)
        except (socket.gaierror, UnicodeError) as error:
            raise UnknownHost(origin.host) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _trust()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context


def _proxy_before(api: Origin) -> httpx.Proxy | None:
    if not api.tls or is_loopback(api.host):
        return None
    proxies = getproxies()
    url = proxies.get("https") or proxies.get("all")
    if not url or proxy_bypass(api.authority):
        return None
    try:
        proxy = httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL) as error:
        raise httpx.ProxyError(str(error)) from error
    if proxy.url.scheme not in ("http", "https") or not proxy.url.host:
        raise httpx.ProxyError("neither http://HOST nor https://HOST")
    return proxy


def _connect_to(api: Origin, proxy: httpx.Proxy) -> bytes:
    lines = [f"CONNECT {api.authority} HTTP/1.1".encode("ascii"), f"Host: {api.authority}".encode("ascii")]
    if proxy.raw_auth is not None:
        lines.append(b"Proxy-Authorization: Basic " + b64encode(b":".join(proxy.raw_auth)))
    return b"\r\n".join([*lines, b"", b""])


def own_certificates() -> tuple[str | None, str | None] | None:
    """`SSL_CERT_FILE` and `SSL_CERT_DIR`, where one of them points to something."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if (file and Path(file).is_file()) or (folder and Path(folder).is_dir()):
        return file or None, folder or None
    return None


def _trust() -> ssl.SSLContext:
    """The operator's own certificates, else the system's trust store (macOS, Windows, Linux)."""
    if own := own_certificates():
        return ssl.create_default_context(cafile=own[0], capath=own[1])
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
