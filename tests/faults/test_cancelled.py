"""A creation that was cancelled while its request was under way: it is read to its end, and the next one knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.state.store import key_of
from support.service import service_over

pytestmark = pytest.mark.anyio
KEY = "key-of-the-team"


@dataclass(slots=True)
class Slow:
    """The sandbox, whose POSTs wait until `go`; `answer` is what they get instead, if it is set."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    posts: int = 0
    answer: tuple[int, dict[str, Any]] | None = None
    sandbox: Any = field(default_factory=lambda: create_app("live", event_seconds=0.0))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self.sandbox(scope, receive, send)
            return
        self.posts += 1
        self.came.set()
        await self.go.wait()
        if self.answer is None:
            await self.sandbox(scope, receive, send)
        else:
            status, body = self.answer
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps(body).encode()})
        self.answered.set()


@asynccontextmanager
async def slow() -> AsyncGenerator[tuple[Slow, Service, str]]:
    """The API, the service before it, and a machine of the team."""
    api = Slow()
    settings = Settings(api_key=SecretStr(KEY), dialect="live", confirm="never", max_attempts=1)
    service = service_over(lambda: ThroughHttpx.to(api), settings)
    try:
        listed = await service.call(service.tools["list_snapshots"], {"limit": 1}, Unasked())
        assert listed.structured is not None
        items = cast("list[dict[str, str]]", listed.structured["items"])
        yield api, service, items[0]["machineId"]
    finally:
        await service.aclose()
        api.sandbox.state.close()


async def create(service: Service, machine: str) -> Outcome:
    tool = service.tools["create_snapshot"]
    return await service.call(tool, {"machineId": machine, "name": "nightly", "waitSeconds": 0}, Unasked())


async def cancelled(api: Slow, service: Service, machine: str) -> None:
    """A creation that is cancelled while its POST waits for its answer."""
    call = asyncio.create_task(create(service, machine))
    await api.came.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def finished(api: Slow, service: Service) -> None:
    """The API has answered, and whoever had to know does."""
    api.go.set()
    await api.answered.wait()
    for _ in range(50):  # turns of the event loop that what follows may take
        await asyncio.sleep(0)
    assert not service.team.upstream.unfinished


async def test_what_a_cancelled_creation_made_is_the_answer_of_the_next_one() -> None:
    async with slow() as (api, service, machine):
        await cancelled(api, service, machine)
        await finished(api, service)
        again = await create(service, machine)
        assert again.structured is not None, again.text
        assert str(again.structured["notice"]).startswith("An earlier request for the same had no answer.")
        assert api.posts == 1


async def test_while_a_cancelled_creation_is_under_way_nothing_is_sent() -> None:
    async with slow() as (api, service, machine):
        await cancelled(api, service, machine)
        again = await create(service, machine)
        assert again.failure is not None
        assert "may still be under way" in again.text
        assert api.posts == 1


async def test_a_cancelled_creation_that_was_refused_keeps_nobody_waiting() -> None:
    async with slow() as (api, service, machine):
        api.answer = (409, {"code": "CONFLICT", "message": "busy"})
        await cancelled(api, service, machine)
        await finished(api, service)
        api.answer = None
        again = await create(service, machine)
        assert again.structured is not None, again.text
        assert "notice" not in again.structured
        assert api.posts == 2


async def test_what_became_of_a_cancelled_creation_does_not_touch_the_next_ones_record() -> None:
    async with slow() as (api, service, machine):
        api.answer = (409, {"code": "CONFLICT", "message": "busy"})
        await cancelled(api, service, machine)
        store = service.team.upstream.store
        key = key_of("open", service.team.upstream.team, "snapshot", f"{machine}/nightly")
        assert await store.get(key) is not None
        await store.put(key, "another's record", 60)
        await finished(api, service)
        assert await store.get(key) == "another's record"
