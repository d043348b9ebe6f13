"""A hosted server in this process: its gate, its teams and its surfaces, over a sandbox for each team."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx
import pytest
from starlette.types import ASGIApp, Message

from hosted.issuing import ISSUER, RESOURCE, SigningPair, Web, claims, pair
from paperspace_storage_server import hosting
from paperspace_storage_server.hosting import Hosted
from paperspace_storage_server.process.telemetry import Telemetry
from paperspace_storage_server.settings import Settings

Era: TypeAlias = Literal["legacy", "modern"]
ERAS: tuple[Era, ...] = ("legacy", "modern")
_VERSION = {"legacy": "2025-11-25", "modern": "2026-07-28"}
TEAMS = """
[teams.research]
api-key-env = "RESEARCH_KEY"
members.subjects = ["anna"]

[teams.ops]
api-key-env = "OPS_KEY"
members.subjects = ["ben"]
"""
KEYS = {"RESEARCH_KEY": "key-of-research-0123456789", "OPS_KEY": "key-of-ops-0123456789"}


@dataclass
class HostedWorld:
    """The server, what an outsider speaks to it with, and the issuer."""

    hosted: Hosted
    client: httpx.AsyncClient
    web: Web
    signing: SigningPair
    teams_file: Path
    sessions: dict[str, str] = field(default_factory=dict[str, str])
    capabilities: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the client of the requests declares."""

    def token(self, subject: str = "anna", scope: str = "storage:destroy", **more: Any) -> str:
        return self.signing.token(claims(sub=subject, scope=scope, **more))

    async def rpc(
        self,
        era: Era,
        token: str | None,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> httpx.Response:
        """One request of this era, a session of the older one begun before it where the token has none yet."""
        given: dict[str, Any] = dict(params or {})
        sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        sent["MCP-Protocol-Version"] = _VERSION[era]
        if era == "modern":
            given["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": _VERSION[era],
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            }
            sent["Mcp-Method"] = method
            if "name" in given or "uri" in given:
                sent["Mcp-Name"] = given.get("name") or given["uri"]
        elif method != "initialize" and token is not None and token in self.sessions:
            sent["Mcp-Session-Id"] = self.sessions[token]
        content = body or json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": given})
        return await self.client.post("/mcp", content=content, headers={**sent, **(headers or {})})

    async def begin(self, token: str) -> None:
        """A session of the older era."""
        hello = {
            "protocolVersion": _VERSION["legacy"],
            "capabilities": self.capabilities,
            "clientInfo": {"name": "t", "version": "1"},
        }
        answer = await self.rpc("legacy", token, "initialize", hello)
        assert answer.status_code == 200, answer.text
        self.sessions[token] = answer.headers["mcp-session-id"]

    async def call(self, era: Era, token: str, tool: str, **arguments: Any) -> httpx.Response:
        if era == "legacy" and token not in self.sessions:
            await self.begin(token)
        return await self.rpc(era, token, "tools/call", {"name": tool, "arguments": arguments})


def result(answer: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC message of an answer, of a stream too; it must be one."""
    assert answer.status_code == 200, (answer.status_code, answer.text)
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = next(line[6:] for line in text.splitlines() if line.startswith("data: {"))
    message: dict[str, Any] = json.loads(text)
    return message


def structured(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = result(answer)["result"]
    assert not found["isError"], found
    content: dict[str, Any] = found["structuredContent"]
    return content


@asynccontextmanager
async def hosted_world(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    teams: str | None = TEAMS,
    keys: Mapping[str, str] = KEYS,
    endpoints: Mapping[str, object] | None = None,
    telemetry: Telemetry | None = None,
    **settings: Any,
) -> AsyncGenerator[HostedWorld]:
    web, signing = Web(), pair()
    web.publish(signing, **(endpoints or {}))
    monkeypatch.setattr("paperspace_storage_server.hosting.server.fetch_json", web.fetch)
    monkeypatch.setenv("HOME", str(folder))
    for name, key in keys.items():
        monkeypatch.setenv(name, key)
    teams_file = folder / "teams.toml"
    if teams is not None:
        teams_file.write_text(teams, encoding="utf-8")
        settings.setdefault("teams_file", teams_file)
    given: dict[str, Any] = {
        "transport": "streamable-http",
        "sandbox": True,
        "surfaces": ["mcp", "rest"],
        "public_url": RESOURCE,
        "auth_issuer": ISSUER,
        "rate": None,
        **settings,
    }
    chosen = Settings(**given)
    hosted = hosting.host(chosen, telemetry)
    await hosted.find_issuer()
    transport = httpx.ASGITransport(hosted.app, raise_app_exceptions=False)
    try:
        async with (
            _lifespan(hosted.app),
            httpx.AsyncClient(transport=transport, base_url="https://mcp.example.com", timeout=30) as client,
        ):
            yield HostedWorld(hosted, client, web, signing, teams_file)
    finally:
        await hosted.aclose()


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncGenerator[None]:
    """As a server starts and ends an application."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await told.put({"type": "lifespan.shutdown"})
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await task
