"""What is kept back: connections from each other, and time from a write for looking what it did."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.wire.messages import Dialect, Request
from paperspace_storage_tools.errors import Refused, TimedOut, Unreachable
from support.fault_proxy import Fault, Reply, Rule, Seen
from support.faulted import faulted
from support.loopback_tls import port

pytestmark = pytest.mark.anyio
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def nothing() -> None:
    """Nobody asks when the first byte goes out."""


async def test_however_many_calls_at_once_make_32_connections_and_no_more() -> None:
    open, most, all_there, let = 0, 0, asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open, most
        open += 1
        most = max(most, open)
        if open == 32:
            all_there.set()
        while await reader.readuntil(b"\r\n\r\n"):
            await let.wait()
            writer.write(OK)

    async with port(serve) as number:
        pool = Pool(f"http://127.0.0.1:{number}")

        async def ask() -> int:
            return (await pool.send("GET", f"http://127.0.0.1:{number}/", {}, None, on_wire=nothing)).status

        asked = [asyncio.ensure_future(ask()) for _ in range(40)]
        await asyncio.wait_for(all_there.wait(), 10)
        let.set()
        assert await asyncio.gather(*asked) == [200] * 40
        await pool.aclose()
    assert most == 32


async def test_a_write_that_hangs_leaves_a_fifth_of_the_budget_for_looking_and_a_read_none() -> None:
    limits: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with port(serve) as number:
        url = f"http://127.0.0.1:{number}"
        for method in ("POST", "GET"):
            http = Http(url, SecretStr("k"), lambda: Pool(url), policy=RetryPolicy(9, jitter=lambda low, high: low))
            budget = Budget.of(0.5)
            with pytest.raises((TimedOut, Unreachable)):
                await http.send(Request(method, "/x"), budget)
            limits.append(round(budget.left() / 0.5, 1))
            await http.aclose()
    post, get = limits
    assert 0.1 <= post <= 0.2
    assert get < 0.1


@each_dialect
async def test_a_404_names_the_tool_that_lists_what_there_is(dialect: Dialect) -> None:
    listed: dict[str, tuple[str, dict[str, Any]]] = {
        "list_shared_drives": ("get_shared_drive", {"id": "x9"}),
        "list_snapshots": ("get_snapshot", {"id": "x9"}),
        "list_storage_providers": ("get_storage_provider", {"id": "x9"}),
    }
    async with faulted(dialect) as bed:
        for lister, (tool, arguments) in listed.items():
            ok, text = await bed.call(tool, **arguments)
            assert not ok
            assert text.endswith(f" Check the id. {lister} lists what exists."), text


async def test_a_restore_whose_answer_is_lost_says_that_the_machine_may_or_may_not_have_been_restored() -> None:
    async with faulted("published") as bed:
        snapshot = (await bed.items("/snapshots"))[0]
        for fault, restored in (
            (Fault("lost", "reset", 1), "may or may not have been restored"),
            (Fault("busy", "answer", reply=Reply(409, body=b'{"code":"BUSY","message":"busy"}')), "was not restored"),
        ):
            bed.proxy.forget()
            bed.proxy.rules = (Rule(fault, "POST", "/restore$"),)
            ok, text = await bed.call("restore_snapshot", id=snapshot["id"])
            made = {one["id"] for one in await bed.items("/snapshots?limit=100")}
            assert not ok
            head, _, safety = text.rpartition(f"The machine {restored}; its safety snapshot ")
            assert head
            assert safety.removesuffix(" exists.") in made


def test_a_refusal_of_what_nothing_lists_gives_no_advice_to_list() -> None:
    text = Refused(404, None, None, "machine event", "e1").text()
    assert "lists what exists" not in text


async def test_a_creation_reads_25_pages_of_what_was_there_and_then_counts_as_unknown() -> None:
    """Beyond, what was there cannot be known: the creation goes out, and a lost answer stays an honest unknown."""
    for pages, found in ((25, True), (26, False)):
        async with faulted("live") as bed:
            machine = str((await bed.items("/snapshots"))[0]["machineId"])
            asked = 0

            def choose(seen: Seen, pages: int = pages) -> Fault | None:
                nonlocal asked
                if seen.method == "POST":
                    return Fault("lost", "reset", 1)
                asked += 1
                if asked > pages:
                    return None  # the sandbox's own list: what the creation made is in it
                more = {"nextPage": f"p{asked}"} if asked < pages else {}
                body = json.dumps({"hasMore": bool(more), **more, "items": []}).encode()
                return Fault("a page", "answer", reply=Reply(200, body=body))

            bed.proxy.choose = choose
            ok, text = await bed.call("create_snapshot", machineId=machine, name="many")
            assert ok is found, text
            assert bed.proxy.count("POST") == 1
