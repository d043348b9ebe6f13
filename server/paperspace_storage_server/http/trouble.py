"""What went wrong with a request that got no answer: which kind it was, and whether the API may have acted.

Read off httpx's exceptions, as `pool.py` raises them: those of connecting say that nothing was sent.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace

import httpx

from paperspace_storage_tools.errors import Changed, Failure, Malformed, TimedOut, Unreachable


class TooLarge(Exception):
    """The answer is longer than any that the API has reason to give."""


class UnknownHost(httpx.ConnectError):
    """DNS does not know the name: the API's, or a proxy's. Both are the operator's own words."""

    def __init__(self, host: str) -> None:
        super().__init__(f"unknown host: {host}")
        self.host = host


class NotThisMachine(httpx.ConnectError):
    """A name that plain HTTP was to be spoken with leads to another machine: the key would cross a network in clear."""

    def __init__(self, host: str) -> None:
        super().__init__(f"not this machine: {host}")
        self.host = host


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request without a usable answer. `sent`: the API may have acted. `lasting`: a repeat cannot help. `answered`:
    there is one, of no use."""

    what: str
    advice: str
    sent: bool
    lasting: bool = False
    timed_out: bool = False
    answered: bool = False

    def failure(self, *, seconds: float, tries: int, doubt: bool) -> Failure:
        """The typed failure. `doubt`: the request was a write and the API may have acted."""
        changed: Changed = "unknown" if doubt else "nothing"
        if self.timed_out:
            return TimedOut(seconds, tries, changed)
        if self.answered:
            return Malformed(self.what, changed)
        return Unreachable(self.what, self.advice, tries, changed)


_NETWORK = "Ask the person to check the network and PAPERSPACE_API_URL, then try again."


# Codes of OpenSSL (x509_vfy.h), macOS (SecBase.h) and Windows (winerror.h), as truststore hands them on.
_OTHER_NAME = frozenset({62, 64, -67602, 0x800B010F})
_OTHER_TIME = frozenset({9, 10, -67818, -67819, 0x800B0101})


def trouble_of(error: BaseException, *, on_wire: bool = True) -> Trouble:
    """Name the trouble of a try whose first byte had gone out, or not.

    Of an exception that is not known the careful side is taken: it counts as sent where anything went out.
    """
    trouble = _named(error, on_wire)
    return trouble if on_wire else replace(trouble, sent=False)


def _named(error: BaseException, on_wire: bool) -> Trouble:
    match error:
        case TooLarge():
            return Trouble("it is larger than 4 MiB", _NETWORK, sent=True, lasting=True, answered=True)
        case httpx.ProxyError():
            return Trouble(
                "The proxy does not let the request through",
                "Ask the person to check HTTPS_PROXY and NO_PROXY.",
                sent=False,
            )
        case UnknownHost(host=host):
            return Trouble(
                f"The host name {host} cannot be resolved (DNS)",
                "Ask the person to check PAPERSPACE_API_URL, HTTPS_PROXY, the network and its DNS.",
                sent=False,
            )
        case httpx.ConnectTimeout():
            return Trouble("The API could not be reached in time", _NETWORK, sent=False)
        case NotThisMachine(host=host):
            return Trouble(
                f"Plain http is for this machine only, and {host} leads to another one",
                "Ask the person to set PAPERSPACE_API_URL to https, or to 127.0.0.1.",
                sent=False,
                lasting=True,
            )
        case httpx.ConnectError(__cause__=ssl.SSLCertVerificationError(verify_code=code)) if code in _OTHER_NAME:
            return Trouble(
                "The API's TLS certificate is for another host name",
                "Ask the person to check the host in PAPERSPACE_API_URL, and whether DNS or a proxy leads elsewhere.",
                sent=False,
                lasting=True,
            )
        case httpx.ConnectError(__cause__=ssl.SSLCertVerificationError(verify_code=code)) if code in _OTHER_TIME:
            return Trouble(
                "The API's TLS certificate has expired, or is not valid yet",
                "Ask the person to check this machine's clock; if it is right, only the API's operator can renew it.",
                sent=False,
                lasting=True,
            )
        case httpx.ConnectError(__cause__=ssl.SSLCertVerificationError()):
            return Trouble(
                "The API's TLS certificate is not trusted",
                "Behind a corporate proxy the person can set SSL_CERT_FILE to its CA certificate.",
                sent=False,
                lasting=True,
            )
        case httpx.ConnectError(__cause__=ssl.SSLError()):
            return Trouble(
                "The TLS connection to the API failed",
                "Ask the person to check PAPERSPACE_API_URL (https, port) and any proxy.",
                sent=False,
            )
        case httpx.ConnectError(__cause__=ConnectionRefusedError()):
            return Trouble("The connection to the API was refused", _NETWORK, sent=False)
        case (
            httpx.ConnectError()
            | httpx.LocalProtocolError()
            | httpx.UnsupportedProtocol()
            | httpx.InvalidURL()
            | UnicodeError()
        ):
            return Trouble("No connection to the API could be made", _NETWORK, sent=False)
        case TimeoutError() if not on_wire:
            return Trouble(
                "No connection to the API became free in time",
                "Too many calls are under way at once: try again in a minute, with fewer.",
                sent=False,
            )
        case TimeoutError() | httpx.TimeoutException():
            return Trouble("No answer in time", _NETWORK, sent=True, timed_out=True)
        case httpx.RemoteProtocolError() | httpx.DecodingError():
            return Trouble("What came back is no HTTP, or is damaged", _NETWORK, sent=True)
        case _:
            return Trouble("The connection to the API was lost", "Try again in a minute.", sent=True)
