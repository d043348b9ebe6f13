"""Many calls at once over one session, and many after one another: the right answers, bounded connections, memory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from mcp import Client

from paperspace_storage_server.wire.messages import Dialect
from support.crowd import HELD, Crowd, crowd, drive
from support.processes import ERAS, KEY, Era, Transport, children, client_of, listening, rss_kib
from support.recorded import answer_of, failure_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MOST_CONNECTIONS = 32
WARM_UP = 1_000
CALLS = int(os.environ.get("MANY_CALLS", "3000"))  # 20000 by hand
AT_ONCE = 25
MOST_GROWTH_KIB = 3 * 1024

everywhere = pytest.mark.parametrize(
    ("transport", "era"), [(transport, era) for transport in ("stdio", "streamable-http") for era in ERAS]
)


@asynccontextmanager
async def served(transport: Transport, era: Era, api: Crowd, dialect: Dialect = "published") -> AsyncGenerator[Client]:
    """A client of a server process whose API is the stub. Nothing may be tried twice: each call is one request."""
    settings = {"PAPERSPACE_API_KEY": KEY, "PAPERSPACE_API_URL": api.url, "PAPERSPACE_MCP_DIALECT": dialect}
    settings["PAPERSPACE_MCP_MAX_ATTEMPTS"] = "1"
    if transport == "stdio":
        async with client_of(transport, era, arguments=(), settings=settings) as client:
            yield client
    else:
        command = ("serve", "--transport", transport, "--port", "0")
        with listening(*command, settings=settings) as address:
            async with client_of(transport, era, address) as client:
                yield client


async def got(client: Client, id: str) -> dict[str, object]:
    return answer_of(await client.call_tool("get_shared_drive", {"id": id}))


@everywhere
async def test_200_calls_at_once_are_each_answered_with_their_own_drive(transport: Transport, era: Era) -> None:
    ids = [f"sd{number}" for number in range(200)]
    async with crowd(pause=0.02) as api, served(transport, era, api) as client:
        found = await asyncio.gather(*[got(client, id) for id in ids])
        assert found == [drive(id) for id in ids]
        assert api.asked == len(ids)
        assert 1 < api.most_open <= MOST_CONNECTIONS


@everywhere
async def test_a_slow_call_does_not_hold_up_fast_ones(transport: Transport, era: Era) -> None:
    async with crowd() as api, served(transport, era, api) as client:
        slow = asyncio.create_task(got(client, HELD))
        async with asyncio.timeout(15):
            await api.holding.wait()
            ids = [f"sd{number}" for number in range(50)]
            assert await asyncio.gather(*[got(client, id) for id in ids]) == [drive(id) for id in ids]
        assert not slow.done()
        api.release.set()
        assert await slow == drive(HELD)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_memory_stays_flat_over_thousands_of_calls() -> None:
    async with crowd() as api:
        before = children()
        async with served("stdio", "auto", api, "live") as client:
            (process,) = children() - before

            async def calls(first: int, count: int) -> None:
                async def some(start: int) -> None:
                    for number in range(start, first + count, AT_ONCE):
                        kind = number % 20
                        if kind == 0:
                            asked = {"id": f"no{number}"}
                            assert "shared drive" in failure_of(await client.call_tool("get_shared_drive", asked))
                        elif kind == 1:
                            wrong = {"id": f"sd{number}", f"wrong{number}": 1}
                            assert "wrong" in failure_of(await client.call_tool("get_shared_drive", wrong))
                        else:
                            assert await got(client, f"sd{number}") == drive(f"sd{number}")

                await asyncio.gather(*[some(first + place) for place in range(AT_ONCE)])

            await calls(0, WARM_UP)
            start = rss_kib(process)
            await calls(WARM_UP, CALLS)
            end = rss_kib(process)
    print(f"{CALLS} calls: RSS {start} KiB at the start, {end} KiB at the end")  # noqa: T201 - seen with -s
    assert end - start < MOST_GROWTH_KIB
