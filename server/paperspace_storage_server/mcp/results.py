"""Results of tools on their way out: spelled once, and not taken apart again by what carries them.

The SDK validates a result, dumps it and spells it, text and structure each for itself, and for a list of a hundred that
took as long as all the rest. A result is ours: made by our models, cleaned and masked (tests/transports/test_results.py
holds each against the protocol's own types and its tool's schema). So the SDK is given the envelope, which it shapes
for the era, and the content is put in behind it. Our own transports then write the spelled result as it is.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, cast

from mcp.server.context import CallNext, HandlerResult
from mcp_types import JSONRPCMessage, JSONRPCResponse
from pydantic_core import to_json

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context
from paperspace_storage_server.mcp.offers import COMPLETE


class TakesSpelled:
    """What a transport of ours gives the SDK as a request's context: `encoded` writes the answer."""


class Spelled(dict[str, object]):
    """A structured result by its compact JSON; as a dictionary it is empty."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


_MADE: ContextVar[list[Outcome] | None] = ContextVar("made", default=None)


def envelope(outcome: Outcome) -> Json:
    """What the SDK gets of a call's outcome, from within `put_content`."""
    made = _MADE.get()
    assert made is not None
    made.append(outcome)
    return {"resultType": COMPLETE, "content": [], "isError": outcome.failure is not None}


async def put_content(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK's server: the content of a tool's result goes into the envelope that the SDK has shaped."""
    if ctx.method != "tools/call":
        return await call_next(ctx)
    made: list[Outcome] = []
    token = _MADE.set(made)
    try:
        result = await call_next(ctx)
    finally:
        _MADE.reset(token)
    for outcome in made:
        shaped = cast("Json", result)
        shaped["content"] = [{"type": "text", "text": outcome.text}]
        if outcome.failure is None:
            ours = isinstance(ctx.request, TakesSpelled)
            shaped["structuredContent"] = Spelled(outcome.text) if ours else outcome.structured
    return result


def encoded(message: JSONRPCMessage) -> bytes:
    """A message as JSON. A spelled result is written twice, as text and as structure, and read not once."""
    if isinstance(message, JSONRPCResponse):
        result: dict[str, Any] = message.result
        if isinstance(spelled := result.get("structuredContent"), Spelled):
            rest = to_json({k: v for k, v in result.items() if k not in ("content", "structuredContent")})
            return (
                b'{"jsonrpc":"2.0","id":%b,"result":{"content":[{"type":"text","text":%b}],"structuredContent":%b%b}'
                % (
                    to_json(message.id),
                    to_json(spelled.text),
                    spelled.text.encode(),
                    b"," + rest[1:] if len(rest) > 2 else b"}",
                )
            )
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
