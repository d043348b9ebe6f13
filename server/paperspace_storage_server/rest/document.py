"""`GET /v1/openapi.json`: the published document, and what is ours beside it: filters, headers, the error."""

from __future__ import annotations

import copy
from collections.abc import Container

from paperspace_storage_server.rest.operations import EVENT, Json, RestOperation, document, operations

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
_FAILURES = (400, 401, 403, 404, 409, 413, 422, 429, 500, 501, 502, 503, 504)
_LINK = 'rel="next" of a list; rel="monitor" of what goes on after the answer'
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_PATTERNS = {
    "id": r"^(?!\.{1,2}$)[^\x00-\x20\x7f-\xa0/\\%]+$",
    "endpoint": r"^https?://[!-.0->A-~]+(/[!-?A-~]*)?$",
    "note": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$",
    "text": rf"^[^{_CONTROLS}]*[^\x00-\x20\x7f-\xa0][^{_CONTROLS}]*$",
}
"""What is certainly taken. Characters that no pattern of a few words can name (they are invisible, or change the
direction of a text) are refused as well."""


def described(selected: Container[str]) -> Json:
    """The document of what is served: operations whose tool is in `selected`."""
    made = copy.deepcopy(document())
    made["servers"] = [{"url": "/v1"}]
    made["info"]["description"] += "\nServed by paperspace-storage-mcp, with its guard before it.\n"
    components = made["components"]
    components["schemas"] |= {"Problem": _PROBLEM, "MachineEvent": EVENT}
    components["responses"] = {"Failed": _FAILED}
    made["paths"]["/machine-events/{id}"] = _event_path()
    for operation in operations():
        path = made["paths"][operation.path]
        if operation.tool.name not in selected:
            del path[operation.method.lower()]
            if not {"get", "post", "put", "delete"} & path.keys():
                del made["paths"][operation.path]
            continue
        _describe(operation, path[operation.method.lower()])
        for parameter in path.get("parameters", []):  # the id, which stands in the path itself
            parameter["schema"] = _fields(operation)["id"]
    return made


def _describe(operation: RestOperation, one: Json) -> None:
    failures = [*_FAILURES, *([415] if operation.has_body else []), *([428] if _confirms(operation) else [])]
    for status in sorted(failures):
        one["responses"][str(status)] = {"$ref": "#/components/responses/Failed"}
    one["responses"][str(operation.status)].setdefault("headers", {})["Link"] = {
        "schema": {"type": "string"},
        "description": _LINK,
    }
    fields = {name: schema for name, schema in _fields(operation).items() if name in operation.fields}
    parameters: list[Json] = []
    if operation.has_body:
        one["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(operation, fields)}}}
    else:
        parameters += [{"in": "query", "name": name, "schema": schema} for name, schema in fields.items()]
    if _confirms(operation):
        parameters.append(_header("Confirm-Name", "the exact name of what is at stake, percent-encoded UTF-8"))
    if operation.method == "POST":
        key = _header("Idempotency-Key", "the same key and request give the same answer for a day")
        key["schema"] |= {"pattern": r'^"?[!#-~]{1,255}"?$'}
        parameters.append(key)
    if parameters:
        one["parameters"] = parameters


def _confirms(operation: RestOperation) -> bool:
    return "confirm" in operation.tool.arguments.model_fields


def _body(operation: RestOperation, fields: Json) -> Json:
    """Closed: an unknown field is refused. What an update takes is all optional, but it changes something."""
    required = [
        name for name in operation.tool.arguments.model_json_schema(by_alias=True)["required"] if name in fields
    ]
    whole: Json = {"required": required} if required else {"minProperties": 1}
    return {"type": "object", **whole, "properties": fields, "additionalProperties": False}


def _fields(operation: RestOperation) -> Json:
    """The tool's arguments with all their limits, which `tools/list` leaves out for what its words cost."""
    schema = operation.tool.arguments.model_json_schema(by_alias=True)
    return {name: _plain(name, one) for name, one in schema["properties"].items()}


def _plain(name: str, schema: Json) -> Json:
    made = {key: value for key, value in {**schema, **schema.get("anyOf", [{}])[0]}.items() if key in _KEPT}
    if made["type"] == "string" and "enum" not in made and made.get("format") != "password":
        made |= {"pattern": _PATTERNS[_text_of(name)], "minLength": 1}
    return made


_KEPT = ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "format", "writeOnly", "description")


def _text_of(name: str) -> str:
    if name in ("id", "machineId"):
        return "id"
    return name if name in _PATTERNS else "text"


def _header(name: str, description: str) -> Json:
    return {"in": "header", "name": name, "schema": {"type": "string"}, "description": description}


def _event_path() -> Json:
    return {
        "parameters": [{"in": "path", "name": "id", "required": True}],
        "get": {
            "tags": ["Snapshots"],
            "operationId": "getMachineEvent",
            "summary": "Get Machine Event",
            "description": "How an operation on a snapshot stands that went on after its answer.",
            "responses": {
                "200": {
                    "description": "Machine event.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MachineEvent"}}},
                }
            },
        },
    }
