"""A write whose caller is cancelled: nothing more is sent, what is on the wire is read to its end, and it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from paperspace_storage_server.http import pool
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http, Sleep
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.http.transport import RawAnswer
from paperspace_storage_server.wire.messages import Answer, Method, Request
from paperspace_storage_tools.errors import Cancelled, Changed, Failure, Unreachable
from support.loopback_tls import port

pytestmark = pytest.mark.anyio

MADE = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n"
BODY = b'{"id":"sd1"}'
DOWN = b"HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n"
WRITES: tuple[Method, ...] = ("POST", "PUT", "DELETE")


@dataclass(slots=True)
class Slow:
    """An API that answers when it is told to; `asked` is set for each request, `dropped` when its connection ends."""

    says: list[bytes] = field(default_factory=list[bytes])
    heads: list[bytes] = field(default_factory=list[bytes])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n") if end is None else await end
                self.heads.append(head)
                await reader.readexactly(2 if b"content-length: 2" in head.lower() else 0)
                self.asked.set()
                end = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))  # the next request, or the end
                answer = asyncio.ensure_future(self.answer.wait())
                await asyncio.wait({end, answer}, return_when=asyncio.FIRST_COMPLETED)
                answer.cancel()
                if end.done():
                    end.result()
                for part in self.says:
                    writer.write(part)
                    await writer.drain()
        finally:
            if end is not None:
                end.cancel()
            self.dropped.set()


@dataclass(slots=True)
class Left:
    """What the one who left was told, and when."""

    told: list[Answer | Failure] = field(default_factory=list["Answer | Failure"])
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, outcome: Answer | Failure) -> None:
        self.told.append(outcome)
        self.heard.set()

    async def outcome(self) -> Answer | Failure:
        await asyncio.wait_for(self.heard.wait(), 10)
        (one,) = self.told
        return one


@asynccontextmanager
async def _http(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    attempts: int = 4,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[Http]:
    async with port(serve) as number:
        url = f"http://127.0.0.1:{number}"
        http = Http(url, SecretStr("k"), lambda: Pool(url), policy=RetryPolicy(attempts), sleep=sleep)
        try:
            yield http
        finally:
            await http.aclose()


def _begin(http: Http, left: Left, method: Method = "POST", budget: float = 100.0) -> asyncio.Task[Answer]:
    request = Request(method, "/shared-drives", body=b"{}")
    return asyncio.ensure_future(http.send(request, Budget.of(budget), when_left=left))


async def _cancel(task: asyncio.Task[Answer]) -> None:
    """The caller is gone at once, whatever is under way."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)


@pytest.mark.parametrize("method", WRITES)
async def test_a_write_on_the_wire_is_read_to_its_end_and_its_answer_told(method: Method) -> None:
    api, left = Slow([MADE, BODY]), Left()
    async with _http(api.serve) as http:
        task = _begin(http, left, method)
        await asyncio.wait_for(api.asked.wait(), 10)
        await _cancel(task)
        assert (left.told, api.dropped.is_set()) == ([], False)
        api.answer.set()
        assert await left.outcome() == Answer(201, "application/json", BODY)
        again = await http.send(Request("GET", "/x"), Budget.of(10))  # over the same connection: it was read to its end
        assert (again.status, len(api.heads), api.dropped.is_set()) == (201, 2, False)


async def test_a_read_is_dropped() -> None:
    api, left = Slow([MADE, BODY]), Left()
    async with _http(api.serve) as http:
        task = _begin(http, left, "GET")
        await asyncio.wait_for(api.asked.wait(), 10)
        await _cancel(task)
        await asyncio.wait_for(api.dropped.wait(), 10)
    assert left.told == []


@pytest.mark.parametrize("method", WRITES)
async def test_a_write_that_fails_after_its_caller_left_is_not_sent_again(method: Method) -> None:
    api, left = Slow([DOWN]), Left()
    async with _http(api.serve) as http:
        task = _begin(http, left, method)
        await asyncio.wait_for(api.asked.wait(), 10)
        await _cancel(task)
        api.answer.set()
        assert await left.outcome() == Answer(503, "", b"")
        assert len(api.heads) == 1


