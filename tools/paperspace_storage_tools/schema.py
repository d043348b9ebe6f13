"""The JSON Schema of arguments and results, without what hosts reject and models pay for.

pydantic writes a `title` on every property, `anyOf: [.., null]` for optional ones and `$ref` for nested ones;
several hosts reject the latter two in inputs, and each costs tokens on every turn. What is left out here is
checked all the same: the schema is a promise of the validation, not the validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

Schema = dict[str, Any]

_DROPPED = frozenset({"title", "description", "default", "minLength", "maxLength", "format", "writeOnly", "examples"})
_NESTED_EVENT = "MachineEvent"


def input_schema(arguments: type[BaseModel], *, without: frozenset[str] = frozenset()) -> Schema:
    """What a tool takes: camelCase names, no other properties. `without` leaves properties out."""
    schema = _plain(arguments.model_json_schema(by_alias=True))
    properties = {name: value for name, value in schema["properties"].items() if name not in without}
    made: Schema = {"type": "object", "properties": properties}
    required = [name for name in schema.get("required", []) if name not in without]
    if required:
        made["required"] = required
    return {**made, "additionalProperties": False}


def output_schema(result: type[BaseModel]) -> Schema:
    """What a tool answers. A nested event is only called an object: `get_machine_event` spells it out."""
    return _plain(result.model_json_schema(by_alias=True, mode="serialization"))


def _plain(schema: Mapping[str, Any]) -> Schema:
    definitions = cast("Mapping[str, Any]", schema.get("$defs", {}))
    made = _simplify({key: value for key, value in schema.items() if key != "$defs"}, definitions)
    made.setdefault("properties", {})
    return made


def _simplify(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        if name == _NESTED_EVENT:
            return {"type": "object"}
        return _simplify(definitions[name], definitions)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(options) != 1:
            raise TypeError("a schema with alternatives: hosts reject it")
        return _simplify(options[0], definitions)
    made: Schema = {}
    for key, value in schema.items():
        if key in _DROPPED:
            continue
        if key == "properties":
            made[key] = {name: _simplify(one, definitions) for name, one in value.items()}
        elif key == "items":
            made[key] = _simplify(value, definitions)
        else:
            made[key] = value
    if "const" in made:
        made.pop("type", None)
    if "enum" in made:
        made.pop("type", None)
    return made
