"""Calls an ASGI app in process and has every answer judged by the dialect's OpenAPI file."""

import asyncio
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal
from urllib.parse import unquote, urlencode

from starlette.applications import Starlette

from paperspace_storage_server.sandbox import create_app

from .described import ERROR, Description, check

Dialect = Literal["published", "live"]
PREFIX = "/v1"
SEEN: set[tuple[Dialect, str, str, int]] = set()
"""Every dialect, method, path template and status that a test has met."""

description = cache(Description)


class Clock:
    """Stands still until told."""

    def __init__(self, now: float = 1_770_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> tuple[int, str]:
        """A failure's status and code."""
        return self.status, self.body["code"]

    @property
    def issues(self) -> list[str]:
        """A failure's issues, as texts."""
        return [issue["message"] for issue in self.body.get("issues", [])]


@dataclass(frozen=True)
class Api:
    """One key's view of one app."""

    app: Starlette
    dialect: Dialect
    key: str | None = "key-of-the-team"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def with_key(self, key: str | None) -> "Api":
        return Api(self.app, self.dialect, key, self.headers)

    def get(self, path: str, **query: str | int) -> Answer:
        return self.call("GET", path, query=urlencode(query))

    def post(self, path: str, body: object) -> Answer:
        return self.call("POST", path, json.dumps(body).encode())

    def put(self, path: str, body: object) -> Answer:
        return self.call("PUT", path, json.dumps(body).encode())

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def items(self, path: str, **query: str | int) -> list[Any]:
        """A whole list, or its first page in live."""
        answer = self.get(path, **query)
        assert answer.status == 200, answer
        found: list[Any] = answer.body if self.dialect == "published" else answer.body["items"]
        return found

    def call(self, method: str, path: str, body: bytes = b"", query: str = "") -> Answer:
        """Sends one request; the path is as it would stand in the request line."""
        answer = asyncio.run(self._exchange(method, PREFIX + path, body, query))
        operation = description(self.dialect).find(method, unquote(path))
        if path == "/openapi.json" and self.dialect == "live":
            assert answer.status == 200, answer
        elif operation is not None:
            SEEN.add((self.dialect, *operation, answer.status))
            description(self.dialect).judge(operation, answer.status, answer.body)
        else:
            assert answer.status in (404, 405), answer
            check(ERROR, answer.body)
        return answer

    async def _exchange(self, method: str, path: str, body: bytes, query: str) -> Answer:
        headers = dict(self.headers)
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "server": ("sandbox.test", 80),
            "client": ("127.0.0.1", 1),
        }
        sent: list[Any] = []
        chunks = [body[start : start + 65536] for start in range(0, len(body), 65536)] or [b""]
        events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        events[-1]["more_body"] = False

        async def receive() -> dict[str, Any]:
            return events.pop(0) if events else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        raw = b"".join(message.get("body", b"") for message in sent)
        return Answer(
            sent[0]["status"],
            json.loads(raw) if raw else None,
            {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        )


def open_api(dialect: Dialect, clock: Clock, event_seconds: float = 10.0, *, large: bool = False) -> Api:
    """An app in memory, and the usual key."""
    return Api(create_app(dialect, clock=clock, event_seconds=event_seconds, large=large), dialect)
