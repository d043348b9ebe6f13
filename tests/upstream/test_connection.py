"""The way out on the wire: what is sent, how answers end, which connections are used again, and through which proxy.

Real sockets on loopback; the other side says the bytes that a case needs.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import select
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from paperspace_storage_server.http import body, connection, pool
from paperspace_storage_server.http.dial import Origin
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.transport import RawAnswer
from paperspace_storage_server.http.trouble import TooLarge, UnknownHost, trouble_of
from support.hostile import Says, hostile
from support.loopback_tls import port, self_signed

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
LOST = "The connection to the API was lost"
DAMAGED = "What came back is no HTTP, or is damaged"


def nothing() -> None:
    """For those who do not ask when the first byte goes out."""


async def ask(
    pool: Pool, method: str, url: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
) -> RawAnswer:
    return await pool.send(method, url, headers or {}, content, on_wire=nothing)


@dataclass(slots=True)
class Script:
    """What each connection says to each request: `says[connection][request]`, the last ones again and again.

    None: nothing more is said, and the connection is closed.
    """

    says: list[list[bytes | None]]
    heads: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    left: int = 0  # connections that the client closed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except asyncio.IncompleteReadError:
            self.left += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = self.says[min(self.connections, len(self.says) - 1)]
        self.connections += 1
        for number in range(100):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            line = lines[min(number, len(lines) - 1)]
            if line is None:
                return
            writer.write(line)
            await writer.drain()


@asynccontextmanager
async def scripted(
    *says: list[bytes | None],
) -> AsyncGenerator[tuple[Script, Callable[..., asyncio.Future[RawAnswer]]]]:
    script = Script(list(says))
    async with port(script.serve) as number:
        url = f"http://127.0.0.1:{number}/v1"
        client = Pool(url)

        def get(method: str = "GET") -> asyncio.Future[RawAnswer]:
            return asyncio.ensure_future(ask(client, method, f"{url}/x?a=b", headers={"accept": "c"}))

        try:
            yield script, get
        finally:
            await client.aclose()


async def test_a_request_goes_out_with_its_headers_and_a_connection_is_used_again() -> None:
    async with scripted([OK]) as (script, get):
        answers = [await get() for _ in range(3)]
        assert [(one.status, one.body, one.content_type) for one in answers] == [(200, b"{}", "application/json")] * 3
        assert script.connections == 1
        head, *lines = script.heads[0].decode().strip().split("\r\n")
        assert head == "GET /v1/x?a=b HTTP/1.1"
        assert sorted(line.lower().split(":")[0] for line in lines) == ["accept", "accept-encoding", "host"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\n{ \r\n1\r\n}\r\n0\r\ntrailer: a\r\n\r\n",
            b"{ }",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
    ],
    ids=["chunked", "interim", "no-body", "no-reason", "1.0-kept"],
)
async def test_an_answer_that_says_where_it_ends_leaves_the_connection_open(answer: bytes, body: bytes) -> None:
    async with scripted([answer]) as (script, get):
        assert [(await get()).body for _ in range(2)] == [body] * 2
        assert script.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
async def test_a_connection_that_the_server_will_close_is_not_used_again(answer: bytes) -> None:
    async with scripted([answer]) as (script, get):
        assert [(await get()).body for _ in range(2)] == [b"{}"] * 2
        assert script.connections == 2


async def test_an_answer_may_end_with_its_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        await writer.drain()
        writer.write(b"}")

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        assert (await ask(client, "GET", f"http://127.0.0.1:{number}/")).body == b"{}"


async def test_the_end_of_a_connection_does_not_repeat_the_answer_before() -> None:
    """A 204 says nothing of its length; the end of the connection must not end it a second time."""
    async with scripted([b"HTTP/1.1 204 No Content\r\n\r\n", None]) as (script, get):
        assert (await get()).status == 204
        with pytest.raises(httpx.ReadError):
            await get()
        assert script.connections == 1


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (None, LOST),
        (b"HTTP/1.1 200 OK\r\ncontent-le", LOST),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", LOST),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", LOST),
        (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nabc", DAMAGED),
        (b"SSH-2.0-x\r\n\r\n", DAMAGED),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}", DAMAGED),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}", DAMAGED),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", DAMAGED),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(99)), DAMAGED),
    ],
    ids=["nothing", "head", "length", "chunks", "upgrade", "other", "lengths", "br", "no-gzip", "endless-head"],
)
async def test_an_answer_that_is_cut_off_or_no_http_is_named_and_counts_as_sent(
    answer: bytes | None, what: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer or b"")
        await writer.drain()

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        with pytest.raises(httpx.TransportError if what == LOST else httpx.RequestError) as caught:
            await ask(client, "POST", f"http://127.0.0.1:{number}/", content=b"{}")
    trouble = trouble_of(caught.value)
    assert (trouble.what, trouble.sent) == (what, True)


async def test_a_reset_counts_as_sent() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        with pytest.raises(httpx.ReadError) as caught:
            await ask(client, "POST", f"http://127.0.0.1:{number}/", content=b"{}" * 100_000)
    assert trouble_of(caught.value).sent


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP", "Identity"])
async def test_a_packed_answer_is_unpacked(coding: str) -> None:
    plain = b'{"a":1}'
    packed = {"deflate": zlib.compress(plain), "Identity": plain}.get(coding, gzip.compress(plain))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\ncontent-length: {len(packed)}\r\n\r\n".encode()
    async with scripted([head + packed]) as (script, get):
        assert json.loads((await get()).body) == {"a": 1}
        assert b"Accept-Encoding: gzip\r\n" in script.heads[0]


@pytest.mark.parametrize("packed", [gzip.compress(bytes(1000))[:-9], b"{}", b"x" * 1000], ids=["cut-off", "json", "x"])
async def test_a_packed_answer_that_ends_too_early_or_is_not_packed_is_damaged(packed: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n".encode()
    async with scripted([head + packed]) as (_, get):
        with pytest.raises(httpx.DecodingError):
            await get()


@pytest.mark.parametrize("framing", [b"", b"transfer-encoding: chunked\r\n"], ids=["to-the-end", "chunked"])
async def test_a_body_without_an_end_is_given_up(framing: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LARGEST_ANSWER", 1_000_000)
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n%s\r\n" % framing)
        for _ in range(100_000):
            writer.write(b"400\r\n%s\r\n" % bytes(1024) if framing else bytes(1024))
            await writer.drain()
            sent += 1024

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        with pytest.raises(TooLarge):
            await ask(client, "GET", f"http://127.0.0.1:{number}/")
    assert sent < 20_000_000


@pytest.mark.parametrize("second", [OK.replace(b"{}", b"[]"), b"HTTP/1.1 200 OK\r\nx: y\r\n", b"rubbish"])
async def test_a_second_answer_is_nobodys(second: bytes) -> None:
    """It must not be read as the answer to the next request."""
    async with scripted([OK + second], [OK]) as (script, get):
        assert [(await get()).body for _ in range(3)] == [b"{}"] * 3
        assert script.connections == 2
    async with scripted([OK.replace(b"content-type: application/json\r\n", b"") + second]) as (_, get):
        assert (await get()).content_type == ""


async def test_what_comes_unasked_on_an_idle_connection_closes_it() -> None:
    late = asyncio.Event()
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await late.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        closed.set()

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        url = f"http://127.0.0.1:{number}/"
        await ask(client, "GET", url)
        late.set()
        await asyncio.wait_for(closed.wait(), 10)
        assert (await ask(client, "GET", url)).status == 200


async def test_a_connection_that_the_server_closed_meanwhile_fails_nobody() -> None:
    closing, closed = asyncio.Event(), asyncio.Event()
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        writer.write(OK)
        await closing.wait()
        writer.write_eof()
        await reader.read()  # until the other side has closed too
        closed.set()

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        url = f"http://127.0.0.1:{number}/"
        await ask(client, "GET", url)
        closing.set()
        await asyncio.wait_for(closed.wait(), 10)
        assert (await ask(client, "POST", url, content=b"{}")).status == 200
    assert served == 2


async def test_a_connection_is_not_used_again_after_15_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted([OK]) as (script, get):
        await get()
        await get()
        monkeypatch.setattr(pool, "LONGEST_IDLE", 0.0)
        await get()
        assert (script.connections, script.left) == (2, 1)


async def test_a_post_goes_over_a_connection_that_was_used_just_now_or_over_a_new_one() -> None:
    """A server may be about to close one that is idle: of a POST that crosses with that nobody knows the outcome."""
    async with scripted([OK]) as (script, get):
        await get()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool, "LONGEST_IDLE_OF_POST", 0.0)
            await get()
            assert script.connections == 1
            await get("POST")
        await get("POST")
        assert script.connections == 2


async def test_an_end_of_the_connection_that_the_event_loop_has_not_read_yet_is_seen() -> None:
    says = Says(body=b"{}", raw=[OK])  # and closes, without having said that it would
    with hostile(lambda _: says) as upstream:
        async with aclosing(Pool(upstream.url)) as client:
            await ask(client, "GET", upstream.url)
            (idle,) = client._idle  # pyright: ignore[reportPrivateUsage]  # to wait for it without the event loop
            assert select.select([idle.transport.get_extra_info("socket").fileno()], [], [], 10)[0]
            assert (await ask(client, "POST", upstream.url, content=b"{}")).status == 200
        assert [heard.method for heard in upstream.heard] == ["GET", "POST"]


async def test_a_request_that_is_given_up_leaves_no_answer_behind_for_the_next() -> None:
    asked, dropped = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /slow"):
            asked.set()
            assert await reader.read() == b""
            dropped.set()
        writer.write(OK.replace(b"{}", head[5:7]))

    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as client:
        url = f"http://127.0.0.1:{number}"
        slow = asyncio.ensure_future(ask(client, "GET", f"{url}/slow"))
        await asyncio.wait_for(asked.wait(), 10)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        await asyncio.wait_for(dropped.wait(), 10)
        assert (await ask(client, "GET", f"{url}/next")).body == b"ne"


class _Recorded(asyncio.Transport):
    """A transport on which nothing travels."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes | bytearray | memoryview] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


