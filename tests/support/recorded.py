"""An API that answers what a test scripted and records what it was sent; and a client of the real server before it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from mcp import Client
from mcp_types import CallToolResult, TextContent
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.guard.profiles import Profiles, profiles_from_environment
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.mcp.server import build_server
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.wire.messages import DialectSetting
from support.service import service_over

KEY = "key-of-the-recorded-team"
BASE = "http://recorded.localhost/v1"
Mode: TypeAlias = Literal["legacy", "auto"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it must be sent, and its answer. `target` is path and query as in the request line."""

    method: str
    target: str
    sent: object = None
    status: int = 200
    body: object = None


@dataclass(frozen=True, slots=True)
class Sent:
    method: str
    target: str
    body: object
    authorization: str
    content_type: str


@dataclass(slots=True)
class RecordedApi:
    """Answers in the order of the script; what comes after its end is answered with a 418 that no test expects."""

    script: Sequence[Exchange]
    seen: list[Sent] = field(default_factory=list[Sent])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        chunks: list[bytes] = []
        more = True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = bool(message.get("more_body"))
        body = b"".join(chunks)
        query: bytes = scope["query_string"]
        target = scope["raw_path"].split(b"?")[0] + (b"?" + query if query else b"")
        self.seen.append(
            Sent(
                scope["method"],
                target.decode(),
                json.loads(body) if body else None,
                headers.get(b"authorization", b"").decode(),
                headers.get(b"content-type", b"").decode(),
            )
        )
        place = len(self.seen) - 1
        answer = self.script[place] if place < len(self.script) else Exchange("", "", status=418)
        raw = answer.body if isinstance(answer.body, bytes) else b"" if answer.body is None else _json(answer.body)
        content = [(b"content-type", b"application/json")] if raw else []
        await send({"type": "http.response.start", "status": answer.status, "headers": content})
        await send({"type": "http.response.body", "body": raw})

    def assert_kept_to_script(self) -> None:
        """Exactly the scripted requests, in their order, each with the key and a content type where it has a body."""
        assert self.seen == [
            Sent(
                one.method,
                "/v1" + one.target,
                one.sent,
                f"Bearer {KEY}",
                "application/json" if one.sent is not None else "",
            )
            for one in self.script
        ]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@asynccontextmanager
async def connected(
    app: ASGIApp,
    dialect: DialectSetting,
    mode: Mode = "auto",
    *,
    base: str = BASE,
    in_process: bool = True,
    profiles: Mapping[str, str] | None = None,
    **settings: object,
) -> AsyncGenerator[Client]:
    """The official client, in memory, before the whole server, whose HTTP client reaches `app` (or `base`)."""

    named = profiles_from_environment(profiles or {})
    options: dict[str, Any] = {"api_key": SecretStr(KEY), "confirm": "never", **settings}
    service = service_over(
        lambda: ThroughHttpx.to(app) if in_process else Pool(base),
        Settings(**options),
        url=base,
        dialect=dialect,
        profiles=Profiles(named),
        policy=RetryPolicy(1),
    )
    try:
        async with Client(build_server(service), mode=mode) as client:
            yield client
    finally:
        await service.aclose()


def answer_of(result: CallToolResult) -> dict[str, Any]:
    """The structured result of a success, after checking that its text is the same object as compact JSON."""
    assert not result.is_error, result.content
    (content,) = result.content
    assert isinstance(content, TextContent)
    structured: object = result.structured_content
    assert isinstance(structured, dict)
    assert content.text == json.dumps(structured, separators=(",", ":"), ensure_ascii=False)
    return cast("dict[str, Any]", structured)


def failure_of(result: CallToolResult) -> str:
    """The one text of a failure."""
    assert result.is_error, result.content
    assert result.structured_content is None
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
