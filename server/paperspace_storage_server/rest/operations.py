"""Which path and method is which tool, and what of the tool's arguments and result REST carries where.

The published document says paths, bodies and statuses; what it says stands in `published.json` and is read from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.schema import input_schema
from paperspace_storage_tools.tool import AnyTool

Method = Literal["GET", "POST", "PUT", "DELETE"]
Json = dict[str, Any]

PREFIX = "/v1"
_FILE = Path(__file__).with_name("published.json")
_ELSEWHERE = frozenset({"id", "confirm", "waitSeconds", "summary"})
"""Arguments that are no field of a body or query: the path, a header, `Link: rel="monitor"`, and a list is a list."""


@dataclass(frozen=True, slots=True)
class RestOperation:
    """One operation of the document: `GET /shared-drives/{id}` is the tool `get_shared_drive`."""

    method: Method
    path: str
    tool: AnyTool
    status: int
    answers: Mapping[str, Any] | None
    """The schema of what it answers with, `$ref` resolved; None where it answers with no body."""

    @property
    def lists(self) -> bool:
        return self.answers is not None and self.answers["type"] == "array"

    @property
    def has_body(self) -> bool:
        return "requestBody" in document()["paths"].get(self.path, {}).get(self.method.lower(), {})

    @property
    def fields(self) -> dict[str, Json]:
        """What a body or a query may hold: the tool's arguments, by name, with their schemas."""
        properties = cast("dict[str, Json]", input_schema(self.tool.arguments)["properties"])
        return {name: schema for name, schema in properties.items() if name not in _ELSEWHERE}


@cache
def document() -> Json:
    """The published document, as it is published."""
    return cast("Json", json.loads(_FILE.read_text(encoding="utf-8")))


@cache
def operations() -> tuple[RestOperation, ...]:
    """All of the document, and following an operation that goes on; fixed paths before those with an id in them."""
    tools = {_camel(tool.name): tool for tool in CATALOGUE}
    made = [
        RestOperation(cast("Method", method.upper()), path, tools[one["operationId"]], *_answer(one))
        for path, methods in document()["paths"].items()
        for method, one in methods.items()
        if method in ("get", "post", "put", "delete")
    ]
    made.append(RestOperation("GET", "/machine-events/{id}", tools["getMachineEvent"], 200, EVENT))
    return tuple(sorted(made, key=lambda one: "{id}" in one.path))


EVENT: Json = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        **{name: {"type": "string"} for name in ("id", "name", "state", "error", "machineId")},
        **{name: {"type": "string", "format": "date-time"} for name in ("dtCreated", "dtStarted", "dtFinished")},
    },
}
"""What follows an operation that goes on. The published API has none: all that the tool says of it."""


def _answer(operation: Json) -> tuple[int, Json | None]:
    ((status, response),) = operation["responses"].items()
    if "content" not in response:
        return int(status), None
    schema: Json = response["content"]["application/json"]["schema"]
    if schema.get("type") == "array":
        return int(status), {**schema, "items": _resolved(schema["items"])}
    return int(status), _resolved(schema)


def _resolved(schema: Json) -> Json:
    name = str(schema["$ref"]).rsplit("/", 1)[-1]
    return cast("Json", document()["components"]["schemas"][name])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
