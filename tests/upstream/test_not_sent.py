"""Whether a write went out is known for sure: what never left has changed nothing, and is told so."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from paperspace_storage_server.http import pool
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.wire.messages import Request
from paperspace_storage_tools.errors import Failure, TimedOut, Unreachable, describe
from support.loopback_tls import port

pytestmark = pytest.mark.anyio

POST = Request("POST", "/shared-drives", body=b"{}")


async def test_a_post_that_found_no_free_connection_has_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 1)
    heads: list[bytes] = []
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        asked.set()
        await reader.read()

    async with port(serve) as number:
        url = f"http://127.0.0.1:{number}"
        http = Http(url, SecretStr("k"), lambda: Pool(url), policy=RetryPolicy(1))
        first = asyncio.ensure_future(http.send(Request("GET", "/shared-drives"), Budget.of(100)))
        await asyncio.wait_for(asked.wait(), 10)
        with pytest.raises(Unreachable) as caught:
            await http.send(POST, Budget.of(0.1))
        await http.aclose()
        await asyncio.gather(first, return_exceptions=True)
    assert describe(caught.value, write=True) == (
        "No connection to the API became free in time. Too many calls are under way at once: try again in a minute, "
        "with fewer. Nothing was changed."
    )
    assert [head.split()[0] for head in heads] == [b"GET"]


async def test_a_post_that_went_out_and_was_not_answered_in_time_may_have_changed_something() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with port(serve) as number:
        url = f"http://127.0.0.1:{number}"
        http = Http(url, SecretStr("k"), lambda: Pool(url), policy=RetryPolicy(1))
        with pytest.raises(Failure) as caught:
            await http.send(POST, Budget.of(0.1))
        await http.aclose()
    assert isinstance(caught.value, TimedOut)
    assert caught.value.changed == "unknown"
