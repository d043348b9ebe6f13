"""Following a machine event, and giving up a call that nobody waits for any more."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import uvicorn
from mcp import Client

from paperspace_storage_server.mcp.server import build_server
from paperspace_storage_server.mcp.web import streamable_http_app
from support.fault_proxy import Fault, Reply, Rule
from support.faulted import Bed, Mode, faulted, outcome

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
HANG = Fault("hang", "hang", 1)
LATE = Fault("late", "mislabel", 1, Reply(200), 0.2)


async def _machine(bed: Bed) -> str:
    return str((await bed.items("/snapshots"))[0]["machineId"])


async def _follow(bed: Bed, seconds: int) -> tuple[bool, str, list[tuple[float, float | None, str | None]]]:
    seen: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    arguments = {"machineId": await _machine(bed), "name": "followed", "waitSeconds": seconds}
    result = await bed.client.call_tool("create_snapshot", arguments, progress_callback=on_progress)
    return *outcome(result), seen


@MODES
async def test_a_wait_that_ends_too_early_is_a_success_that_says_not_finished(mode: Mode) -> None:
    async with faulted("live", event_seconds=3600, mode=mode) as bed:
        ok, text, seen = await _follow(bed, 4)
        snapshot = json.loads(text)
        event = snapshot["event"]
        assert ok
        assert event["state"] == "new"
        assert snapshot["notice"] == f"Not finished: event {event['id']} is new. Follow it with get_machine_event."
        assert bed.sleeps.slept == pytest.approx([0.5, 0.75, 1.125, 1.625])
        assert [(done, total) for done, total, _ in seen] == [(0.5, 4.0), (1.2, 4.0), (2.4, 4.0), (4.0, 4.0)]
        assert {message for _, _, message in seen} == {f"Snapshot {snapshot['id']}: new"}


async def test_a_wait_is_cut_to_what_the_budget_leaves() -> None:
    async with faulted("live", event_seconds=3600, budget=3.0) as bed:
        ok, text, _ = await _follow(bed, 10_000)
        assert ok
        assert "Not finished" in json.loads(text)["notice"]
        assert sum(bed.sleeps.slept) <= 2.0


async def test_an_event_that_is_done_ends_the_wait() -> None:
    async with faulted("live", event_seconds=3) as bed:
        ok, text, seen = await _follow(bed, 30)
        assert (ok, json.loads(text)["event"]["state"]) == (True, "done")
        assert "notice" not in json.loads(text)
        assert bed.sleeps.slept == pytest.approx([0.5, 0.75, 1.125, 1.6875])
        assert [message.rpartition(": ")[2] for _, _, message in seen if message] == [
            "new",
            "in progress",
            "in progress",
        ]


@MODES
async def test_an_event_that_ends_in_error_is_a_failure_with_the_events_words(mode: Mode) -> None:
    async with faulted("live", event_seconds=3, mode=mode) as bed:
        arguments = {"machineId": await _machine(bed), "name": "sandbox-fail", "waitSeconds": 30}
        ok, text = outcome(await bed.client.call_tool("create_snapshot", arguments))
        words = "The sandbox let this event fail, because of the snapshot's name."
        assert not ok
        assert text.startswith("Snapshot ss")
        assert text.endswith(f'ended as error. The event says: "{words}". Read the present state before trying again.')


async def test_an_event_that_cannot_be_read_is_no_failure_of_what_was_accepted() -> None:
    async with faulted("live", event_seconds=3600) as bed:
        bed.proxy.rules = (Rule(Fault("down", "answer", reply=Reply(503)), "GET", "/machine-events/"),)
        ok, text, _ = await _follow(bed, 5)
        assert ok
        assert "was accepted, but its event could not be followed: The API failed (503)" in json.loads(text)["notice"]
        assert json.loads(text)["event"]["state"] == "new"


# --- cancelled


async def _until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 5 s")


async def _cancelled(bed: Bed, calling: Callable[[], Coroutine[Any, Any, Any]], method: str) -> None:
    """Start a call and end it as soon as its request with this method is at the API."""
    async with anyio.create_task_group() as group:
        group.start_soon(calling)
        await _until(lambda: bed.proxy.count(method) == 1)
        group.cancel_scope.cancel()


async def _a_read_is_dropped(bed: Bed, client: Client) -> None:
    bed.proxy.rules = (Rule(HANG, "GET", "/snapshots/"),)
    await _cancelled(bed, lambda: client.call_tool("get_snapshot", {"id": "ss0000001"}), "GET")
    await _until(bed.proxy.dropped.is_set)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert bed.proxy.methods == ["GET"]


async def _a_write_is_read_to_its_end(bed: Bed, client: Client) -> None:
    """Its outcome is known then; but nothing follows, though the call was to wait for the snapshot's event."""
    bed.proxy.rules = (Rule(LATE, "POST"),)
    arguments = {"machineId": await _machine(bed), "name": "given up", "waitSeconds": 30}
    await _cancelled(bed, lambda: client.call_tool("create_snapshot", arguments), "POST")
    await _until(lambda: len(bed.proxy.committed) == 2)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert bed.proxy.methods == ["GET", "POST"]
    assert bed.proxy.open_connections == 1  # the one that was answered: it can be used again