async def test_a_write_whose_connection_is_lost_after_its_caller_left_is_told_unknown() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await go.wait()
        writer.transport.abort()

    left = Left()
    async with _http(serve) as http:
        task = _begin(http, left)
        await asyncio.wait_for(asked.wait(), 10)
        await _cancel(task)
        go.set()
        outcome = await left.outcome()
    assert isinstance(outcome, Unreachable)
    assert outcome.changed == "unknown"


async def test_a_write_that_is_never_answered_is_told_unknown_when_its_time_is_over() -> None:
    api, left = Slow(), Left()
    async with _http(api.serve) as http:
        task = _begin(http, left, budget=0.5)
        await asyncio.wait_for(api.asked.wait(), 10)
        await _cancel(task)
        outcome = await left.outcome()
        await asyncio.wait_for(api.dropped.wait(), 10)
    assert isinstance(outcome, Failure)
    assert outcome.changed == "unknown"


async def test_closing_tells_that_the_outcome_of_a_write_that_was_left_is_unknown() -> None:
    api, left = Slow(), Left()
    async with _http(api.serve) as http:
        task = _begin(http, left)
        await asyncio.wait_for(api.asked.wait(), 10)
        await _cancel(task)
    (outcome,) = left.told
    assert isinstance(outcome, Failure)
    assert outcome.changed == "unknown"


async def test_a_write_that_waits_for_a_connection_is_not_sent_and_told_so_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 1)
    api, first, second = Slow([MADE, BODY]), Left(), Left()
    async with _http(api.serve) as http:
        before = _begin(http, first, "PUT")
        await asyncio.wait_for(api.asked.wait(), 10)
        task = _begin(http, second)
        await asyncio.sleep(0)
        await _cancel(task)
        assert second.told == [Cancelled(1, "nothing")]
        api.answer.set()
        await before
        await http.send(Request("GET", "/x"), Budget.of(10))
    assert [head.split()[0] for head in api.heads] == [b"PUT", b"GET"]


@pytest.mark.parametrize(("status", "changed"), [(b"503", "unknown"), (b"429", "nothing")])
async def test_a_write_that_waits_for_its_next_try_is_not_sent_again(status: bytes, changed: Changed) -> None:
    """What its earlier tries may have done stays open."""
    api, left = Slow([DOWN.replace(b"503", status)]), Left()
    api.answer.set()
    pausing = asyncio.Event()

    async def pause(seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    async with _http(api.serve, sleep=pause) as http:
        task = _begin(http, left, "PUT")
        await asyncio.wait_for(pausing.wait(), 10)
        await _cancel(task)
    assert left.told == [Cancelled(1, changed)]
    assert len(api.heads) == 1


async def test_a_connection_that_comes_about_after_its_caller_left_is_sent_nothing() -> None:
    """A dialer that does not hear of the cancellation must not make the write go out."""
    dialed, opened, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    heads: list[str] = []

    class Deaf:
        async def send(
            self, method: str, url: str, headers: object, content: object, *, on_wire: Callable[[], None]
        ) -> RawAnswer:
            dialed.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await opened.wait()
            try:
                on_wire()
                heads.append(method)
                return RawAnswer(201)
            finally:
                over.set()

        async def aclose(self) -> None:
            return None

    left = Left()
    http = Http("http://127.0.0.1", SecretStr("k"), Deaf)
    task = _begin(http, left)
    await asyncio.wait_for(dialed.wait(), 10)
    await _cancel(task)
    assert left.told == [Cancelled(1, "nothing")]
    opened.set()
    await asyncio.wait_for(over.wait(), 10)
    assert heads == []
    await http.aclose()
    assert len(left.told) == 1


async def test_a_caller_that_is_cancelled_as_its_answer_comes_is_told_it() -> None:
    api, left = Slow([MADE, BODY]), Left()
    async with _http(api.serve) as http:
        task = _begin(http, left)
        await asyncio.wait_for(api.asked.wait(), 10)
        (write,) = http._writes  # pyright: ignore[reportPrivateUsage]  # to cancel in the very moment
        write.add_done_callback(lambda _: task.cancel())
        api.answer.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        assert await left.outcome() == Answer(201, "application/json", BODY)
