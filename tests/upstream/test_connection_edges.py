"""A connection at its edges: how long it idles, what an answer weighs beside its body, what a proxy may say."""

from __future__ import annotations

import asyncio
import select
import ssl
from contextlib import aclosing, suppress
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from paperspace_storage_server.http.connection import Connection
from paperspace_storage_server.http.dial import Dialer, Origin
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.http.loopback import is_loopback
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.reach import Reached, reach
from paperspace_storage_server.http.transport import RawAnswer
from paperspace_storage_server.http.trouble import Trouble, trouble_of
from support.loopback_tls import port

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def nothing() -> None:
    """For those who do not ask when the first byte goes out."""


async def ask(pool: Pool, method: str, url: str, content: bytes | None = None) -> RawAnswer:
    return await pool.send(method, url, {}, content, on_wire=nothing)


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Counting:
    """Answers each request with the same bytes; counts connections and keeps the requests."""

    def __init__(self, says: bytes = OK) -> None:
        self.says = says
        self.connections = 0
        self.heard: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
                self.heard.append(head + await reader.readexactly(int(length or 0)))
                writer.write(self.says)
                await writer.drain()


@pytest.mark.parametrize(
    ("method", "idle", "connections"),
    [("GET", 14.9, 1), ("GET", 15.0, 2), ("GET", 15.1, 2), ("PUT", 14.9, 1), ("POST", 0.4, 1), ("POST", 0.5, 2)],
)
async def test_a_connection_idles_15_seconds_and_half_a_second_before_a_post(
    method: str, idle: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve, now = Counting(), 8.0
    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as pool:
        url = f"http://127.0.0.1:{number}/"
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "time", lambda: now)
            await ask(pool, "GET", url)
            now += idle
            await ask(pool, method, url)
        assert serve.connections == connections


async def test_whether_a_connection_has_news_is_looked_at_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    poll = select.poll

    class Watched:
        def __init__(self) -> None:
            self._poll = poll()
            self.register = self._poll.register

        def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
            waits.append(timeout)
            return self._poll.poll(timeout)

    async with port(Counting()) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as pool:
        url = f"http://127.0.0.1:{number}/"
        with monkeypatch.context() as patch:
            patch.setattr(select, "poll", Watched)
            await ask(pool, "GET", url)
            await ask(pool, "GET", url)
    assert set(waits) == {0}


async def test_a_url_that_comes_again_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is asked after until it is done, and parsing takes a tenth of the time of a request."""
    parsed: list[str] = []

    def parse(url: str) -> httpx.URL:
        parsed.append(url)
        return httpx_url(url)

    httpx_url = httpx.URL
    async with port(Counting()) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as pool:
        url = f"http://127.0.0.1:{number}/machine-events/e1"
        await ask(pool, "GET", url)
        monkeypatch.setattr(httpx, "URL", parse)
        await ask(pool, "GET", url)
        await ask(pool, "GET", f"{url}2")
    assert parsed == [f"{url}2"]


@pytest.mark.parametrize(
    ("method", "content", "tail"),
    [
        ("GET", None, b"\r\n\r\n"),
        ("DELETE", None, b"\r\n\r\n"),
        ("POST", None, b"Content-Length: 0\r\n\r\n"),
        ("PUT", None, b"Content-Length: 0\r\n\r\n"),
        ("POST", b"{}", b"Content-Length: 2\r\n\r\n{}"),
        ("DELETE", b"{}", b"Content-Length: 2\r\n\r\n{}"),
    ],
)
async def test_a_request_says_how_long_its_body_is(method: str, content: bytes | None, tail: bytes) -> None:
    serve = Counting()
    async with port(serve) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as pool:
        await ask(pool, method, f"http://127.0.0.1:{number}/x?a=b", content)
    (heard,) = serve.heard
    assert heard.startswith(b"%s /x?a=b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (method.encode(), number))
    assert heard.endswith(tail)
    assert (b"Content-Length" in heard) == (b"Content-Length" in tail)


# --- what an answer may weigh beside its body


class Nowhere(asyncio.Transport):
    """A transport on which nothing travels."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool:
        return False


