"""The stdio transport's line splitting, without a process."""

from __future__ import annotations

import asyncio

import pytest

from paperspace_storage_server.mcp.stdio import MOST_WAITING, Lines


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
