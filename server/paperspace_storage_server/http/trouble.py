"""What went wrong with a request that got no answer: which kind it was, and whether the API may have acted.

The pool lets aiohttp's exceptions through, because they tell a connection that was refused from one that was
lost after the request went out; only the latter may have made the API act.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import httpx

from paperspace_storage_tools.errors import Changed, Failure, Malformed, TimedOut, Unreachable


class TooLarge(Exception):
    """The answer is longer than any that the API has reason to give."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request without a usable answer. `sent`: the API may have acted. `lasting`: a repeat cannot help."""

    what: str
    advice: str
    sent: bool
    lasting: bool = False
    timed_out: bool = False

    def failure(self, *, seconds: float, tries: int, doubt: bool) -> Failure:
        """The typed failure. `doubt`: the request was a write and the API may have acted."""
        changed: Changed = "unknown" if doubt else "nothing"
        if self.timed_out:
            return TimedOut(seconds, tries, changed)
        if self.what == TOO_LARGE:
            return Malformed(self.what, changed)
        return Unreachable(self.what, self.advice, tries, changed)


TOO_LARGE = "it is larger than 32 MiB"
_NETWORK = "Ask the person to check the network and PAPERSPACE_API_URL, then try again."


def trouble_of(error: BaseException) -> Trouble:
    """Name the trouble. Unknown exceptions count as sent: the careful side."""
    if isinstance(error, TooLarge):
        return Trouble(TOO_LARGE, _NETWORK, sent=True, lasting=True)
    chain = list(_chain(error))

    def find(*types: type[BaseException]) -> bool:
        return any(isinstance(one, types) for one in chain)

    if find(aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError):
        return Trouble(
            "The proxy does not let the request through",
            "Ask the person to check HTTPS_PROXY and NO_PROXY.",
            sent=False,
        )
    if find(aiohttp.ClientConnectorDNSError, socket.gaierror):
        return Trouble(
            f"The host name {_host(chain)} cannot be resolved (DNS)",
            "Ask the person to check PAPERSPACE_API_URL, HTTPS_PROXY, the network and its DNS.",
            sent=False,
        )
    if find(aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError):
        return Trouble(
            "The API's TLS certificate is not trusted",
            "Behind a corporate proxy the person can set SSL_CERT_FILE to its CA certificate.",
            sent=False,
            lasting=True,
        )
    if find(aiohttp.ClientConnectorSSLError, aiohttp.ClientSSLError):
        return Trouble(
            "The TLS connection to the API failed",
            "Ask the person to check PAPERSPACE_API_URL (https, port) and any proxy.",
            sent=False,
        )
    if find(aiohttp.ConnectionTimeoutError):
        return Trouble("The API could not be reached in time", _NETWORK, sent=False)
    if find(ConnectionRefusedError):
        return Trouble("The connection to the API was refused", _NETWORK, sent=False)
    if find(aiohttp.ClientConnectorError, httpx.UnsupportedProtocol):
        return Trouble("No connection to the API could be made", _NETWORK, sent=False)
    if find(TimeoutError, aiohttp.ServerTimeoutError):
        return Trouble("No answer in time", _NETWORK, sent=True, timed_out=True)
    if find(aiohttp.ClientResponseError, httpx.DecodingError):
        return Trouble("What came back is no HTTP, or is damaged", _NETWORK, sent=True)
    return Trouble("The connection to the API was lost", "Try again in a minute.", sent=True)


def _host(chain: list[BaseException]) -> str:
    """The name that was looked up: the API's, or a proxy's. Both are the operator's own words."""
    return next((one.host for one in chain if isinstance(one, aiohttp.ClientConnectorError)), "of the API")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
