"""JSON Schema checks, typed: the package jsonschema has no types of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import jsonschema  # type: ignore[import-untyped]  # it brings no types, and its stubs are one more dependency


class _JsonSchema(Protocol):
    def validate(self, instance: object, schema: Mapping[str, Any], cls: object) -> None: ...


class _Validator(Protocol):
    def check_schema(self, schema: Mapping[str, Any]) -> None: ...


_DRAFT = cast("_Validator", jsonschema.Draft202012Validator)


def conform(value: object, schema: Mapping[str, Any]) -> None:
    """Raise where the value is not what the schema (draft 2020-12) says."""
    cast("_JsonSchema", jsonschema).validate(value, schema, _DRAFT)


def check(schema: Mapping[str, Any]) -> None:
    """Raise where this is no schema of draft 2020-12."""
    _DRAFT.check_schema(schema)
