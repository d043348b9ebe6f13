"""This server as a client of the issuer: how it shows its secret, where its page is, what it takes for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import SecretStr

from hosted.issuing import pair
from paperspace_storage_server.hosted.connect import Address
from paperspace_storage_server.http.fetch import LARGEST, NotFetched, post_form
from paperspace_storage_server.settings import SettingsError
from support.connecting import AUTHORIZE, ENDPOINTS, PAGE, SECRET, connect_world

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
    address = Address(public_url)
    assert (address.page, address.callback) == (page, f"{page}/callback")
    assert (address.origin, address.cookie("connect")) == (origin, cookie)
    assert address.secure == public_url.startswith("https:")
    assert address.is_asked_as(origin.partition("://")[2])
    assert not address.is_asked_as("b.example")


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


# --- what comes back


async def test_signing_in_asks_the_issuer_with_pkce_state_and_nonce_and_our_own_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.browser().get(PAGE)
        await one.browser().get(PAGE)
        first, second = one.issuer.asked
        assert set(first) == {
            *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
            *("code_challenge", "code_challenge_method"),
        }
        assert first["redirect_uri"] == f"{PAGE}/callback"
        assert first["scope"] == "openid email"
        assert first["code_challenge_method"] == "S256"
        assert not {first["state"], first["nonce"], first["code_challenge"]} & set(second.values())
        assert "client_secret" not in one.issuer.posted[0][0]


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("state", "x" * 43),
        ("state", None),
        ("code", "made-up"),
        ("code", ""),
        ("code", "c" * 5000),
        ("iss", "https://other.example.com"),
        ("iss", None),
        ("error", "access_denied"),
    ],
)
async def test_an_answer_that_is_not_the_one_that_was_asked_for_signs_nobody_in(
    changed: str, value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        begun = await browser.once("GET", PAGE)
        back = one.issuer.sign_in(begun.headers["location"], "carla")
        given: dict[str, str | None] = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        sent = {name: text for name, text in {**given, changed: value}.items() if text is not None}
        answer = await browser.once("GET", f"{PAGE}/callback?{urlencode(sent)}")
        assert answer.status_code == 403
        assert "You are not signed in" in answer.text
        assert "__Host-connect" not in browser.cookies
        assert (value or "?") not in answer.text
        assert len(one.issuer.posted) == (1 if value == "made-up" else 0)


FORGED: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "x"}},
    "no nonce": {"claims": {"nonce": None}},
    "another audience": {"claims": {"aud": "https://mcp.example.com/mcp"}},
    "two audiences without azp": {"claims": {"aud": ["paperspace-mcp", "other"]}},
    "another azp": {"claims": {"azp": "other"}},
    "another issuer": {"claims": {"iss": "https://other.example.com"}},
    "expired": {"claims": {"exp": 1_700_000_000}},
    "made long ago": {"claims": {"iat": 1_700_000_000}},
    "not made yet": {"claims": {"iat": 4_000_000_000}},
    "no iat": {"claims": {"iat": None}},
    "never expires": {"claims": {"exp": 10**400}},
    "expires after the end of time": {"claims": {"exp": float("1e300")}},
    "no time at all": {"claims": {"exp": "soon"}},
    "a nonce that no text can be": {"claims": {"nonce": "\ud800"}},
    "no exp": {"claims": {"exp": None}},
    "nobody": {"claims": {"sub": ""}},
    "a number for a subject": {"claims": {"sub": 7}},
    "no subject": {"claims": {"sub": None}},
    "an access token": {"header": {"typ": "at+jwt"}},
    "no signature": {"header": {"alg": "none"}},
    "a critical extension": {"header": {"crit": ["x"]}},
    "another key": {"by": pair(kid="one", number=1)},
    "a symmetric key": {"header": {"alg": "HS256"}},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_id_token_signs_nobody_in(
    forged: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        for name, value in forged.items():
            setattr(one.issuer, name, value)
        browser = one.browser()
        answer = await browser.get(PAGE)
        assert answer.status_code == 403
        assert "answer cannot be trusted" in answer.text
        assert "__Host-connect" not in browser.cookies


async def test_an_issuer_that_is_away_signs_nobody_in_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        one.issuer.away = True
        answer = await one.browser().get(PAGE)
        assert answer.status_code == 403
        assert "could not be checked" in answer.text


async def test_a_sign_in_comes_back_once_and_to_the_browser_that_began_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        begun = one.browser("mallory")
        back = one.issuer.sign_in((await begun.once("GET", PAGE)).headers["location"], "mallory")
        victim = one.browser("carla")
        planted = await victim.once("GET", back)
        assert planted.status_code == 403
        assert victim.cookies == {}
        await victim.once("GET", PAGE)  # with a sign-in of their own under way
        assert (await victim.once("GET", back)).status_code == 403
        kept = dict(begun.cookies)
        assert (await begun.once("GET", back)).status_code == 303
        begun.cookies = kept
        again = await begun.once("GET", back)
        assert again.status_code == 403
        assert "come back before" in again.text


async def test_a_session_that_was_there_before_signing_in_is_never_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        browser.cookies["__Host-connect"] = fixed = "f" * 43
        await browser.get(PAGE)
        assert browser.cookies["__Host-connect"] != fixed
        other = one.browser("mallory")
        other.cookies["__Host-connect"] = fixed
        assert (await other.once("GET", PAGE)).headers["location"].startswith(AUTHORIZE)


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
