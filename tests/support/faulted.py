"""The whole server before a fault proxy before a sandbox, called by a real MCP client in memory."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

from mcp import Client
from mcp_types import CallToolResult, TextContent
from pydantic import SecretStr

from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.mcp.server import build_server
from paperspace_storage_server.sandbox import create_app
from paperspace_storage_server.settings import load_settings
from paperspace_storage_server.wire.messages import Dialect
from support.fault_proxy import FaultProxy, Seen
from support.service import service_over

Mode = Literal["auto", "legacy"]
KEY = "key-of-the-team"
BASE = {"published": "privateNetworkId", "live": "networkId"}


class Sleeps:
    """Sleeps at once, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)

    def now(self) -> float:
        """The wall clock, as if all that had been slept."""
        return time.time() + sum(self.slept)


@dataclass(frozen=True, slots=True)
class Bed:
    """One server and everything around it."""

    dialect: Dialect
    client: Client
    proxy: FaultProxy
    service: Service
    sleeps: Sleeps

    async def call(self, tool: str, **arguments: object) -> tuple[bool, str]:
        """Whether it succeeded, and its text."""
        return outcome(await self.client.call_tool(tool, arguments))

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The sandbox's own answer, past the proxy and its records."""
        headers = (("authorization", f"Bearer {KEY}"),)
        content = b"" if body is None else json.dumps(body).encode()
        reply = await self.proxy.forward(Seen(method, f"/v1{path}", headers, content))
        self.proxy.committed.pop()
        return json.loads(reply.body) if reply.body else None

    async def items(self, path: str) -> list[dict[str, Any]]:
        got = await self.ask("GET", path)
        return cast("list[dict[str, Any]]", got if isinstance(got, list) else got["items"])


def outcome(result: CallToolResult) -> tuple[bool, str]:
    text = "".join(block.text for block in result.content if isinstance(block, TextContent))
    return not result.is_error, text


def service_at(
    url: str, sleeps: Sleeps, *, dialect: str = "auto", budget: float = 50.0, max_attempts: int = 4
) -> Service:
    """A server for the API at `url`, which pauses without jitter and without waiting."""
    flags = {"api_url": url, "dialect": dialect, "call_timeout": budget, "confirm": "never", "api_key": SecretStr(KEY)}
    policy = RetryPolicy(max_attempts, jitter=lambda low, high: high)
    return service_over(lambda: Pool(url), load_settings(flags), policy=policy, sleep=sleeps, now=sleeps.now)


@asynccontextmanager
async def faulted(
    dialect: Dialect,
    *,
    spoken: str | None = None,
    budget: float = 50.0,
    max_attempts: int = 4,
    event_seconds: float = 0.0,
    mode: Mode = "auto",
) -> AsyncGenerator[Bed]:
    """`spoken` is the setting of the dialect (the sandbox's own unless given). What is slept passes for the sandbox."""
    sleeps = Sleeps()
    app = create_app(dialect, event_seconds=event_seconds, clock=sleeps.now)
    proxy = FaultProxy(app)
    async with AsyncExitStack() as stack:
        stack.callback(app.state.close)
        await stack.enter_async_context(proxy.serving())
        service = service_at(proxy.url, sleeps, dialect=spoken or dialect, budget=budget, max_attempts=max_attempts)
        stack.push_async_callback(service.aclose)
        client = await stack.enter_async_context(Client(build_server(service), mode=mode))
        yield Bed(dialect, client, proxy, service, sleeps)