async def _heard(*pieces: bytes) -> bool:
    """Whether a connection that has heard these still waits for the rest of the answer."""
    one = Connection()
    one.connection_made(Nowhere())
    task = asyncio.ensure_future(one.send(b"x", nothing))
    await asyncio.sleep(0)
    for piece in pieces:
        one.data_received(piece)
    await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        return True
    with pytest.raises(httpx.RemoteProtocolError, match="do not end"):
        await task
    return False


async def test_a_head_that_does_not_end_is_given_up_after_64_kib() -> None:
    begun = b"HTTP/1.1 200 OK\r\nx: "
    assert await _heard(begun, b"y" * (64 * 1024 - len(begun)))
    assert not await _heard(begun, b"y" * (64 * 1024 - len(begun)), b"y")


async def test_the_framing_of_chunks_may_weigh_as_much_as_their_bytes_and_64_kib() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"1\r\nb\r\n"  # five bytes around one
    most = (64 * 1024 - len(head)) // 4
    assert await _heard(head, chunk * most)
    assert not await _heard(head, chunk * most, chunk)
    whole = b"5\r\nbbbbb\r\n"  # five bytes around five: for as long as it comes
    assert await _heard(head, whole * 50_000)


async def test_only_what_is_read_of_the_headers_is_kept_and_the_first_of_each_counts() -> None:
    says = (
        b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nretry-after: 9\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n"
        b"x-retry-after: 3\r\ncontent-length: 2\r\n\r\n{}"
    )
    async with port(Counting(says)) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as pool:
        assert await ask(pool, "GET", f"http://127.0.0.1:{number}/") == RawAnswer(429, "a/b", "7", b"{}")


@pytest.mark.parametrize(("status", "body"), [(199, b""), (200, b"{}"), (201, b"{}"), (100, b""), (102, b"")])
async def test_what_comes_before_the_answer_is_not_the_answer(status: int, body: bytes) -> None:
    before = b"HTTP/1.1 %d X\r\n\r\n" % status if status < 200 else b""
    says = before + (OK if status < 200 else OK.replace(b"200", b"%d" % status))
    async with port(Counting(says)) as number, aclosing(Pool(f"http://127.0.0.1:{number}")) as pool:
        answer = await ask(pool, "GET", f"http://127.0.0.1:{number}/")
    assert (answer.status, answer.body) == (max(status, 200), b"{}")


# --- proxies and hosts


