"""The stdio transport's line splitting, without a process."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, JSONRPCResponse

from paperspace_storage_server.mcp.stdio import MOST_WAITING, Incoming, Lines, Opening, Resumed
from support.stdio_server import line


class ForeignTransport(asyncio.BaseTransport):
    """As uvloop's: it reads, and is no subclass of `asyncio.ReadTransport`."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def pause_reading(self) -> None:
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")


@pytest.mark.anyio
async def test_a_transport_of_another_event_loop_is_paused_and_resumed_too() -> None:
    transport, lines = ForeignTransport(), Lines()
    lines.connection_made(transport)
    lines.data_received(b"".join(b"%d\n" % number for number in range(MOST_WAITING + 1)))
    assert transport.said == ["pause"]
    assert [await lines.next() for _ in range(MOST_WAITING + 1)] == [b"%d" % n for n in range(MOST_WAITING + 1)]
    assert transport.said == ["pause", "resume"]


async def asked(stream: Opening | Resumed) -> tuple[str, int | str]:
    item = await stream.receive()
    assert isinstance(item, SessionMessage)
    assert isinstance(item.message, JSONRPCRequest)
    return item.message.method, item.message.id


@pytest.mark.anyio
async def test_a_client_that_only_probed_can_turn_to_the_older_era_and_its_probe_keeps_nobody_waiting() -> None:
    lines = Lines()
    lines.data_received(line("server/discover", 0) + line("initialize", 1) + line("tools/list", 2))
    opening = Opening(Incoming(lines), lines.pending)
    assert await asked(opening) == ("server/discover", 0)
    with pytest.raises(anyio.EndOfStream):
        await opening.receive()
    assert opening.fallback is not None
    resumed = Resumed(opening.fallback, Incoming(lines))
    assert [await asked(resumed), await asked(resumed)] == [("initialize", 1), ("tools/list", 2)]
    for id in (1, 2):
        lines.pending.went(JSONRPCResponse(jsonrpc="2.0", id=id, result={}))
    await asyncio.wait_for(lines.pending.settle(None), timeout=1)


@pytest.mark.anyio
@pytest.mark.parametrize("first", ["tools/list", "initialize"])
async def test_a_client_that_has_done_more_than_probe_keeps_its_era(first: str) -> None:
    lines = Lines()
    lines.data_received(line(first, 0) + line("server/discover", 1) + line("initialize", 2))
    opening = Opening(Incoming(lines), lines.pending)
    assert [(await asked(opening))[1] for _ in range(3)] == [0, 1, 2]
    assert opening.fallback is None
