"""This server as a client of the issuer: how it shows its secret, where its page is, what it takes for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from paperspace_storage_server.hosted.connect import Place
from paperspace_storage_server.http.fetch import LARGEST, NotFetched, post_form
from paperspace_storage_server.settings import SettingsError
from support.connecting import ENDPOINTS, PAGE, SECRET, connect_world

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("public_url", "page", "origin", "cookie"),
    [
        ("https://a.example/mcp", "https://a.example/mcp/connect", "https://a.example", "__Host-connect"),
        ("https://A.example:443/MCP/", "https://A.example:443/MCP/connect", "https://a.example", "__Host-connect"),
        ("https://a.example", "https://a.example/connect", "https://a.example", "__Host-connect"),
        ("https://a.example:8443/", "https://a.example:8443/connect", "https://a.example:8443", "__Host-connect"),
        ("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp/connect", "http://127.0.0.1:8000", "connect"),
        ("http://[::1]:80/mcp", "http://[::1]:80/mcp/connect", "http://[::1]", "connect"),
    ],
)
def test_the_page_is_below_the_public_url_and_its_cookies_are_as_safe_as_that(
    public_url: str, page: str, origin: str, cookie: str
) -> None:
    place = Place(public_url)
    assert (place.page, place.callback) == (page, f"{page}/callback")
    assert (place.origin, place.cookie("connect")) == (origin, cookie)
    assert place.secure == public_url.startswith("https:")
    assert place.is_asked_as(origin.partition("://")[2])
    assert not place.is_asked_as("b.example")


@pytest.mark.parametrize(
    ("way", "supported", "secret"),
    [
        ("client_secret_basic", None, SECRET),  # what an issuer that says nothing takes
        ("client_secret_basic", ["client_secret_post", "client_secret_basic"], SECRET),
        ("client_secret_post", ["client_secret_post"], SECRET),
        ("none", ["none"], None),
        ("none", None, None),
    ],
)
async def test_our_client_shows_its_secret_as_the_issuer_wants_it_or_has_none(
    way: Literal["client_secret_basic", "client_secret_post", "none"],
    supported: list[str] | None,
    secret: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {} if supported is None else {"token_endpoint_auth_methods_supported": supported}
    own: dict[str, Any] = {"oidc_client_secret": None if secret is None else SecretStr(secret)}
    async with connect_world(tmp_path, monkeypatch, endpoints={**ENDPOINTS, **said}, **own) as one:
        one.issuer.way = way
        assert (await one.browser().get(PAGE)).status_code == 200


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("value", [None, "http://login.example.com/x", "javascript:alert(1)", 7])
async def test_an_issuer_at_which_nobody_can_sign_in_safely_stops_the_start(
    name: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError) as raised:
        async with connect_world(tmp_path, monkeypatch, endpoints={**ENDPOINTS, name: value}):
            pass
    assert str(raised.value).startswith("PAPERSPACE_MCP_AUTH_ISSUER (--auth-issuer): its metadata has no")
    assert name in str(raised.value)


async def test_a_scope_that_the_issuer_does_not_have_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch, endpoints={**ENDPOINTS, "scopes_supported": ["openid"]}) as one:
        await one.browser().get(PAGE)
        assert one.issuer.asked[0]["scope"] == "openid"


# --- the form that fetches tokens


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that gives one answer to whatever it is asked, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        asked.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token", asked


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_form_is_sent_once_as_a_browser_would_write_it() -> None:
    async with answering(http("200 OK", b'{"id_token": "x"}', "Content-Type: application/json")) as (url, asked):
        found = await post_form(url, {"code": "a b&c", "client_id": "é"}, {"Authorization": "Basic eDp5"})
        assert found == {"id_token": "x"}
    (request,) = asked
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token HTTP/1.1\r\n")
    assert b"Authorization: Basic eDp5" in head
    assert b"Content-Type: application/x-www-form-urlencoded" in head
    assert body == b"code=a+b%26c&client_id=%C3%A9"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http("302 Found", b"", "Location: http://127.0.0.1:1/x"), "redirects"),
        (http("400 Bad Request", b'{"error": "invalid_grant"}'), "answers 400"),
        (http("404 Not Found", b"{}"), "there is nothing"),
        (http("200 OK", b"<html>"), "no JSON"),
        (http("200 OK", b"[1]"), "no JSON object"),
        (http("200 OK", b'{"a": "' + b"a" * LARGEST + b'"}'), "too large"),
        (b"", "connection"),
    ],
)
async def test_what_is_no_answer_to_a_form_is_none_and_is_not_followed(answer: bytes, why: str) -> None:
    async with answering(answer) as (url, asked):
        with pytest.raises(NotFetched, match=why):
            await post_form(url, {"code": "x"}, {})
        assert len(asked) == 1
