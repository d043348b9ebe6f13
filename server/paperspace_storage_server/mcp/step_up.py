"""A call of a tool beyond its caller's scopes is refused before the SDK sees it, with a status and a challenge that a
client can act on: an answer inside JSON-RPC makes no client ask for more.

In the 2026 era the headers say which tool is called; the SDK compares them with the body. In the older one the body is
read here. Who has all scopes pays for neither.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    decode_header_value,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paperspace_storage_server.calls import principal as principals
from paperspace_storage_server.calls.principal import SCOPES, Principal, principal_in, scope_of
from paperspace_storage_tools.catalogue import CATALOGUE

Refuse: TypeAlias = Callable[[Sequence[principals.Scope]], ASGIApp]
"""The answer that asks for scopes."""

_NEEDED: dict[str, principals.Scope] = {tool.name: scope_of(tool) for tool in CATALOGUE}


class StepUp:
    """ASGI, behind the gate and before the SDK."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = principal_in(scope) if scope["type"] == "http" else None
        if principal is None or scope["method"] != "POST" or not principal.lacks(SCOPES[-1]):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        version = headers.get(MCP_PROTOCOL_VERSION_HEADER.encode(), b"").decode("latin-1")
        if version and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            method = headers.get(MCP_METHOD_HEADER.encode(), b"").decode("latin-1")
            name = headers.get(MCP_NAME_HEADER.encode(), b"").decode("latin-1")
            tools = {decode_header_value(name) or ""} if method == "tools/call" else set[str]()
        else:
            body, receive = await _read(receive)
            tools = _tools_in(body)
        missing = _missing(principal, tools)
        await (self._refuse(missing) if missing else self._app)(scope, receive, send)


def _missing(principal: Principal, tools: set[str]) -> list[principals.Scope]:
    """All that is missing for all of them; a tool that does not exist needs nothing, and is refused as such."""
    missing: list[principals.Scope] = []
    for tool in tools & _NEEDED.keys():
        missing = max(missing, principal.lacks(_NEEDED[tool]), key=len)
    return missing


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body, and a `receive` that gives it once more. It is bounded before it comes here."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return b"", _first(message, receive)
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    return body, _first({"type": "http.request", "body": body, "more_body": False}, receive)


def _first(message: Message, receive: Receive) -> Receive:
    kept = [message]

    async def again() -> Message:
        return kept.pop() if kept else await receive()

    return again


def _tools_in(body: bytes) -> set[str]:
    """The tools that a body calls; what is no JSON-RPC calls none, and the SDK says so."""
    if b"tools/call" not in body and b"\\u" not in body and b"\\/" not in body:
        return set()
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        return set()
    found: set[str] = set()
    for one in cast("list[object]", decoded) if isinstance(decoded, list) else [decoded]:
        match one:
            case {"method": "tools/call", "params": {"name": str(name)}}:
                found.add(name)
            case _:
                pass
    return found