def _connected() -> tuple[connection.Connection, _Recorded]:
    one, transport = connection.Connection(), _Recorded()
    one.connection_made(transport)
    return one, transport


async def test_a_wait_that_is_cancelled_while_its_answer_comes_closes_the_connection() -> None:
    one, transport = _connected()
    task = asyncio.ensure_future(one.send(b"x", nothing))
    await asyncio.sleep(0)
    one.data_received(OK)
    task.cancel()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
    assert (one.reusable, transport.closed) == (False, True)


async def test_nothing_is_written_to_a_connection_that_is_closed() -> None:
    one, transport = _connected()
    transport.closed = True
    with pytest.raises(httpx.ConnectError) as caught:
        await one.send(b"x", nothing)
    assert transport.written == []
    assert not trouble_of(caught.value).sent


async def test_a_body_that_would_end_with_its_connection_is_not_ended_by_a_broken_one() -> None:
    one, _ = _connected()
    task = asyncio.ensure_future(one.send(b"x", nothing))
    await asyncio.sleep(0)
    one.data_received(b"HTTP/1.1 200 OK\r\n\r\n[")
    one.connection_lost(ConnectionResetError())
    with pytest.raises(httpx.ReadError) as caught:
        await task
    assert isinstance(caught.value.__cause__, ConnectionResetError)


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_carry_a_second_one(value: str) -> None:
    async with scripted([OK]) as (script, get):
        await get()
        client = Pool("http://127.0.0.1:1")
        with pytest.raises(httpx.LocalProtocolError) as caught:
            await ask(client, "GET", "http://127.0.0.1:1/", headers={"x": value})
        await client.aclose()
        assert len(script.heads) == 1
    assert not trouble_of(caught.value).sent


