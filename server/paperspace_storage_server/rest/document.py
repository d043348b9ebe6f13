"""`GET /v1/openapi.json`: the published document, and what is ours beside it: filters, headers, the error."""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

from paperspace_storage_server.rest.operations import Json, Operation, document, operations

_PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "a class of error, as a URN"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what failed, why, and what to do next"},
        "changed": {
            "type": "string",
            "enum": ["nothing", "unknown", "partly"],
            "description": "after a write: what it has changed all the same",
        },
    },
}
_FAILED: Json = {
    "description": "A failure.",
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_EVENT: Json = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        **{name: {"type": "string"} for name in ("id", "name", "state", "error", "machineId")},
        **{name: {"type": "string", "format": "date-time"} for name in ("dtCreated", "dtStarted", "dtFinished")},
    },
}
_LINK = 'rel="next" of a list; rel="monitor" of what goes on after the answer'


def described(selected: Container[str]) -> Json:
    """The document of what is served: operations whose tool is in `selected`."""
    made = copy.deepcopy(document())
    made["servers"] = [{"url": "/v1"}]
    made["info"]["description"] += "\nServed by paperspace-storage-mcp, with its guard before it.\n"
    schemas = made["components"]["schemas"]
    schemas |= {"Problem": _PROBLEM, "MachineEvent": _EVENT}
    made["paths"]["/machine-events/{id}"] = {"get": _event_operation()}
    for operation in operations():
        path = made["paths"][operation.path]
        if operation.tool.name not in selected:
            del path[operation.method.lower()]
            if not {"get", "post", "put", "delete"} & path.keys():
                del made["paths"][operation.path]
            continue
        _describe(operation, path[operation.method.lower()])
    return made


def _describe(operation: Operation, one: Json) -> None:
    one["responses"]["default"] = _FAILED
    one["responses"][str(operation.status)].setdefault("headers", {})["Link"] = {
        "schema": {"type": "string"},
        "description": _LINK,
    }
    parameters: list[Json] = one.setdefault("parameters", [])
    named = {parameter["name"] for parameter in parameters}
    if not operation.has_body:
        parameters += [_query(name, schema) for name, schema in operation.fields.items() if name not in named]
    if "confirm" in operation.tool.arguments.model_fields:
        parameters.append(_header("Confirm-Name", "the exact name of what is at stake, percent-encoded UTF-8"))
    if operation.method == "POST":
        parameters.append(_header("Idempotency-Key", "the same key and request give the same answer for a day"))


def _query(name: str, schema: Json) -> Json:
    return {"in": "query", "name": name, "schema": schema}


def _header(name: str, description: str) -> Json:
    return {"in": "header", "name": name, "schema": {"type": "string"}, "description": description}


def _event_operation() -> dict[str, Any]:
    return {
        "tags": ["Snapshots"],
        "operationId": "getMachineEvent",
        "summary": "Get Machine Event",
        "description": "How an operation on a snapshot stands that went on after its answer.",
        "parameters": [{"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "Machine event.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MachineEvent"}}},
            }
        },
    }