@pytest.mark.parametrize(
    ("status", "through"), [(199, None), (200, True), (204, True), (299, True), (300, False), (407, False)]
)
async def test_a_proxy_lets_through_with_any_2xx_and_with_nothing_else(
    status: int, through: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\n\r\n" % status)
        await writer.drain()
        if await reader.read(1) == b"\x16":  # the first byte of TLS
            hello.set()

    async with port(serve) as number:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{number}")
        async with aclosing(Pool("https://api.invalid/v1")) as pool:
            with pytest.raises(httpx.ConnectError if through else httpx.ProxyError) as caught:
                await ask(pool, "GET", "https://api.invalid/v1/x")
    assert hello.is_set() is bool(through)
    assert not trouble_of(caught.value, on_wire=False).sent


def test_a_place_takes_the_port_that_the_url_names_or_the_schemes_own() -> None:
    for url, place in (
        ("https://api.example/v1", Origin("api.example", 443, True)),
        ("https://api.example:8443/v1", Origin("api.example", 8443, True)),
        ("http://localhost/v1", Origin("localhost", 80, False)),
        ("http://localhost:8080", Origin("localhost", 8080, False)),
        ("other://localhost", Origin("localhost", 80, False)),
        ("file://localhost", Origin("localhost", 80, False)),
    ):
        assert Origin.of(httpx.URL(url)) == place
    assert Origin.of(httpx.URL("https://api.example:8443")).authority == "api.example:8443"


@pytest.mark.parametrize(
    ("host", "loopback", "by_name"),
    [
        ("localhost", True, True),
        ("LOCALHOST.", True, True),
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("[::1]", True, True),
        ("::1", True, True),
        ("api.localhost", False, True),
        ("notlocalhost", False, False),
        ("localhost.example.com", False, False),
        ("128.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("127.0.0.1.example.com", False, False),
    ],
)
def test_a_host_is_this_machine_by_its_address_or_where_names_count_by_its_name(
    host: str, loopback: bool, by_name: bool
) -> None:
    assert (is_loopback(host, by_name=False), is_loopback(host)) == (loopback, by_name)


async def test_a_reach_says_what_stands_on_the_way_and_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with port(Counting()) as number:
        here = await reach(f"http://127.0.0.1:{number}")
    assert (here.proxy, here.trust, here.trouble, here.stage) == (None, None, None, None)
    nobody = await reach(f"http://127.0.0.1:{number}")
    assert (nobody.proxy, nobody.trust, nobody.stage) == (None, None, "URL")
    assert nobody.trouble is not None
    assert nobody.trouble.what == "The connection to the API was refused"
    unknown = await reach("https://api.invalid")
    assert (unknown.proxy, unknown.trust, unknown.stage) == (None, "the system's trust store", "URL")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.invalid:3128")
    proxied = await reach("https://api.invalid")
    assert (proxied.proxy, proxied.stage) == ("http://proxy.invalid:3128", "proxy")
    assert proxied.trouble is not None
    assert proxied.trouble.what == "The host name proxy.invalid cannot be resolved (DNS)"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    other = await reach("https://api.invalid")
    assert (other.proxy, other.stage) == (None, "proxy")


async def test_no_trouble_of_a_reach_says_that_something_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of the API, so whatever breaks, it cannot have acted."""

    async def broken(_: Dialer) -> Connection:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(Dialer, "dial", broken)
    lost = Trouble("The connection to the API was lost", "Try again in a minute.", sent=False)
    assert await reach("http://127.0.0.1:1") == Reached(None, None, lost, "URL")


async def test_a_reach_names_the_certificates_of_the_operators_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert (await reach("https://127.0.0.1:1")).trust == "SSL_CERT_DIR"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert (await reach("https://127.0.0.1:1")).trust == "SSL_CERT_FILE and SSL_CERT_DIR"
    monkeypatch.delenv("SSL_CERT_DIR")
    assert (await reach("https://127.0.0.1:1")).trust == "the system's trust store"


async def test_the_operators_own_certificates_are_trusted_instead_of_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted: list[object] = []

    def trust(**these: str | None) -> ssl.SSLContext:
        trusted.append(these)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    file, missing = tmp_path / "own.pem", str(tmp_path / "missing")
    file.touch()
    monkeypatch.setattr(ssl, "create_default_context", trust)
    for one, folder in ((str(file), str(tmp_path)), (str(file), ""), ("", str(tmp_path)), (missing, missing)):
        monkeypatch.setenv("SSL_CERT_FILE", one)
        monkeypatch.setenv("SSL_CERT_DIR", folder)
        with pytest.raises(httpx.ConnectError):
            await Dialer(httpx.URL("https://127.0.0.1:1")).dial()
    assert trusted == [
        {"cafile": str(file), "capath": str(tmp_path)},
        {"cafile": str(file), "capath": None},
        {"cafile": None, "capath": str(tmp_path)},
    ]


async def test_an_error_inside_an_api_in_this_process_is_a_500_as_it_is_over_a_socket() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("with a secret")

    reply = await ThroughHttpx.to(broken).send("GET", "http://sandbox/v1/x", {}, None, on_wire=nothing)
    assert reply == RawAnswer(500)
