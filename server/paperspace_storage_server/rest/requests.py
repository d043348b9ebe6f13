"""A request into a tool's arguments: path, query, body, headers. What does not fit is a problem: nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request

from paperspace_storage_server.rest.operations import Json, RestOperation
from paperspace_storage_server.rest.problems import Problem

LARGEST_BODY = 1024 * 1024  # bytes
_KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "boolean": (bool,)}


class BadRequest(Exception):
    """The request is not one of this operation."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def bad(detail: str, status: int = 400, type: str = "invalid-request") -> BadRequest:
    return BadRequest(Problem(status, type, detail, "nothing"))


async def body_of(request: Request) -> bytes:
    """The whole body, as long as it is no longer than `LARGEST_BODY`."""
    read = bytearray()
    try:
        async for chunk in request.stream():
            read += chunk
            if len(read) > LARGEST_BODY:
                raise bad(f"A body may have {LARGEST_BODY} bytes at most.", 413, "body-too-large")
    except ClientDisconnect:
        raise bad("The body did not come whole.") from None
    return bytes(read)


def arguments_of(operation: RestOperation, request: Request, body: bytes) -> dict[str, Any]:
    """The tool's arguments. Types of a body are those of JSON; words of a query are read as the tool reads them.

    Raises:
        BadRequest: naming every field that is not known or of another type.
    """
    given: dict[str, Any] = {}
    if "id" in request.path_params:
        given["id"] = request.path_params["id"]
    query = _query(operation, request)
    if operation.has_body:
        given |= _fields(operation, header_of(request, "Content-Type"), body)
    elif body.strip():
        raise bad("This operation takes no body.")
    given |= query
    confirmed = header_of(request, "Confirm-Name")
    if confirmed is not None and "confirm" in operation.tool.arguments.model_fields:
        given["confirm"] = _percent_decoded(confirmed)
    return given


def header_of(request: Request, name: str) -> str | None:
    """A header that may come once: of two, nobody knows which one a proxy, a log and this server each believe.

    Raises:
        BadRequest: it came more than once.
    """
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise bad(f"The header {name} came more than once.")
    return values[0] if values else None


def _query(operation: RestOperation, request: Request) -> dict[str, str]:
    allowed = {} if operation.has_body else operation.fields
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    if unknown := [name for name in names if name not in allowed]:
        takes = f" It takes {', '.join(allowed)}." if allowed else ""
        raise bad(f"Unknown in the query: {_named(unknown)}.{takes}")
    if twice := {name for name in names if names.count(name) > 1}:
        raise bad(f"More than once in the query: {_named(sorted(twice))}.")
    if empty := [name for name, value in given if value == ""]:
        raise bad("; ".join(map(_empty, empty)) + ".")
    return dict(given)


def _fields(operation: RestOperation, content_type: str | None, body: bytes) -> Json:
    if content_type is not None and content_type.split(";")[0].strip().lower() != "application/json":
        raise bad("A body must be application/json.", 415, "unsupported-media-type")
    try:
        value: object = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise bad("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise bad("The body must be a JSON object.")
    given = cast("Json", value)
    allowed = operation.fields
    problems = [f"unknown field {_named([name])}" for name in given if name not in allowed]
    problems += [
        f"`{name}` must be of type {allowed[name]['type']}"
        for name, one in given.items()
        if name in allowed and not _fits(one, allowed[name])
    ]
    # To a tool "" is what a model sends for what it leaves out; whoever writes a body means what it says.
    problems += [_empty(name) for name, one in given.items() if name in allowed and one == ""]
    if problems:
        takes = ", ".join(allowed)
        raise bad(f"{'; '.join(problems[:20])}. The fields of this operation: {takes}.")
    return given


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, bool):
        return bool(schema["type"] == "boolean")
    return isinstance(value, _KINDS[schema["type"]])


def _empty(name: str) -> str:
    return f"`{name}` must not be empty"


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose fields differ: of two alike, each reader of the request may take another (RFC 8259, 4)."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise bad(
            f"The body has the field {_named([next(name for name in names if names.count(name) > 1)])} more than once."
        )
    return made


def _percent_decoded(header: str) -> str:
    try:
        return unquote(header.strip(), errors="strict")
    except UnicodeDecodeError:
        raise bad("The header Confirm-Name must be percent-encoded UTF-8.") from None


def _named(names: list[str]) -> str:
    """Names as a caller may read them again: printable, and not without bound."""
    return ", ".join("`" + "".join(one if one.isprintable() else "?" for one in name)[:40] + "`" for name in names[:5])


def _no_constant(name: str) -> object:
    raise ValueError(name)