@MODES
async def test_a_cancelled_call_stops_its_request_and_sends_nothing_more(mode: Mode) -> None:
    async with faulted("live", mode=mode) as bed:
        await _a_read_is_dropped(bed, bed.client)
        ok, _ = await bed.call("list_shared_drives")  # the server goes on
        assert ok


@MODES
async def test_a_cancelled_write_is_read_to_its_end_and_sends_nothing_more(mode: Mode) -> None:
    async with faulted("live", event_seconds=3600, mode=mode) as bed:
        await _a_write_is_read_to_its_end(bed, bed.client)
        ok, _ = await bed.call("list_shared_drives")
        assert ok


@asynccontextmanager
async def _over_http(bed: Bed) -> AsyncGenerator[str]:
    config = uvicorn.Config(streamable_http_app(build_server(bed.service)), port=0, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await _until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        await serving


@MODES
async def test_a_client_over_http_that_goes_away_stops_its_request(mode: Mode) -> None:
    async with faulted("live") as bed, _over_http(bed) as url, Client(url, mode=mode) as client:
        await _a_read_is_dropped(bed, client)


@MODES
async def test_a_write_of_a_client_over_http_that_goes_away_is_read_to_its_end(mode: Mode) -> None:
    async with faulted("live", event_seconds=3600) as bed, _over_http(bed) as url, Client(url, mode=mode) as client:
        await _a_write_is_read_to_its_end(bed, client)


async def test_a_cancelled_notification_over_stdio_stops_the_request() -> None:
    """The handshake era's `notifications/cancelled`, as it stands on the wire, to a server in a process."""
    async with faulted("live") as bed:
        bed.proxy.rules = (Rule(HANG, "GET", "/snapshots/"),)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PAPERSPACE")},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PAPERSPACE_API_KEY": "key-of-the-team",
            "PAPERSPACE_API_URL": bed.proxy.url,
            "PAPERSPACE_MCP_DIALECT": "live",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "paperspace_storage_server", stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment
        )
        assert process.stdin is not None
        assert process.stdout is not None

        def say(method: str, params: dict[str, Any], id: int | None = None) -> None:
            assert process.stdin is not None
            message = {"jsonrpc": "2.0", "method": method, "params": params, **({} if id is None else {"id": id})}
            process.stdin.write(json.dumps(message).encode() + b"\n")

        try:
            hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            say("initialize", hello, 1)
            assert json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["id"] == 1
            say("notifications/initialized", {})
            say("tools/call", {"name": "get_snapshot", "arguments": {"id": "ss0000001"}}, 2)
            await _until(lambda: bed.proxy.count("GET") == 1)
            say("notifications/cancelled", {"requestId": 2, "reason": "the person pressed escape"})
            await _until(bed.proxy.dropped.is_set)
            say("tools/call", {"name": "list_shared_drives", "arguments": {}}, 3)
            answer: dict[str, Any] = {}
            for _ in range(3):
                answer = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
                if answer["id"] == 3:
                    break
            assert answer["result"]["isError"] is False
            assert bed.proxy.methods == ["GET", "GET"]
            process.stdin.close()
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
