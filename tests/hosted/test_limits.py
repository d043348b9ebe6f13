"""One principal cannot take the others' turn; a balancer learns whether to send calls here."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from paperspace_storage_server.calls.principal import PRINCIPAL, Principal
from paperspace_storage_server.hosted.challenges import Refusal
from paperspace_storage_server.hosted.health import ASKED_EVERY, Health, HealthRoutes
from paperspace_storage_server.hosted.limits import MOST_CALLS, MOST_STREAMS, Limits
from paperspace_storage_tools.errors import StoreUnavailable

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Surface:
    """Answers at once, or holds each request until it is released."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.release.set()
        self.held = 0
        self.changed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.held += 1
        self.changed.set()
        try:
            await self.release.wait()
        finally:
            self.held -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    async def holds(self, many: int) -> None:
        while self.held < many:
            self.changed.clear()
            await self.changed.wait()


def limited(surface: Surface, rate: int | None, clock: Clock, refused: list[Refusal]) -> httpx.AsyncClient:
    limits = Limits(surface, rate, clock, refused.append)

    async def as_principal(scope: Scope, receive: Receive, send: Send) -> None:
        who = dict(scope["headers"]).get(b"who", b"").decode()
        if who:
            scope["state"] = {PRINCIPAL: Principal(who, "team", frozenset())}
        await limits(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(as_principal), base_url="http://a")


async def test_a_principal_has_so_many_calls_in_any_minute_and_takes_none_of_anothers() -> None:
    clock, refused = Clock(), list[Refusal]()
    async with limited(Surface(), 3, clock, refused) as client:

        async def call(who: str, path: str = "/mcp") -> httpx.Response:
            return await client.post(path, headers={"who": who})

        for _ in range(3):
            assert (await call("anna")).status_code == 200
            clock.now += 10
        turned_away = await call("anna")
        assert (turned_away.status_code, turned_away.headers["Retry-After"]) == (429, "30")
        assert turned_away.json() == {
            "error": "too_many_requests",
            "error_description": "You may make 3 calls in a minute. Try again in 30 s.",
        }
        assert (await call("anna", "/v1/shared-drives")).headers["Content-Type"] == "application/problem+json"
        assert (await call("ben")).status_code == 200
        assert (await call("")).status_code == 200  # nobody had to show a token
        clock.now += 29.9
        assert (await call("anna")).status_code == 429
        clock.now += 0.1
        assert (await call("anna")).status_code == 200
        assert [one.status for one in refused] == [429, 429, 429]


async def test_a_request_for_a_stream_is_one_of_the_minutes_calls() -> None:
    async with limited(Surface(), 3, Clock(), []) as client:
        answers = [(await client.get("/mcp", headers={"who": "anna"})).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


async def test_without_a_rate_there_is_none() -> None:
    async with limited(Surface(), None, Clock(), []) as client:
        answers = [(await client.post("/mcp", headers={"who": "anna"})).status_code for _ in range(1000)]
    assert answers == [200] * 1000


async def test_a_principal_has_so_many_calls_and_streams_at_a_time() -> None:
    surface = Surface()
    surface.release.clear()
    async with limited(surface, None, Clock(), []) as client:

        async def ask(method: str, who: str) -> httpx.Response:
            return await client.request(method, "/mcp", headers={"who": who})

        calls = [asyncio.create_task(ask("POST", "anna")) for _ in range(MOST_CALLS)]
        streams = [asyncio.create_task(ask("GET", "anna")) for _ in range(MOST_STREAMS)]
        await surface.holds(MOST_CALLS + MOST_STREAMS)
        assert (await ask("POST", "anna")).status_code == 429
        assert (await ask("GET", "anna")).status_code == 429
        others = asyncio.create_task(ask("POST", "ben"))
        await surface.holds(MOST_CALLS + MOST_STREAMS + 1)
        gone = calls.pop()
        gone.cancel()  # a client that leaves gives its turn back
        await asyncio.gather(gone, return_exceptions=True)
        again = asyncio.create_task(ask("POST", "anna"))
        await surface.holds(MOST_CALLS + MOST_STREAMS + 1)
        surface.release.set()
        answers = await asyncio.gather(*calls, *streams, others, again)
        assert {answer.status_code for answer in answers} == {200}
        assert (await ask("POST", "anna")).status_code == 200


class Shared:
    """What the replicas share: there, or away."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("no answer")


async def test_a_balancer_learns_whether_this_replica_lives_and_whether_to_send_calls() -> None:
    clock, shared, lacks = Clock(), Shared(), list[str]()
    health = Health(lambda: lacks[0] if lacks else None, shared.ping, clock)

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(HealthRoutes(behind, health))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:8000") as client:

        async def ready() -> tuple[int, dict[str, str]]:
            answer = await client.get("/readyz")
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status_code, answer.json()

        assert (await client.get("/healthz")).json() == {"status": "alive"}
        assert await ready() == (200, {"status": "ready"})
        shared.away = True
        assert await ready() == (200, {"status": "ready"})  # asked a moment ago
        clock.now += ASKED_EVERY
        assert await ready() == (200, {"status": "degraded"})
        assert await ready() == (200, {"status": "degraded"})
        assert shared.asked == 2
        shared.away = False
        clock.now += ASKED_EVERY
        assert await ready() == (200, {"status": "ready"})
        lacks.append("the issuer's keys have not come yet")
        assert await ready() == (503, {"status": "not ready", "reason": "the issuer's keys have not come yet"})
        lacks.clear()
        health.draining = True
        assert await ready() == (503, {"status": "draining"})
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/readyz")).status_code == 405
        assert (await client.get("/readyz/more")).status_code == 418
