"""An API's description (OpenAPI 3): its operations, and answers made up as it says they are. It knows no codec."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias, cast

from paperspace_storage_server.commands.doctor.samples import TEXT

Json: TypeAlias = Mapping[str, Any]  # of a description, which may be anything

_INSTANT: Final = "2026-01-01T00:00:00.000Z"
_DEEP: Final = 12  # schemas within schemas; a description may go round in circles


class NoDescription(Exception):
    """What came is no description of an API."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of a query; `enum` are the values that it may have, None where it may have any."""

    required: bool
    enum: list[Any] | None


class Description:
    """A whole description. `base_path` may stand before its paths."""

    def __init__(self, document: Json, base_path: str) -> None:
        self.document = document
        self._base = base_path.rstrip("/")
        if not isinstance(document.get("paths"), dict):
            raise NoDescription

    @cached_property
    def _paths(self) -> dict[tuple[str, ...], Json]:
        found: dict[tuple[str, ...], Json] = {}
        for path, item in _table(self.document.get("paths")).items():
            below = path.removeprefix(self._base) if path.startswith(f"{self._base}/") else path
            found[tuple(below.strip("/").split("/"))] = self.at(item)
        return found

    def operation(self, method: str, path: str) -> Json | None:
        """The operation of the described path that this one fits best; None where there is none."""
        segments = tuple(path.strip("/").split("/"))
        fitting = [
            (sum(part.startswith("{") for part in parts), item)
            for parts, item in self._paths.items()
            if len(parts) == len(segments)
            and all(part == one or part.startswith("{") for part, one in zip(parts, segments, strict=True))
            and method.lower() in item
        ]
        if not fitting:
            return None
        item = min(fitting, key=lambda one: one[0])[1]
        operation = self.at(item[method.lower()])
        return {**operation, "parameters": [*item.get("parameters", []), *operation.get("parameters", [])]}

    def parameters(self, operation: Json) -> dict[str, Parameter]:
        """Those of the query."""
        found = [self.at(one) for one in operation["parameters"]]
        return {
            one["name"]: Parameter(bool(one.get("required")), self.whole(one.get("schema", {})).get("enum"))
            for one in found
            if one.get("in") == "query"
        }

    def body(self, operation: Json) -> Json | None:
        return self._json(self.at(operation.get("requestBody", {})))

    def answers(self, operation: Json) -> Iterator[tuple[int, Json | None]]:
        """The successes: status, and the schema of the body."""
        for status, answer in operation.get("responses", {}).items():
            if str(status).startswith("2") and str(status).isdigit():
                yield int(status), self._json(self.at(answer))

    def at(self, schema: object) -> Json:
        """The schema itself, where it is a reference; an empty one where there is none."""
        for _ in range(_DEEP):
            found = _table(schema)
            if "$ref" not in found:
                return found
            schema = self.document
            for part in str(found["$ref"]).removeprefix("#/").split("/"):
                schema = _table(schema).get(part.replace("~1", "/").replace("~0", "~"))
        return {}

    def whole(self, given: object) -> Json:
        """A schema with its parts (`allOf`) put together, and the first of its alternatives."""
        schema: dict[str, Any] = {**self.at(given)}
        for part in schema.get("allOf") or ():
            more = self.whole(part)
            schema = {
                **more,
                **schema,
                "properties": {**_table(more.get("properties")), **_table(schema.get("properties"))},
                "required": [*(more.get("required") or ()), *(schema.get("required") or ())],
            }
        for way in ("oneOf", "anyOf"):
            options = [self.whole(option) for option in schema.get(way) or ()]
            real = [option for option in options if option.get("type") != "null"]
            if real:
                nothing = len(real) < len(options) or bool(real[0].get("nullable"))
                schema = {**schema, **real[0], "nullable": nothing}
        return schema

    def _json(self, holder: Json) -> Json | None:
        for kind, media in _table(holder.get("content")).items():
            if kind.split(";")[0].strip() == "application/json":
                return self.whole(_table(media).get("schema"))
        return None


def _table(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def types_of(schema: Json) -> list[str]:
    """The types that a value may have, but for null."""
    types: object = schema.get("type")
    listed = cast("list[object]", types) if isinstance(types, list) else [types]
    return [one for one in listed if isinstance(one, str) and one != "null"]


def examples(schema: Json | None, there: Description) -> Iterator[tuple[str, object]]:
    """The usual answer, with everything in it; then each way in which one may differ, and which way that is."""
    if schema is None:
        yield "", None
        return
    usual = _Making(there, {})
    yield "", usual.value(schema, "", 0)
    for path, options in usual.ways.items():
        for option in options:
            what = f"without `{path}`" if option is _ABSENT else f"with `{path}` {json.dumps(option)}"
            yield what, _Making(there, {path: option}).value(schema, "", 0)


_ABSENT: Final = object()


@dataclass(slots=True)
class _Making:
    """Makes up what a schema describes. `ways` is filled with what else may stand at which path."""

    there: Description
    instead: dict[str, object]  # of what is usual, by path
    ways: dict[str, list[object]] = field(default_factory=dict[str, list[object]])

    def value(self, given: object, path: str, depth: int) -> object:
        if path in self.instead:
            return self.instead[path]
        schema = self.there.whole(given)
        types = types_of(schema)
        if schema.get("nullable") or "null" in (schema.get("type") or ()):
            self._or(path, None)
        if "const" in schema:
            return cast("object", schema["const"])
        if schema.get("enum"):
            first, *more = [option for option in schema["enum"] if option is not None]
            self._or(path, *more)
            return first
        if "properties" in schema or "object" in types:
            return self._object(schema, path, depth)
        if "array" in types:
            return [self.value(schema.get("items"), f"{path}[]", depth + 1)]
        if types and types[0] in ("integer", "number"):
            return 1
        if types == ["boolean"]:
            return True
        return _INSTANT if schema.get("format") == "date-time" else TEXT

    def _object(self, schema: Json, path: str, depth: int) -> dict[str, object]:
        made: dict[str, object] = {}
        for name, one in _table(schema.get("properties")).items() if depth < _DEEP else ():
            below = f"{path}.{name}".lstrip(".")
            value = self.value(one, below, depth + 1)
            if value is not _ABSENT:
                made[name] = value
            if name not in (schema.get("required") or ()):
                self._or(below, _ABSENT)
        return made

    def _or(self, path: str, *options: object) -> None:
        self.ways.setdefault(path, []).extend(options)
