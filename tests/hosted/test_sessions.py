"""Sessions of the older era: one caller takes no other's room, and what is left behind does not stay."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from paperspace_storage_server.calls.principal import PRINCIPAL, Principal
from paperspace_storage_server.mcp import sessions
from paperspace_storage_server.mcp.sessions import Sessions
from support.hosted_server import HostedWorld, hosted_world

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sdk:
    """Opens a session for whoever names none, and notes which were ended."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.ended: list[str] = []
        self.number = 0
        self.here = 0
        self.listen, self.answer = asyncio.Event(), asyncio.Event()
        self.answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        id, status = headers.get("mcp-session-id"), 200
        if id is None:
            if scope["path"] == "/refused":
                status = 400
            else:
                self.number += 1
                id = f"s{self.number}"
                self.open.append(id)
        elif scope["method"] == "DELETE" and id in self.open:
            self.open.remove(id)
            self.ended.append(id)
        elif id not in self.open:
            status = 404
        self.here += 1
        await (self.listen if scope["method"] == "GET" else self.answer).wait()
        self.here -= 1
        named = [] if id is None else [(b"Mcp-Session-Id", id.encode())]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": b""})


class Callers:
    """Requests to sessions that are bounded, as this or that caller."""

    def __init__(self, sdk: Sdk, clock: Clock, most: int = 3) -> None:
        self.sdk = sdk
        self.bounded = Sessions(sdk, most=most, idle=100.0, clock=clock)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self._as_somebody), base_url="http://a")

    async def _as_somebody(self, scope: Scope, receive: Receive, send: Send) -> None:
        who, _, team = dict(scope["headers"]).get(b"who", b"").decode().partition("@")
        if who:
            scope["state"] = {PRINCIPAL: Principal(who, team, frozenset())}
        await self.bounded(scope, receive, send)

    async def here(self, many: int) -> None:
        """Until so many requests stand."""
        while self.sdk.here < many:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    async def ask(self, who: str, id: str | None = None, method: str = "POST", path: str = "/mcp") -> str:
        headers = {"who": who, **({"Mcp-Session-Id": id} if id else {})}
        answer = await self.client.request(method, path, headers=headers)
        assert answer.status_code in (200, 400, 404)
        return answer.headers.get("mcp-session-id", "") if answer.status_code == 200 else str(answer.status_code)


async def test_who_opens_more_than_their_share_loses_the_one_they_left_longest_ago() -> None:
    sdk = Sdk()
    callers = Callers(sdk, Clock())
    async with callers.client:
        of_ben = await callers.ask("ben@ops")
        mine = [await callers.ask("anna@research") for _ in range(3)]
        await callers.ask("anna@research", mine[0])
        elsewhere = await callers.ask("anna@ops")
        assert sdk.ended == []
        more = await callers.ask("anna@research")
        assert sdk.ended == [mine[1]]
        assert sdk.open == [of_ben, mine[0], mine[2], elsewhere, more]
        assert await callers.ask("anna@research", mine[1]) == "404"


async def test_a_session_with_a_request_under_way_is_not_ended() -> None:
    sdk = Sdk()
    callers = Callers(sdk, Clock())
    async with callers.client:
        first = await callers.ask("anna@research")
        sdk.answer.clear()
        listening = asyncio.create_task(callers.ask("anna@research", first, "GET"))
        await callers.here(1)
        opening = [asyncio.create_task(callers.ask("anna@research")) for _ in range(4)]
        await callers.here(5)
        sdk.answer.set()
        await asyncio.gather(*opening)
        assert first in sdk.open
        assert len(sdk.open) == 3
        sdk.listen.set()
        assert await listening == first


async def test_what_was_refused_or_ended_counts_no_more() -> None:
    sdk = Sdk()
    callers = Callers(sdk, Clock())
    async with callers.client:
        assert [await callers.ask("anna@research", path="/refused") for _ in range(9)] == ["400"] * 9
        mine = [await callers.ask("anna@research") for _ in range(3)]
        await callers.ask("anna@research", mine[0], "DELETE")
        sdk.open.remove(mine[1])  # it has expired, and the next request finds that out
        assert await callers.ask("anna@research", mine[1]) == "404"
        for _ in range(2):
            await callers.ask("anna@research")
        assert sdk.ended == [mine[0]]


async def test_callers_who_have_left_are_forgotten_and_whoever_still_listens_is_not() -> None:
    sdk, clock = Sdk(), Clock()
    callers = Callers(sdk, clock)
    async with callers.client:
        of_anna = await callers.ask("anna@research")
        listening = asyncio.create_task(callers.ask("anna@research", of_anna, "GET"))
        await callers.here(1)
        for number in range(50):
            clock.now += 3
            await callers.ask(f"p{number}@ops")
        assert callers.bounded.callers == 34 + 1  # of the last 100 seconds, and anna
        for _ in range(3):
            await callers.ask("anna@research")
        assert of_anna in sdk.open
        sdk.listen.set()
        assert await listening == of_anna


async def test_who_makes_sessions_and_leaves_them_keeps_no_more_than_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions.Sessions.__init__, "__kwdefaults__", {**_defaults(), "most": 5})
    async with hosted_world(tmp_path, monkeypatch) as world:
        anna, ben = world.token("anna"), world.token("ben")
        await world.begin(ben)
        kept = await _begin_often(world, anna, 12)
        statuses = [await _lists(world, anna, id) for id in kept]
        assert statuses == [404] * 7 + [200] * 5
        assert await _lists(world, ben, world.sessions[ben]) == 200
        assert await _lists(world, anna, world.sessions[ben]) == 404


def _defaults() -> dict[str, Any]:
    return dict(sessions.Sessions.__init__.__kwdefaults__ or {})


async def _begin_often(world: HostedWorld, token: str, times: int) -> list[str]:
    made: list[str] = []
    for _ in range(times):
        await world.begin(token)
        made.append(world.sessions[token])
    return made


async def _lists(world: HostedWorld, token: str, session: str) -> int:
    return (await world.rpc("legacy", token, "tools/list", headers={"Mcp-Session-Id": session})).status_code
