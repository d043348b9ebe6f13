"""What keeps a request from its answer is named so that a person can mend it, on whichever system it happens."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import httpx
import pytest

from paperspace_storage_server.http import dial
from paperspace_storage_server.http.dial import Dialer
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.http.trouble import NotThisMachine, TooLarge, Trouble, UnknownHost, trouble_of

pytestmark = pytest.mark.anyio
OTHER_NAME = "The API's TLS certificate is for another host name"
OTHER_TIME = "The API's TLS certificate has expired, or is not valid yet"
NOT_TRUSTED = "The API's TLS certificate is not trusted"


def certificate(code: int) -> httpx.ConnectError:
    cause = ssl.SSLCertVerificationError()
    cause.verify_code = code
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("code", "what"),
    [
        # OpenSSL: X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH, _CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED
        (62, OTHER_NAME),
        (64, OTHER_NAME),
        (9, OTHER_TIME),
        (10, OTHER_TIME),
        # macOS: errSecHostNameMismatch, errSecCertificateExpired, errSecCertificateNotValidYet
        (-67602, OTHER_NAME),
        (-67818, OTHER_TIME),
        (-67819, OTHER_TIME),
        # Windows: CERT_E_CN_NO_MATCH, CERT_E_EXPIRED
        (0x800B010F, OTHER_NAME),
        (0x800B0101, OTHER_TIME),
        # Anything else: self-signed, an authority that nobody knows, email (63), a date that is none (8, 11)
        *((code, NOT_TRUSTED) for code in (0, 1, 8, 11, 18, 20, 61, 63, 65, 67602, 67818, -67601, -67820, 0x800B0109)),
    ],
)
def test_a_certificate_that_is_refused_is_named_by_its_reason(code: int, what: str) -> None:
    trouble = trouble_of(certificate(code))
    assert (trouble.what, trouble.sent, trouble.lasting, trouble.timed_out) == (what, False, True, False)


def caused(cause: Exception) -> httpx.ConnectError:
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "what", "sent", "lasting", "timed_out"),
    [
        (TooLarge(), "it is larger than 4 MiB", True, True, False),
        (httpx.ProxyError("x"), "The proxy does not let the request through", False, False, False),
        (UnknownHost("h"), "The host name h cannot be resolved (DNS)", False, False, False),
        (NotThisMachine("h"), "Plain http is for this machine only, and h leads to another one", False, True, False),
        (httpx.ConnectTimeout("x"), "The API could not be reached in time", False, False, False),
        (caused(ssl.SSLError()), "The TLS connection to the API failed", False, False, False),
        (caused(ConnectionRefusedError()), "The connection to the API was refused", False, False, False),
        (httpx.ConnectError("x"), "No connection to the API could be made", False, False, False),
        (httpx.InvalidURL("x"), "No connection to the API could be made", False, False, False),
        (TimeoutError(), "No answer in time", True, False, True),
        (httpx.ReadTimeout("x"), "No answer in time", True, False, True),
        (httpx.RemoteProtocolError("x"), "What came back is no HTTP, or is damaged", True, False, False),
        (httpx.DecodingError("x"), "What came back is no HTTP, or is damaged", True, False, False),
        (httpx.ReadError("x"), "The connection to the API was lost", True, False, False),
        (ValueError("x"), "The connection to the API was lost", True, False, False),
    ],
)
def test_each_trouble_is_named_and_says_whether_the_api_may_have_acted_and_whether_a_repeat_may_help(
    error: Exception, what: str, sent: bool, lasting: bool, timed_out: bool
) -> None:
    trouble = trouble_of(error)
    assert (trouble.what, trouble.sent, trouble.lasting, trouble.timed_out) == (what, sent, lasting, timed_out)
    before = trouble_of(error, on_wire=False)
    assert not before.sent
    if isinstance(error, TimeoutError):
        assert before == Trouble(
            "No connection to the API became free in time",
            "Too many calls are under way at once: try again in a minute, with fewer.",
            sent=False,
        )


def test_pauses_grow_from_half_a_second_to_eight() -> None:
    policy = RetryPolicy(9, jitter=lambda low, high: high - low)
    pauses = [
        policy.pause("GET", attempt, status=503, retry_after=None, sent=True, left=50) for attempt in range(1, 10)
    ]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, None]
    assert RetryPolicy().max_attempts == 4


# --- how a connection is opened


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def test_a_host_has_10_seconds_for_a_connection_and_its_next_address_is_tried_after_a_quarter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[float] = []
    tried: list[dict[str, Any]] = []
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 1)) for last in (1, 2)]

    def timeout(delay: float) -> asyncio.Timeout:
        limits.append(delay)
        return asyncio.Timeout(None)

    async def resolve(*_: object, **__: object) -> object:
        return addresses

    async def connect(found: object, **how: Any) -> socket.socket:
        tried.append({"found": found, **how})
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "timeout", timeout)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(dial, "start_connection", connect)
    with pytest.raises(httpx.ConnectError):
        await Dialer(httpx.URL("http://127.0.0.1:1")).dial()
    assert limits == [10.0]
    assert tried == [{"found": addresses, "happy_eyeballs_delay": 0.25, "interleave": 1}]


@pytest.mark.parametrize(("address", "reached"), [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False)])
async def test_plain_http_goes_where_all_addresses_of_a_name_are_this_machine(
    address: str, reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key would cross the network in clear."""

    async def resolve(*_: object, **__: object) -> object:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 1)) for one in ("127.0.0.1", address)]

    async def connect(*_: object, **__: object) -> socket.socket:
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(dial, "start_connection", connect)
    with pytest.raises(httpx.ConnectError) as caught:
        await Dialer(httpx.URL("http://api.localhost:1")).dial()
    assert isinstance(caught.value, NotThisMachine) is not reached


async def test_a_proxy_without_tls_may_be_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is told is where to; the key goes through it in TLS with the API."""
    tried: list[object] = []
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 3128))

    async def resolve(*_: object, **__: object) -> object:
        return [address]

    async def connect(found: object, **_: object) -> socket.socket:
        tried.append(found)
        raise ConnectionRefusedError

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(dial, "start_connection", connect)
    with pytest.raises(httpx.ProxyError):
        await Dialer(httpx.URL("https://api.invalid/v1")).dial()
    assert tried == [[address]]
