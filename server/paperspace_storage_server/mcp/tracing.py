"""A span and a duration of each message from a client, by OpenTelemetry's conventions for MCP; as the SDK's own
middleware makes them, but for what a client may write into them: names that are none of ours, ids, errors' texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from mcp_types.methods import SPEC_CLIENT_METHODS, SPEC_CLIENT_NOTIFICATION_METHODS
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import Link, SpanKind, get_current_span
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request

from paperspace_storage_server.process.measured import Measure
from paperspace_storage_tools.catalogue import CATALOGUE

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

_TOOLS: Final = frozenset(tool.name for tool in CATALOGUE)
_BOUNDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Seconds; those that the convention advises."""
_LONGEST_CONTEXT: Final = 8192
"""Characters of one field of a trace's context, which is the bound of W3C's for the longest of them."""
_PLAIN_ID: Final = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_SESSION_HEADER: Final = "mcp-session-id"

_Context = ServerRequestContext[Any, Any]


class Tracing:
    """The SDK's `ServerMiddleware`. `serves` says of an extension's method whether this server has it."""

    def __init__(self, tracer: Tracer, meter: Meter, serves: Callable[[str], bool]) -> None:
        self._serves = serves
        seconds = meter.create_histogram(
            "mcp.server.operation.duration",
            unit="s",
            description="Duration of MCP requests and notifications, as the server sees them.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._measure = Measure(tracer, seconds, SpanKind.SERVER)

    async def __call__(self, ctx: _Context, call_next: CallNext) -> HandlerResult:
        seen, name = self._seen(ctx)
        parent, links = _parent(ctx)
        with self._measure.of(name, seen, _of_span(ctx), parent, links) as one:
            try:
                result = await call_next(ctx)
            except (MCPError, ValidationError) as raised:
                one.error = str(raised.error.code if isinstance(raised, MCPError) else INVALID_PARAMS)
                one.span.set_attribute("rpc.response.status_code", one.error)
                raise
            if isinstance(result, dict) and result.get("isError") is True:
                one.error = "tool_error"
            return result

    def _seen(self, ctx: _Context) -> tuple[dict[str, str], str]:
        """The attributes of span and metric, and the span's name: of few values, all of them ours."""
        known = ctx.method in SPEC_CLIENT_METHODS | SPEC_CLIENT_NOTIFICATION_METHODS or self._serves(ctx.method)
        method = ctx.method if known else "_OTHER"
        version = ctx.protocol_version if ctx.protocol_version in KNOWN_PROTOCOL_VERSIONS else "_OTHER"
        seen = {"mcp.method.name": method, "mcp.protocol.version": version, "network.transport": "pipe"}
        if _headers(ctx) is not None:
            seen.update({"network.transport": "tcp", "network.protocol.name": "http"})
        target = (ctx.params or {}).get("name")
        if method == "tools/call":
            seen["gen_ai.operation.name"] = "execute_tool"
            if target in _TOOLS:
                seen["gen_ai.tool.name"] = target
                return seen, f"{method} {target}"
        elif method == "prompts/get" and target in _prompts():
            seen["gen_ai.prompt.name"] = target
            return seen, f"{method} {target}"
        return seen, method


@cache
def _prompts() -> frozenset[str]:
    from paperspace_storage_tools.skills.prompts import PROMPTS

    return frozenset(prompt.name for prompt in PROMPTS)


def _headers(ctx: _Context) -> Headers | None:
    """Of the HTTP request that brought the message; None over stdio."""
    request: object = ctx.request
    return request.headers if isinstance(request, Request) else None


def _of_span(ctx: _Context) -> dict[str, str]:
    """What has too many values for a metric. Whoever holds a session's id may be let in by it: a digest is shown."""
    shown: dict[str, str] = {}
    if ctx.request_id is not None and _PLAIN_ID.fullmatch(str(ctx.request_id)):
        shown["jsonrpc.request.id"] = str(ctx.request_id)
    if (headers := _headers(ctx)) is not None and (session := headers.get(_SESSION_HEADER)):
        shown["mcp.session.id"] = hashlib.sha256(session.encode()).hexdigest()[:32]
    return shown


def _parent(ctx: _Context) -> tuple[Context | None, list[Link]]:
    """The client's span (SEP-414), to which that of the HTTP request is linked; else that of the HTTP request."""
    carried = _extracted(ctx.meta)
    around = _extracted(_headers(ctx))
    if carried is None:
        return around, []
    return carried, [] if around is None else [Link(get_current_span(around).get_span_context())]


def _extracted(carrier: Mapping[str, Any] | None) -> Context | None:
    """The context that a carrier holds in fields of the configured propagators; None where it names no span."""
    if not carrier:
        return None
    propagator = get_global_textmap()
    fields = {name: carrier.get(name) for name in propagator.fields}
    texts = {name: one for name, one in fields.items() if isinstance(one, str) and len(one) <= _LONGEST_CONTEXT}
    try:
        found = propagator.extract(texts) if texts else None
    except Exception:  # of a propagator that the operator has added: no trace is worth a call
        return None
    if found is None or not get_current_span(found).get_span_context().is_valid:
        return None
    return found
