"""A creation that outlasts its caller's patience: it goes on, and its repeat finds it, with the rest of the wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from mcp import Client, MCPError
from pydantic import SecretStr

from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.mcp.server import build_server
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.store import key_of
from support.faulted import Mode
from support.service import service_over

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
REPEATED = (
    "An earlier call for the same made this snapshot, and its caller may be gone: it is the answer, and no second one "
    "was made."
)


@dataclass(slots=True)
class Clock:
    """Time that stands still until `go`, and then passes as fast as it is slept."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    passed: float = 0.0
    waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def now(self) -> float:
        self.passed += 0.001  # as every look at a clock
        return time.time() + self.passed

    async def sleep(self, seconds: float) -> None:
        self.waiting.release()
        await self.go.wait()
        self.passed += seconds


@dataclass(frozen=True, slots=True)
class Bed:
    """Two processes of one user before one API, and a machine of the team."""

    service: Service
    other: Service
    clock: Clock
    machine: str

    async def names(self, client: Client) -> list[str]:
        listed = await client.call_tool("list_snapshots", {"machineId": self.machine, "name": "night*"})
        return [item["name"] for item in cast("dict[str, Any]", listed.structured_content)["items"]]

    async def create(self, client: Client, **more: object) -> dict[str, Any]:
        arguments = {"machineId": self.machine, "name": "nightly", "waitSeconds": 30, **more}
        result = await client.call_tool("create_snapshot", arguments)
        assert not result.is_error, result.content
        return cast("dict[str, Any]", result.structured_content)


@asynccontextmanager
async def bed() -> AsyncGenerator[Bed]:
    clock, store = Clock(), MemoryStore()
    api = create_app("live", event_seconds=3.0, clock=clock.now)
    settings = Settings(api_key=SecretStr("key-of-the-team"), dialect="live", confirm="never")

    def process() -> Service:
        return service_over(lambda: ThroughHttpx.to(api), settings, sleep=clock.sleep, now=clock.now, store=store)

    service, other = process(), process()
    try:
        async with Client(build_server(service)) as client:
            listed = await client.call_tool("list_snapshots", {"limit": 1})
        first = cast("dict[str, Any]", listed.structured_content)["items"][0]
        yield Bed(service, other, clock, first["machineId"])
    finally:
        await service.aclose()
        await other.aclose()
        api.state.close()


@MODES
@pytest.mark.parametrize("process", ["same", "other"])
async def test_the_repeat_of_a_call_that_its_client_gave_up_waits_for_what_the_first_one_made(
    mode: Mode, process: str
) -> None:
    async with bed() as on:
        async with Client(build_server(on.service), mode=mode, read_timeout_seconds=1) as impatient:
            with pytest.raises(MCPError):
                await on.create(impatient)
        on.clock.go.set()
        async with Client(build_server(on.service if process == "same" else on.other), mode=mode) as client:
            snapshot = await on.create(client)
            assert (snapshot["event"]["state"], snapshot["notice"]) == ("done", REPEATED)
            assert await on.names(client) == ["nightly"]


async def test_a_repeat_finds_it_while_the_first_call_still_waits_for_a_caller_who_is_gone() -> None:
    async with bed() as on, Client(build_server(on.service)) as client:
        first = asyncio.create_task(on.create(client))
        await on.clock.waiting.acquire()
        repeat = asyncio.create_task(on.create(client))
        await on.clock.waiting.acquire()
        on.clock.go.set()
        one, other = await first, await repeat
        assert (one["id"], "notice" in one, one["event"]["state"]) == (other["id"], False, "done")
        assert (other["notice"], other["event"]["state"]) == (REPEATED, "done")
        assert await on.names(client) == ["nightly"]


async def test_each_of_those_that_ask_at_once_gets_one_of_its_own_though_others_wait_with_theirs() -> None:
    async with bed() as on, Client(build_server(on.service)) as client:
        async with asyncio.TaskGroup() as calling:
            calls = [calling.create_task(on.create(client)) for _ in range(3)]
            for _ in calls:
                await on.clock.waiting.acquire()
            on.clock.go.set()
        made = [call.result() for call in calls]
        assert len({one["id"] for one in made}) == 3
        assert [("notice" in one, one["event"]["state"]) for one in made] == [(False, "done")] * 3


async def test_what_is_not_the_same_request_is_made_while_another_waits() -> None:
    async with bed() as on, Client(build_server(on.service)) as client:
        first = asyncio.create_task(on.create(client))
        await on.clock.waiting.acquire()
        other = await on.create(client, name="nightly 2", waitSeconds=0)
        assert "notice" not in other
        on.clock.go.set()
        await first
        assert sorted(await on.names(client)) == ["nightly", "nightly 2"]


async def test_a_call_that_was_answered_is_repeated_by_no_other() -> None:
    async with bed() as on, Client(build_server(on.service)) as client:
        on.clock.go.set()
        one, other = await on.create(client), await on.create(client)
        assert one["id"] != other["id"]
        assert "notice" not in other
        assert await on.names(client) == ["nightly", "nightly"]


async def test_what_was_made_and_is_gone_again_is_made_anew() -> None:
    async with bed() as on:
        async with Client(build_server(on.service), read_timeout_seconds=1) as impatient:
            with pytest.raises(MCPError):
                await on.create(impatient)
        on.clock.go.set()
        async with Client(build_server(on.service)) as client:
            listed = await client.call_tool("list_snapshots", {"machineId": on.machine, "name": "nightly"})
            (made,) = cast("dict[str, Any]", listed.structured_content)["items"]
            await on.clock.sleep(10)
            await client.call_tool("delete_snapshot", {"id": made["id"], "waitSeconds": 30})
            again = await on.create(client)
            assert again["id"] != made["id"]
            assert "notice" not in again


async def test_a_wait_that_ended_in_a_failure_leaves_nothing_to_find() -> None:
    async with bed() as on, Client(build_server(on.service)) as client:
        on.clock.go.set()
        arguments = {"machineId": on.machine, "name": "sandbox-fail", "waitSeconds": 30}
        failed = await client.call_tool("create_snapshot", arguments)
        assert "ended as error" in str(failed.content[0])
        upstream = on.service.team.upstream
        name = f"{on.machine}/sandbox-fail"
        assert await upstream.store.get(key_of("open", upstream.team, "snapshot", name)) is None
