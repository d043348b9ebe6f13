"""However odd an answer is, it is told plainly, holds up nobody, and takes little more memory than it weighs."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager

import pytest
from mcp import Client

from paperspace_storage_server.http.body import LARGEST_ANSWER
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.trouble import TooLarge
from paperspace_storage_server.mcp.server import build_server
from support.faulted import Sleeps, outcome, service_at
from support.hostile import Hostile, Says, hostile
from support.steps import steps_of_this_loop

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
NOT_HTTP = "What came back is no HTTP, or is damaged"
TOO_LARGE = "The API's answer is not usable: it is larger than 4 MiB."
TOO_MANY = "The API's answer is not usable: it has more than 10,000 items."
DRIVE = {"id": "sd1", "name": "n", "region": "ny2", "size": 250}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _chunked(*parts: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n"
    yield from parts


def _for_ever(first: Iterator[bytes], again: bytes) -> Iterator[bytes]:
    yield from first
    block = again * (65536 // len(again))
    for _ in range(10_000):  # 640 MiB; a bound lets the test end
        yield block


def _raw(name: str) -> Iterator[bytes]:
    if name == "trailers":
        return _for_ever(_chunked(b"0\r\n"), b"x-trailer: y\r\n")
    if name == "one trailer":
        return _for_ever(_chunked(b"0\r\nx: "), b"y")
    if name == "chunk extensions":
        return _for_ever(_chunked(b"2;"), b"x")
    if name == "interim answers":
        return _for_ever(iter(()), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    if name == "headers":
        return _for_ever(iter((b"HTTP/1.1 200 OK\r\n",)), b"x-header: y\r\n")
    return _for_ever(_chunked(), b"2\r\n  \r\n")


ENDLESS = ("trailers", "one trailer", "chunk extensions", "interim answers", "headers", "chunks of two bytes")
PACKED = (("content-type", "application/json"), ("content-encoding", "gzip"))
LARGE: dict[str, tuple[Says, str | None]] = {
    "ten thousand drives": (Says(body=_json([DRIVE] * 10_000)), None),
    "ten thousand long drives": (Says(body=_json([{**DRIVE, "name": "x" * 350}] * 10_000)), None),
    "texts of wide characters": (Says(body=_json([{**DRIVE, "name": "x" * 340 + "\U0001f600"}] * 10_000)), None),
    "few and large items": (Says(body=_json([{**DRIVE, "name": "x" * 8_000 + "\U0001f600\u202e"}] * 500)), None),
    "packed": (Says(headers=PACKED, body=gzip.compress(_json([{**DRIVE, "name": "x" * 350}] * 10_000))), None),
    "empty items": (Says(body=b"[" + b"{}," * 1_300_000 + b"{}]"), TOO_MANY),
    "nothing but brackets": (Says(body=b"[" * 4_000_000), "The API's answer is not usable: item 0 is cut off"),
    "numbers": (Says(body=b"[" + b"1," * 1_900_000 + b"1]"), "The API's answer is not usable: item 0 is cut off"),
    "one text": (Says(body=_json([{**DRIVE, "name": "x" * 4_000_000}])), "The API's answer is not usable: item 0"),
    "an error of many issues": (
        Says(400, body=_json({"code": "a", "message": "b", "issues": [dict[str, str]()] * 1_000_000})),
        "The API refused the request for the shared drive (400).",
    ),
    "chunks of two bytes": (Says(body=_json([DRIVE] * 10_000), framing="chunked", chunk=2), NOT_HTTP),
    "chunks of eight bytes": (Says(body=_json([DRIVE] * 10_000), framing="chunked", chunk=8), None),
    "larger than any": (Says(body=b"[" + b"{}," * 5_000_000 + b"{}]"), TOO_LARGE),
    "a packed bomb": (Says(headers=PACKED, body=gzip.compress(bytes(400 * MIB), 9)), TOO_LARGE),
}


PAGE = _json({"hasMore": False, "items": [{**DRIVE, "name": "x" * 4_000 + "\U0001f600\u202e"}] * 120})


@asynccontextmanager
async def _before(upstream: Hostile, dialect: str = "published") -> AsyncGenerator[Client]:
    service = service_at(upstream.url, Sleeps(), dialect=dialect, max_attempts=1)
    async with Client(build_server(service)) as client:
        yield client
    await service.aclose()


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_does_not_end_is_given_up_soon(what: str) -> None:
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for part in _raw(what):
            sent += len(part)
            yield part

    with hostile(lambda _: Says(raw=counted())) as upstream:
        async with _before(upstream) as client:
            ok, text = outcome(await client.call_tool("list_shared_drives", {}))
    assert (ok, text.startswith(NOT_HTTP)) == (False, True)
    assert sent < 8 * MIB  # most of it in the buffers of the two sockets


async def test_trailers_are_not_taken_for_headers() -> None:
    says = Says(
        429,
        body=b"{}",
        framing="chunked",
        trailers=(("retry-after", "77"), ("content-type", "text/html"), ("content-encoding", "gzip")),
    )
    with hostile(lambda _: says) as upstream:
        async with _before(upstream) as client:
            _, text = outcome(await client.call_tool("list_shared_drives", {}))
    assert text == "The API is limiting the rate (429). Try again in a minute, with fewer calls."


@pytest.mark.parametrize("what", LARGE)
async def test_a_large_answer_keeps_the_loop_for_a_moment_only(what: str) -> None:
    says, failure = LARGE[what]
    with hostile(lambda _: says) as upstream:
        async with _before(upstream) as client:
            with steps_of_this_loop() as steps:
                ok, text = outcome(await client.call_tool("list_shared_drives", {}))
    assert (ok, text.startswith(failure or '{"items":[{"id":"sd1"')) == (failure is None, True), text[:300]
    assert steps.longest < 0.1


@pytest.mark.parametrize("what", LARGE)
async def test_a_large_answer_takes_at_most_four_times_its_size(what: str) -> None:
    """Of what is larger than any answer, only so much as is read counts."""
    says, _ = LARGE[what]
    size = len(says.body) if "gzip" not in dict(says.headers).values() else LARGEST_ANSWER
    written = list(says.written())
    with hostile(lambda _: Says(raw=written)) as upstream:
        async with _before(upstream) as client:
            await client.call_tool("list_shared_drives", {})  # what is built once is built now
            tracemalloc.start()
            try:
                await client.call_tool("list_shared_drives", {})
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert peak < 4 * min(size, LARGEST_ANSWER), f"{peak / MIB:.1f} MiB of {size / MIB:.1f}"


async def test_a_page_as_large_as_any_keeps_the_loop_for_a_moment_and_takes_few_mib() -> None:
    written = list(Says(body=PAGE).written())
    with hostile(lambda _: Says(raw=written)) as upstream:
        async with _before(upstream, "live") as client:
            await client.call_tool("list_shared_drives", {})
            with steps_of_this_loop() as steps:
                ok, _ = outcome(await client.call_tool("list_shared_drives", {}))
            tracemalloc.start()
            try:
                await client.call_tool("list_shared_drives", {})
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert ok
    assert steps.longest < 0.1
    assert peak < 8 * MIB, f"{peak / MIB:.1f} MiB of {len(PAGE) / MIB:.1f}"


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_is_read_up_to_4_mib_and_no_further(packed: bool) -> None:
    async def read(size: int) -> int:
        body = gzip.compress(bytes(size)) if packed else bytes(size)
        headers = PACKED if packed else ()
        with hostile(lambda _: Says(headers=headers, body=body)) as upstream:
            async with aclosing(Pool(upstream.url)) as pool:
                return len((await pool.send("GET", upstream.url, {}, None, on_wire=lambda: None)).body)

    assert await read(4 * MIB) == 4 * MIB
    with pytest.raises(TooLarge):
        await read(4 * MIB + 1)
