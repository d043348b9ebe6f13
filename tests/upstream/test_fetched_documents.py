"""A document of another host, such as an issuer's keys: a JSON object from there, small and soon, or nothing."""

from __future__ import annotations

import asyncio

import pytest

from paperspace_storage_server.http.fetch import NotFetched, fetch_json, post_form
from support.hostile import Heard, Says, hostile
from support.loopback_tls import port

pytestmark = pytest.mark.anyio


async def fetched(says: Says) -> object:
    """The document, or why there is none and whether that is a redirect."""
    with hostile(lambda _: says) as upstream:
        try:
            return await fetch_json(f"{upstream.url}/keys")
        except NotFetched as error:
            return str(error), error.redirected


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"keys":[]}', {"keys": []}),
        (200, b'{"a":1,"b":null}', {"a": 1, "b": None}),
        (404, b'{"keys":[]}', None),
        (410, b'{"keys":[]}', None),
        (300, b"{}", ("it redirects (300)", True)),
        (301, b"{}", ("it redirects (301)", True)),
        (399, b"{}", ("it redirects (399)", True)),
        (299, b"{}", ("it answers 299", False)),
        (201, b"{}", ("it answers 201", False)),
        (400, b"{}", ("it answers 400", False)),
        (403, b"{}", ("it answers 403", False)),
        (405, b"{}", ("it answers 405", False)),
        (411, b"{}", ("it answers 411", False)),
        (500, b"{}", ("it answers 500", False)),
        (200, b"[]", ("its answer is no JSON object", False)),
        (200, b"<html>", ("its answer is no JSON", False)),
        (200, b"[" * 200_000, ("its answer is no JSON", False)),
    ],
)
async def test_only_a_json_object_under_a_200_is_a_document(status: int, body: bytes, outcome: object) -> None:
    assert await fetched(Says(status, headers=(("location", "https://evil.invalid/"),), body=body)) == outcome


async def test_a_document_has_at_most_512_kib() -> None:
    around = len(b'{"a":""}')
    assert await fetched(Says(body=b'{"a":"%s"}' % (b"x" * (512 * 1024 - around)))) == {
        "a": "x" * (512 * 1024 - around)
    }
    assert await fetched(Says(body=b'{"a":"%s"}' % (b"x" * (512 * 1024 - around + 1)))) == (
        "its answer is too large",
        False,
    )


async def test_it_is_asked_for_once_without_any_key_over_a_connection_that_is_not_kept() -> None:
    heard: list[Heard] = []

    def answer(one: Heard) -> Says:
        heard.append(one)
        return Says(503)

    with hostile(answer) as upstream, pytest.raises(NotFetched):
        await fetch_json(f"{upstream.url}/keys?a=b")
    (one,) = heard
    headers = {name.lower(): value for name, value in one.headers}
    assert (one.method, one.target.rsplit("/", 1)[1], one.body) == ("GET", "keys?a=b", b"")
    assert headers.pop("host")
    assert headers == {
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "paperspace-storage-mcp",
        "connection": "close",
    }


async def test_a_host_that_never_answers_is_waited_for_5_seconds_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    left = asyncio.Event()

    def timeout(delay: float) -> asyncio.Timeout:
        waits.append(delay)
        return asyncio.Timeout(asyncio.get_running_loop().time() + 0.05)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        left.set()

    async with port(serve) as number:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "timeout", timeout)
            with pytest.raises(NotFetched, match=r"^no answer in 5 s$"):
                await fetch_json(f"http://127.0.0.1:{number}/keys")
        await asyncio.wait_for(left.wait(), 10)
    assert waits[0] == 5.0


async def test_what_goes_wrong_on_the_way_is_named() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with port(serve) as number:
        with pytest.raises(NotFetched, match="connection to the API was lost") as lost:
            await fetch_json(f"http://127.0.0.1:{number}/")
    assert not lost.value.redirected
    with pytest.raises(NotFetched, match="leads to another one"):
        await fetch_json("http://192.0.2.1/keys")


async def test_a_form_is_sent_once_with_its_headers_and_answered_with_a_json_object() -> None:
    heard: list[Heard] = []
    says = iter([Says(body=b'{"access_token":"t"}'), Says(404), Says(400, body=b'{"error":"invalid_grant"}')])

    def answer(one: Heard) -> Says:
        heard.append(one)
        return next(says)

    with hostile(answer) as upstream:
        url = f"{upstream.url}/token"
        assert await post_form(url, {"a": "b c", "d": "\u00e9&"}, {"Authorization": "Basic x"}) == {"access_token": "t"}
        for why in ("there is nothing", "it answers 400"):
            with pytest.raises(NotFetched, match=why):
                await post_form(url, {"a": "b"}, {})
    headers = {name.lower(): value for name, value in heard[0].headers}
    assert (heard[0].method, heard[0].body) == ("POST", b"a=b+c&d=%C3%A9%26")
    assert (headers["authorization"], headers["content-type"]) == ("Basic x", "application/x-www-form-urlencoded")
    assert len(heard) == 3
