"""Troubles before any answer are told apart by their text, with what to check; and what an answer may weigh."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from mcp import Client

from paperspace_storage_server.http import dial
from paperspace_storage_server.http.trouble import trouble_of
from paperspace_storage_server.mcp.server import build_server
from support.fault_proxy import Fault, Reply, Rule
from support.faulted import Sleeps, faulted, outcome, service_at
from support.loopback_tls import answering, closed_port, plain_only, port, self_signed, silent

pytestmark = pytest.mark.anyio
EMPTY = b'{"hasMore":false,"items":[]}'


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def _client(url: str, *, budget: float = 50.0) -> AsyncGenerator[tuple[Client, Sleeps]]:
    sleeps = Sleeps()
    async with AsyncExitStack() as stack:
        service = service_at(url, sleeps, dialect="live", budget=budget)
        stack.push_async_callback(service.aclose)
        yield await stack.enter_async_context(Client(build_server(service))), sleeps


async def _list(url: str, *, budget: float = 50.0) -> tuple[bool, str]:
    async with _client(url, budget=budget) as (client, _):
        return outcome(await client.call_tool("list_shared_drives", {}))


async def _create(url: str, *, budget: float = 50.0) -> tuple[bool, str]:
    arguments = {"name": "a", "size": 1, "region": "ny2", "privateNetworkId": "ne1"}
    async with _client(url, budget=budget) as (client, _):
        return outcome(await client.call_tool("create_shared_drive", arguments))


async def test_a_refused_port_is_named_and_nothing_was_changed() -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    text = (
        "The connection to the API was refused after 4 tries. Ask the person to check the network and "
        "PAPERSPACE_API_URL, then try again."
    )
    assert await _list(url) == (False, text)
    assert await _create(url) == (False, f"{text} Nothing was changed.")


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_name_that_dns_does_not_know_is_named(proxied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unknown(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    async with _client("https://api.invalid/v1") as (client, _):
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        answer = outcome(await client.call_tool("list_shared_drives", {}))
        monkeypatch.undo()
    name = "proxy.invalid" if proxied else "api.invalid"
    assert set(asked) == {name}
    assert answer == (
        False,
        f"The host name {name} cannot be resolved (DNS) after 4 tries. Ask the person to check PAPERSPACE_API_URL, "
        "HTTPS_PROXY, the network and its DNS.",
    )


async def test_an_untrusted_certificate_is_named_at_once_and_ssl_cert_file_makes_it_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path)
    async with port(answering("200 OK\r\ncontent-type: application/json", EMPTY), context) as number:
        url = f"https://127.0.0.1:{number}/v1"
        untrusted = (
            False,
            "The API's TLS certificate is not trusted. Behind a corporate proxy the person can set SSL_CERT_FILE to "
            "its CA certificate.",
        )
        assert await _list(url) == untrusted
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        ok, text = await _list(url)
        assert (ok, json.loads(text)) == (True, {"items": [], "hasMore": False, "total": 0})


async def test_a_certificate_for_another_name_is_told_from_an_untrusted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path, "other.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with port(answering("200 OK\r\ncontent-type: application/json", EMPTY), context) as number:
        text = (
            "The API's TLS certificate is for another host name. Ask the person to check the host in "
            "PAPERSPACE_API_URL, and whether DNS or a proxy leads elsewhere."
        )
        assert await _list(f"https://localhost:{number}/v1") == (False, text)
        assert await _create(f"https://localhost:{number}/v1") == (False, f"{text} Nothing was changed.")


@pytest.mark.parametrize("hours", [(-2, -1), (1, 2)], ids=["expired", "not yet valid"])
async def test_a_certificate_of_another_time_is_told_from_an_untrusted_one(
    hours: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path, began=hours[0], ends=hours[1])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with port(answering("200 OK\r\ncontent-type: application/json", EMPTY), context) as number:
        assert await _list(f"https://127.0.0.1:{number}/v1") == (
            False,
            "The API's TLS certificate has expired, or is not valid yet. Ask the person to check this machine's clock; "
            "if it is right, only the API's operator can renew it.",
        )


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (-67602, "The API's TLS certificate is for another host name"),
        (0x800B010F, "The API's TLS certificate is for another host name"),
        (-67818, "The API's TLS certificate has expired, or is not valid yet"),
        (0x800B0101, "The API's TLS certificate has expired, or is not valid yet"),
        (20, "The API's TLS certificate is not trusted"),
        (None, "The API's TLS certificate is not trusted"),
    ],
)
def test_what_macos_and_windows_say_of_a_certificate_is_understood(code: int | None, what: str) -> None:
    cause = ssl.SSLCertVerificationError("as truststore raises it")
    if code is not None:
        cause.verify_code = code
    error = httpx.ConnectError("no TLS")
    error.__cause__ = cause
    trouble = trouble_of(error)
    assert (trouble.what, trouble.sent, trouble.lasting) == (what, False, True)


@pytest.mark.parametrize("addresses", [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["2001:db8::1"]])
@pytest.mark.parametrize("host", ["api.localhost", "localhost"])
async def test_a_name_of_this_machine_that_leads_to_another_is_sent_nothing(
    host: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(_: str, port: int, *__: object, **___: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("it was connected to")

    async with _client(f"http://{host}:8/v1") as (client, _):
        monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
        monkeypatch.setattr(dial, "start_connection", never)
        answer = outcome(await client.call_tool("list_shared_drives", {}))
    assert answer == (
        False,
        f"Plain http is for this machine only, and {host} leads to another one. Ask the person to set "
        "PAPERSPACE_API_URL to https, or to 127.0.0.1.",
    )


async def test_a_name_of_this_machine_that_leads_here_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def here(_: str, port: int, *__: object, **___: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", here)
    async with port(answering("200 OK\r\ncontent-type: application/json", EMPTY)) as number:
        assert (await _list(f"http://api.localhost:{number}/v1"))[0]


async def test_a_port_that_speaks_plain_http_is_told_from_an_untrusted_certificate() -> None:
    async with port(plain_only) as number:
        assert await _list(f"https://127.0.0.1:{number}/v1") == (
            False,
            "The TLS connection to the API failed after 4 tries. Ask the person to check PAPERSPACE_API_URL (https, "
            "port) and any proxy.",
        )


@pytest.mark.parametrize("how", ["closed", "407"])
async def test_a_proxy_that_does_not_let_through_is_named(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with port(answering("407 Proxy Authentication Required")) as number:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{number if how == '407' else closed_port()}")
        text = (
            "The proxy does not let the request through after 4 tries. Ask the person to check HTTPS_PROXY and "
            "NO_PROXY."
        )
        assert await _list("https://api.invalid/v1") == (False, text)
        assert await _create("https://api.invalid/v1") == (False, f"{text} Nothing was changed.")


async def test_a_connection_that_never_comes_about_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "CONNECT_TIMEOUT", 0.05)
    async with port(silent) as number:  # the TLS handshake is never answered
        assert await _create(f"https://127.0.0.1:{number}/v1") == (
            False,
            "The API could not be reached in time after 4 tries. Ask the person to check the network and "
            "PAPERSPACE_API_URL, then try again. Nothing was changed.",
        )


async def test_an_api_that_never_answers_is_given_up_within_the_budget_with_tries_and_seconds() -> None:
    async with port(silent) as number:
        began = asyncio.get_running_loop().time()
        ok, text = await _list(f"http://127.0.0.1:{number}/v1", budget=1.5)
        assert asyncio.get_running_loop().time() - began < 2.5
        assert not ok
        assert text.startswith("The API did not answer within 1.")
        assert "s after 2 tries. Try again; if it stays so, ask the person to check the network" in text


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_limited_rate_is_waited_out_where_that_fits_the_budget(form: str) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=21), usegmt=True) if form == "date" else "20"
    async with faulted("live") as bed:
        limited = Fault("limited", "answer", reply=Reply(429, headers=(("retry-after", when),)))
        bed.proxy.rules = (Rule(limited, "GET", nth=frozenset({1, 2})),)
        ok, _ = await bed.call("list_shared_drives")
        assert (ok, bed.proxy.methods) == (True, ["GET"] * 3)
        assert [18 < pause <= 21 for pause in bed.sleeps.slept] == [True, True]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_limited_rate_that_outlasts_the_budget_says_when_to_come_back(form: str) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True) if form == "date" else "3600"
    async with faulted("live") as bed:
        limited = Fault("limited", "answer", reply=Reply(429, headers=(("retry-after", when),)))
        bed.proxy.rules = (Rule(limited, "GET"),)
        ok, text = await bed.call("list_shared_drives")
        assert (ok, bed.proxy.methods, bed.sleeps.slept) == (False, ["GET"], [])
        seconds = int(text.removeprefix("The API is limiting the rate (429). Try again in ").split()[0])
        assert 3590 < seconds <= 3600


@pytest.mark.parametrize("attempts", [1, 2, 7])
async def test_max_attempts_bounds_the_tries(attempts: int) -> None:
    async with faulted("live", max_attempts=attempts) as bed:
        bed.proxy.rules = (Rule(Fault("down", "answer", reply=Reply(503)), "GET"),)
        await bed.call("list_shared_drives")
        assert bed.proxy.count("GET") == attempts


async def test_no_dead_connection_is_hidden_by_a_repeat_that_nobody_counts() -> None:
    async with faulted("live") as bed:
        assert (await bed.call("list_shared_drives"))[0]  # the connection is kept alive from here on
        bed.proxy.forget()
        bed.proxy.rules = (Rule(Fault("lost", "reset"), "GET"),)
        await bed.call("list_shared_drives")
        assert bed.proxy.count("GET") == 4
