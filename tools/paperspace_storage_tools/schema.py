"""The JSON Schema of arguments and results, without what hosts reject and models pay for.

pydantic (arguments) and msgspec (results) write titles, `anyOf: [.., null]` for what is optional and `$ref` for what is
nested; several hosts reject the latter two in inputs, and each costs tokens on every turn. What is left out here is
checked all the same: the schema is a promise of the validation, not the validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from pydantic import BaseModel

from paperspace_storage_tools.models import Instant, Model

Schema = dict[str, Any]

_DROPPED = frozenset({"title", "default", "minLength", "maxLength", "format", "writeOnly", "examples", "const"})


def input_schema(arguments: type[BaseModel]) -> Schema:
    """What a tool takes: camelCase names, and no others."""
    return {**_plain(arguments.model_json_schema(by_alias=True)), "additionalProperties": False}


def output_schema(result: type[Model], *, brief: bool = False) -> Schema:
    """What a tool answers. A nested event or snapshot is only called an object: its own tool spells it out.

    Nothing is required, for clients refuse a result that lacks what its schema requires, and which fields are always
    there depends on what was asked for.

    `brief` keeps what is always there and what is nested: for the tools that answer with a resource which their
    `list_` tool spells out. Every word here is paid for on every turn; the whole would be 600 tokens more.
    """
    schema = _plain(msgspec.json.schema(result, schema_hook=_text))
    if brief:
        always = schema.get("required", [])
        properties = schema["properties"].items()
        schema["properties"] = {
            name: value for name, value in properties if name in always or value.get("type") == "object"
        }
    return _nothing_required(schema)


def _nothing_required(schema: Schema) -> Schema:
    made = {key: value for key, value in schema.items() if key != "required"}
    if "properties" in made:
        made["properties"] = {name: _nothing_required(one) for name, one in made["properties"].items()}
    if "items" in made:
        made["items"] = _nothing_required(made["items"])
    return made


def _plain(schema: Mapping[str, Any]) -> Schema:
    definitions = cast("Mapping[str, Any]", schema.get("$defs", {}))
    made = _simplify({key: value for key, value in schema.items() if key != "$defs"}, definitions)
    return {"type": "object", **made, "properties": made.get("properties", {})}


def _simplify(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    if "$ref" in schema:
        return _simplify(definitions[str(schema["$ref"]).rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(options) != 1:
            raise TypeError("a schema with alternatives: hosts reject it")
        return _simplify(options[0], definitions)
    made: Schema = {}
    for key, value in schema.items():
        if key in _DROPPED or (key == "description" and "properties" in schema):  # a class's docstring
            continue
        # Nobody waits for less than nothing or lists less than one; what is too large to be meant is no advice.
        if (key == "minimum" and value in (0, 1)) or (key == "maximum" and value > 1000):
            continue
        if key == "properties":
            made[key] = {name: _property(one, definitions) for name, one in value.items()}
        elif key == "items":
            made[key] = _simplify(value, definitions)
        elif key == "enum" and "type" not in schema:  # of results: hosts want the type, too
            made |= {"type": "boolean"} if value == [True] else {"enum": value, "type": "string"}
        else:
            made[key] = value
    return made


def _property(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    made = _simplify(schema, definitions)
    return {"type": "object"} if made.get("type") == "object" else made


def _text(kind: type) -> Schema:
    """What JSON has no type for."""
    assert kind is Instant
    return {"type": "string"}
