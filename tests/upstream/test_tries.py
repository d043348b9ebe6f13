"""How long one try may take, how many there are, what each sends and says; and what a transport may throw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.http.transport import RawAnswer
from paperspace_storage_server.wire.messages import Answer, Method, Request
from paperspace_storage_tools.errors import Malformed, NoKey, TimedOut, Unreachable
from support.guarded import Clock

pytestmark = pytest.mark.anyio
OK = RawAnswer(200, "application/json", body=b"{}")


@dataclass(slots=True)
class Scripted:
    """A transport that answers each try as it is told, after that many seconds by the clock."""

    clock: Clock
    says: list[RawAnswer | Exception]
    takes: float = 0.0
    asked: list[tuple[str, str, dict[str, str], bytes | None]] = field(
        default_factory=list[tuple[str, str, dict[str, str], bytes | None]]
    )
    reaches: bool = True
    closed: int = 0

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        self.asked.append((method, url, dict(headers), content))
        if self.reaches:
            on_wire()
        self.clock.now += self.takes
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said

    async def aclose(self) -> None:
        self.closed += 1


def over(transport: Scripted, *, tries: int = 4, key: str | None = "k", url: str = "https://api.invalid/v1") -> Http:
    async def sleep(seconds: float) -> None:
        transport.clock.now += seconds

    policy = RetryPolicy(tries, jitter=lambda low, high: high)
    return Http(url, None if key is None else SecretStr(key), lambda: transport, policy=policy, sleep=sleep)


# --- how long


@pytest.mark.parametrize(
    ("method", "seconds", "spent", "limit"),
    [
        ("GET", 100.0, 0.0, 20.0),  # one that hangs leaves time for another
        ("GET", 40.0, 0.0, 16.0),
        ("GET", 40.0, 30.0, 10.0),
        ("PUT", 100.0, 0.0, 20.0),
        ("PUT", 40.0, 0.0, 16.0),
        ("PUT", 40.0, 26.0, 7.0),  # a fifth of the budget is kept for looking, but no more than half of what is left
        ("DELETE", 40.0, 22.0, 10.0),
        ("POST", 100.0, 0.0, 80.0),  # it is not repeated, so it need not leave time for that
        ("POST", 100.0, 70.0, 15.0),
        ("POST", 100.0, 90.0, 5.0),
        ("POST", 100.0, 97.0, 1.5),
    ],
)
async def test_a_try_may_take_so_long(
    method: Method, seconds: float, spent: float, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []

    def timeout(delay: float | None) -> asyncio.Timeout:
        limits.append(delay)
        return asyncio.Timeout(None)

    monkeypatch.setattr(asyncio, "timeout", timeout)
    clock = Clock()
    budget = Budget.of(seconds, clock)
    clock.now += spent
    await over(Scripted(clock, [OK])).send(Request(method, "/x"), budget)
    assert limits == [pytest.approx(limit)]


async def test_nothing_is_sent_once_the_budget_is_spent() -> None:
    for spent, sent in ((9.9, 1), (10.0, 0), (11.0, 0)):
        clock = Clock()
        transport, budget = Scripted(clock, [OK]), Budget.of(10.0, clock)
        clock.now += spent
        if sent:
            await over(transport).send(Request("POST", "/x"), budget)
        else:
            with pytest.raises(TimedOut) as caught:
                await over(transport).send(Request("POST", "/x"), budget)
            assert (caught.value.seconds, caught.value.tries, caught.value.changed) == (spent, 0, "nothing")
        assert len(transport.asked) == sent


@pytest.mark.parametrize(
    ("method", "takes", "tries"), [("GET", 3.0, 4), ("GET", 5.0, 3), ("PUT", 3.0, 3), ("PUT", 5.0, 2), ("POST", 3.0, 1)]
)
async def test_a_repeat_of_a_write_leaves_a_fifth_of_the_budget_for_looking(
    method: Method, takes: float, tries: int
) -> None:
    clock = Clock()
    transport = Scripted(clock, [RawAnswer(503)], takes)
    answer = await over(transport).send(Request(method, "/x"), Budget.of(14.0, clock))
    assert (answer.status, answer.tries, len(transport.asked)) == (503, tries, tries)


# --- what is sent


async def test_each_request_carries_the_key_and_says_who_asks_for_what() -> None:
    transport = Scripted(Clock(), [OK])
    http = over(transport, url="https://api.invalid/v1/")
    await http.send(Request("GET", "/x", (("a", "b c"), ("d", "é&"))), Budget.of(10))
    await http.send(Request("POST", "/x/y", body=b"{}"), Budget.of(10))
    always = {"Authorization": "Bearer k", "Accept": "application/json", "User-Agent": "paperspace-storage-mcp"}
    assert transport.asked == [
        ("GET", "https://api.invalid/v1/x?a=b+c&d=%C3%A9%26", always, None),
        ("POST", "https://api.invalid/v1/x/y", {**always, "Content-Type": "application/json"}, b"{}"),
    ]


async def test_without_a_key_nothing_is_sent() -> None:
    transport = Scripted(Clock(), [OK])
    with pytest.raises(NoKey):
        await over(transport, key=None).send(Request("GET", "/x"), Budget.of(10))
    assert transport.asked == []


async def test_the_way_out_is_opened_once_and_after_it_is_closed_anew() -> None:
    opened: list[Scripted] = []

    def open_one() -> Scripted:
        opened.append(Scripted(Clock(), [OK]))
        return opened[-1]

    http = Http("https://api.invalid", SecretStr("k"), open_one)
    await http.aclose()
    assert opened == []
    for _ in range(2):
        await http.send(Request("GET", "/x"), Budget.of(10))
    assert [len(one.asked) for one in opened] == [2]
    await http.aclose()
    await http.aclose()
    assert [one.closed for one in opened] == [1]
    await http.send(Request("GET", "/x"), Budget.of(10))
    assert [len(one.asked) for one in opened] == [2, 1]


# --- what is said of the tries


@pytest.mark.parametrize(
    ("method", "says", "tries", "doubt"),
    [
        ("GET", [OK], 1, False),
        ("PUT", [RawAnswer(503), OK], 2, True),
        ("PUT", [RawAnswer(429), OK], 2, False),
        ("PUT", [RawAnswer(500), RawAnswer(429), OK], 3, True),
        ("DELETE", [RawAnswer(408), RawAnswer(404)], 2, True),
        ("DELETE", [OSError(), RawAnswer(404)], 2, True),
        ("POST", [RawAnswer(429), RawAnswer(429), OK], 3, False),
    ],
)
async def test_an_answer_says_after_how_many_tries_it_came_and_whether_an_earlier_one_may_have_acted(
    method: Method, says: list[RawAnswer | Exception], tries: int, doubt: bool
) -> None:
    last = says[-1]
    assert isinstance(last, RawAnswer)
    clock = Clock()
    answer = await over(Scripted(clock, says)).send(Request(method, "/x"), Budget.of(60, clock))
    assert answer == Answer(last.status, last.content_type, last.body, tries=tries, doubt=doubt)


@pytest.mark.parametrize(
    ("method", "reaches", "tries", "changed"),
    [
        ("GET", True, 4, "nothing"),
        ("PUT", True, 4, "unknown"),
        ("POST", True, 1, "unknown"),
        ("POST", False, 4, "nothing"),
        ("DELETE", False, 4, "nothing"),
    ],
)
async def test_whatever_a_transport_throws_is_a_try_that_failed(
    method: Method, reaches: bool, tries: int, changed: str
) -> None:
    clock = Clock()
    transport = Scripted(clock, [RuntimeError("never heard of")], reaches=reaches)
    with pytest.raises(Unreachable) as caught:
        await over(transport).send(Request(method, "/x"), Budget.of(60, clock))
    assert (caught.value.tries, caught.value.changed, len(transport.asked)) == (tries, changed, tries)
    assert "never heard of" not in str(caught.value)


@pytest.mark.parametrize(("method", "changed"), [("GET", "nothing"), ("POST", "unknown"), ("PUT", "unknown")])
async def test_an_answer_that_is_too_large_is_not_asked_for_again(method: Method, changed: str) -> None:
    from paperspace_storage_server.http.trouble import TooLarge

    clock = Clock()
    transport = Scripted(clock, [TooLarge()])
    with pytest.raises(Malformed) as caught:
        await over(transport).send(Request(method, "/x"), Budget.of(60, clock))
    assert (caught.value.what, caught.value.changed, len(transport.asked)) == ("it is larger than 4 MiB", changed, 1)


async def test_a_doubt_of_an_earlier_try_stays_where_a_later_one_never_left() -> None:
    """The first PUT may have acted; that the second found no connection does not undo it."""
    import httpx

    clock = Clock()
    transport = Scripted(clock, [RawAnswer(500), httpx.ConnectError("refused")])
    with pytest.raises(Unreachable) as caught:
        await over(transport).send(Request("PUT", "/x"), Budget.of(60, clock))
    assert (caught.value.tries, caught.value.changed) == (4, "unknown")


async def test_a_retry_after_that_fits_is_waited_for_and_one_that_does_not_is_handed_on() -> None:
    for after, tries, waited in (("7", 2, 7.0), ("70", 1, 0.0)):
        clock = Clock()
        transport = Scripted(clock, [RawAnswer(429, retry_after=after), RawAnswer(200)])
        answer = await over(transport).send(Request("GET", "/x"), Budget.of(60, clock))
        assert (len(transport.asked), clock.now - 1000.0) == (tries, waited)
        assert answer.retry_after == (float(after) if tries == 1 else None)


async def test_a_way_out_that_is_told_nothing_else_makes_four_tries_and_pauses_between_them() -> None:
    clock, slept = Clock(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    transport = Scripted(clock, [RawAnswer(503)])
    http = Http("https://api.invalid", SecretStr("k"), lambda: transport, sleep=sleep)
    assert (await http.send(Request("GET", "/x"), Budget.of(60, clock))).tries == 4
    assert [0 <= pause <= most for pause, most in zip(slept, (0.5, 1.0, 2.0), strict=True)] == [True] * 3
