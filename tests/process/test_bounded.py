"""What an outsider can hold: half a minute of a connection, 64 KiB of headers, 1 MiB of a body, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from paperspace_storage_server.process import bounded
from paperspace_storage_server.process.bounded import LARGEST_BODY, LARGEST_HEAD, BoundedHttp, Bounds

pytestmark = pytest.mark.anyio
Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Echo:
    """Reads the body and says how long it was; notes how each request ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.set()
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ends.append("disconnected")
                return
            size += len(message["body"])
            if not message["more_body"]:
                break
        self.ends.append("whole")
        text = str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[Dial]:
    config = uvicorn.Config(Bounds(app), log_config=None, access_log=False, server_header=False, date_header=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: BoundedHttp(config, state, {}), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    opened: list[asyncio.StreamWriter] = []

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        return reader, writer

    try:
        yield dial
    finally:
        for writer in opened:
            writer.close()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def answer(dial: Dial, *pieces: bytes) -> bytes:
    """All that comes until the server closes, which it must."""
    reader, writer = await dial()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(10):
        return await reader.read()


def status(answered: bytes) -> int:
    return int(answered.split(b" ", 2)[1]) if answered else 0


CLOSE = b"Connection: close\r\n"
HEAD = b"POST /mcp HTTP/1.1\r\nHost: a\r\n" + CLOSE


async def test_what_stays_within_the_bounds_is_served() -> None:
    echo = Echo()
    async with serving(echo) as dial:
        filler = b"X: " + b"x" * (LARGEST_HEAD - 200) + b"\r\n"
        whole = await answer(dial, HEAD + filler + b"Content-Length: 5\r\n\r\nhello")
        assert (status(whole), whole[-1:]) == (200, b"5")
        largest = await answer(dial, HEAD + b"Content-Length: %d\r\n\r\n" % LARGEST_BODY, b"x" * LARGEST_BODY)
        assert (status(largest), largest[-7:]) == (200, b"1048576")
    assert echo.ends == ["whole", "whole"]


async def test_headers_beyond_64_kib_are_431_in_one_piece_in_many_and_without_an_end() -> None:
    echo = Echo()
    one = b"X: " + b"x" * LARGEST_HEAD + b"\r\n\r\n"
    many = [b"X-%d: %s\r\n" % (number, b"x" * 900) for number in range(80)]
    async with serving(echo) as dial:
        for pieces in ([HEAD + one], [HEAD, *many, b"\r\n"], [HEAD, *many], [b"GET /" + b"a" * (LARGEST_HEAD + 10)]):
            assert status(await answer(dial, *pieces)) == 431
    assert echo.ends == []


async def test_a_body_beyond_1_mib_is_413_announced_or_not() -> None:
    echo = Echo()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    async with serving(echo) as dial:
        announced = await answer(dial, HEAD + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1))
        chunked = await answer(dial, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 17)
    assert (status(announced), status(chunked)) == (413, 413)
    assert echo.ends == ["disconnected"]


async def test_what_is_no_request_is_400_and_a_strange_coding_501() -> None:
    async with serving(Echo()) as dial:
        assert status(await answer(dial, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")) == 400
        assert status(await answer(dial, HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")) == 400
        assert status(await answer(dial, HEAD + b"Transfer-Encoding: gzip\r\n\r\n")) == 501


async def test_a_request_whose_end_can_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read() -> None:
    echo = Echo()
    second = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(echo) as dial:
        for lengths in (
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Transfer-Encoding : chunked\r\n",
            b"Content-Length: +5\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ):
            request = b"POST /mcp HTTP/1.1\r\nHost: a\r\n" + lengths + b"\r\n0\r\n\r\n" + second
            answered = await answer(dial, request)
            assert status(answered) in (400, 501), lengths
            assert answered.count(b"HTTP/1.1 ") == 1, lengths
    assert echo.ends == []


async def test_connections_that_ask_nothing_give_way_to_those_that_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_most_connections", lambda: 5)
    release = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with serving(slow) as dial:
        asking = [asyncio.create_task(answer(dial, request)) for _ in range(2)]
        await asyncio.sleep(0.05)  # until they stand
        for _ in range(40):
            await dial()  # asks nothing, and stays
        asking.append(asyncio.create_task(answer(dial, request)))
        await asyncio.sleep(0.05)
        release.set()
        assert [status(one) for one in await asyncio.gather(*asking)] == [200] * 3


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([], 0),
        ([b"POST"], 408),
        ([HEAD], 408),
        ([HEAD + b"Content-Length: 5\r\n\r\nhel"], 408),
        ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"], 408),
    ],
)
async def test_what_does_not_come_in_time_is_408_however_far_it_came(
    pieces: list[bytes], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "PATIENCE", 0.05)
    echo = Echo()
    async with serving(echo) as dial:
        assert status(await answer(dial, *pieces)) == told
    assert echo.ends == (["disconnected"] if b"\r\n\r\n" in b"".join(pieces) else [])


async def test_bytes_that_trickle_in_do_not_gain_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "PATIENCE", 0.1)
    async with serving(Echo()) as dial:
        reader, writer = await dial()
        writer.write(HEAD)
        began = asyncio.get_running_loop().time()
        answered = b""
        while not answered:
            writer.write(b"X: y\r\n")
            try:
                async with asyncio.timeout(0.01):
                    answered = await reader.read(100)
            except TimeoutError:
                assert asyncio.get_running_loop().time() - began < 5
        assert status(answered) == 408


async def test_the_clock_is_on_the_request_not_on_the_answer_nor_on_what_lies_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded, "PATIENCE", 0.05)
    release = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(slow) as dial:
        reader, writer = await dial()
        request = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        for _ in range(2):
            writer.write(request)
            asyncio.get_running_loop().call_later(0.12, release.set)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            release.clear()


async def test_the_rest_of_a_request_that_came_along_with_the_last_one_must_come_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded, "PATIENCE", 0.05)
    async with serving(Echo()) as dial:
        first = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        answered = await answer(dial, first + HEAD + b"Content-Length: 5\r\n\r\nhel")
        assert [int(part[:3]) for part in answered.split(b"HTTP/1.1 ")[1:]] == [200, 408]


async def test_a_client_that_never_reads_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "PATIENCE", 0.05)
    ended = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(2000):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        finally:
            ended.set()

    async with serving(endless) as dial:
        _, writer = await dial()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(10):
            await ended.wait()
