"""The REST surface in this process, before the sandbox of either dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import Scope

from paperspace_storage_server.rest.app import Requester, rest_app
from paperspace_storage_server.rest.operations import PREFIX
from paperspace_storage_server.wire.messages import Dialect
from support.guarded import Api, ids_of, make

Answer = httpx.Response


@dataclass(slots=True)
class Surface:
    """A client of `/v1`, the API behind it, and ids of the sample team. `principal` is who is calling."""

    api: Api
    client: httpx.AsyncClient
    ids: dict[str, str] = field(default_factory=dict[str, str])
    principal: str | None = None

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if content is not None else {}
        return await self.client.request(method, PREFIX + path, content=content, headers={**kind, **(headers or {})})


@asynccontextmanager
async def surface(dialect: Dialect, **settings: Any) -> AsyncGenerator[Surface]:
    api, service = make(dialect, settings)
    made: list[Surface] = []

    def requester_of(scope: Scope) -> Requester:
        return Requester(service, made[0].principal)

    transport = httpx.ASGITransport(rest_app(requester_of))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://rest.test", trust_env=False) as client:
            made.append(Surface(api, client))
            made[0].ids = await ids_of(api, dialect)
            api.sent.clear()
            yield made[0]
    finally:
        api.close()
        await service.aclose()


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem details of a failure, after checking that they are some."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    made: dict[str, Any] = answer.json()
    assert made["status"] == answer.status_code
    assert made["type"].startswith("urn:paperspace-storage-mcp:")
    assert made["title"]
    return made