async def test_closing_the_pool_ends_what_is_under_way() -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with port(serve) as number:
        client = Pool(f"http://127.0.0.1:{number}")
        under_way = asyncio.ensure_future(ask(client, "GET", f"http://127.0.0.1:{number}/"))
        await asyncio.wait_for(asked.wait(), 10)
        await client.aclose()
        with pytest.raises(httpx.ReadError):
            await under_way


# Proxies


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@dataclass(slots=True)
class Tunnels:
    """A proxy that opens a tunnel to an API which it plays itself."""

    context: ssl.SSLContext
    says: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    heads: list[bytes] = field(default_factory=list[bytes])
    spoken: list[str | None] = field(default_factory=list[str | None])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.says)
        await writer.drain()
        await writer.start_tls(self.context)
        self.spoken.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        for _ in range(9):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)


@pytest.mark.parametrize(
    ("scheme", "variable", "says"),
    [
        ("http://", "HTTPS_PROXY", b"HTTP/1.1 200 Connection established\r\n\r\n"),
        ("", "https_proxy", b"HTTP/1.0 200 OK\r\n\r\n"),
        ("http://", "ALL_PROXY", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("https://", "HTTPS_PROXY", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
    ],
)
async def test_https_goes_through_the_proxy_of_the_environment(
    scheme: str, variable: str, says: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path, "api.invalid")
    context.set_alpn_protocols(["h2", "http/1.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tunnels = Tunnels(context, says)
    async with port(tunnels.serve, context if scheme == "https://" else None) as number:
        monkeypatch.setenv(variable, f"{scheme}us%20er:p%40ss@127.0.0.1:{number}")
        async with aclosing(Pool("https://api.invalid/v1")) as client:
            for _ in range(2):
                answer = await ask(client, "GET", "https://api.invalid/v1/x", headers={"authorization": "Bearer k"})
                assert (answer.status, answer.body) == (200, b"{}")
    connect, *requests = tunnels.heads
    credentials = b64encode(b"us er:p@ss").decode()
    assert connect.decode().split("\r\n") == [
        "CONNECT api.invalid:443 HTTP/1.1",
        "Host: api.invalid:443",
        f"Proxy-Authorization: Basic {credentials}",
        "",
        "",
    ]
    assert tunnels.spoken == ["http/1.1"]
    assert [b"Bearer k" in head for head in requests] == [True, True]
    assert [b"Proxy-Authorization" in head for head in requests] == [False, False]


@pytest.mark.parametrize("url", ["http://api.invalid/v1", "https://127.0.0.1:1/v1"])
async def test_neither_plain_http_nor_loopback_meets_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tunnels: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnels.append(await reader.readuntil(b"\r\n\r\n"))

    async with port(serve) as number:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{number}")
        async with aclosing(Pool(url)) as client:
            with pytest.raises(httpx.ConnectError):
                await ask(client, "GET", url)
    assert tunnels == []


async def test_a_proxy_that_refuses_is_left() -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        left.set()

    async with port(serve) as number, aclosing(Pool("https://api.invalid/v1")) as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{number}")
            with pytest.raises(httpx.ProxyError):
                await ask(client, "GET", "https://api.invalid/v1/x")
        await asyncio.wait_for(left.wait(), 10)


def test_a_place_is_written_as_the_network_knows_it() -> None:
    assert Origin.of(httpx.URL("https://b\u00fccher.example/v1")) == Origin("xn--bcher-kva.example", 443, True)
    assert Origin.of(httpx.URL("http://localhost/v1")) == Origin("localhost", 80, False)
    assert Origin.of(httpx.URL("https://[::1]:8443")).authority == "[::1]:8443"


@pytest.mark.parametrize("host", ["a" * 70 + ".invalid", "xn--a-.invalid"])
async def test_a_name_that_cannot_be_one_was_not_sent_to(host: str) -> None:
    async with aclosing(Pool(f"https://{host}/v1")) as client:
        with pytest.raises(UnknownHost) as caught:
            await ask(client, "GET", f"https://{host}/v1/x")
    trouble = trouble_of(caught.value)
    assert (trouble.what, trouble.sent) == (f"The host name {host} cannot be resolved (DNS)", False)


@pytest.mark.parametrize("no_proxy", ["*", "invalid", "other, api.invalid", "api.invalid:443"])
async def test_no_proxy_is_honoured(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with aclosing(Pool("https://api.invalid/v1")) as client:
        with pytest.raises(UnknownHost):
            await ask(client, "GET", "https://api.invalid/v1/x")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "http://", "http://127.0.0.1:x"])
async def test_a_proxy_of_another_kind_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with aclosing(Pool("https://api.invalid/v1")) as client:
        with pytest.raises(httpx.ProxyError) as caught:
            await ask(client, "GET", "https://api.invalid/v1/x")
    trouble = trouble_of(caught.value)
    assert (trouble.what, trouble.sent) == ("The proxy does not let the request through", False)


async def test_a_certificate_that_is_not_the_apis_is_not_trusted_through_a_proxy_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed(tmp_path, "other.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tunnels = Tunnels(context)
    async with port(tunnels.serve) as number:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{number}")
        async with aclosing(Pool("https://api.invalid/v1")) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await ask(client, "GET", "https://api.invalid/v1/x")
    assert trouble_of(caught.value).what == "The API's TLS certificate is for another host name"
    assert len(tunnels.heads) == 1
