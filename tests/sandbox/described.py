"""The two OpenAPI files as judges of answers: every declared schema, and no property beyond it."""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

DATA = Path(__file__).parent.parent / "data"


def read(dialect: str) -> dict[str, Any]:
    """One OpenAPI file, parsed."""
    parsed: dict[str, Any] = yaml.safe_load((DATA / f"{dialect}.openapi.yaml").read_text("utf-8"))
    return parsed


class Description:
    """One OpenAPI file, its references resolved and its schemas closed."""

    def __init__(self, dialect: str) -> None:
        spec = read(dialect)
        self.paths: dict[str, Any] = _resolved(spec["paths"], spec)
        self._patterns = {re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z"): path for path in self.paths}

    def operations(self) -> set[tuple[str, str]]:
        """Every method and path template of the file."""
        return {
            (method.upper(), path) for path, item in self.paths.items() for method in item if method != "parameters"
        }

    def find(self, method: str, path: str) -> tuple[str, str] | None:
        """The operation that a request is one of, a path without parameters first."""
        templates = sorted(template for pattern, template in self._patterns.items() if pattern.match(path))
        for template in sorted(templates, key=lambda text: text.count("{")):
            if method.lower() in self.paths[template]:
                return method, template
        return None

    def judge(self, operation: tuple[str, str], status: int, body: object) -> None:
        """Raises unless the operation may answer so."""
        method, template = operation
        responses: dict[str, Any] = self.paths[template][method.lower()]["responses"]
        if str(status) in responses:
            content = responses[str(status)].get("content")
            if content is None:
                assert body in (None, {})
            else:
                check(content["application/json"]["schema"], body)
        else:
            assert 400 <= status < 500, (operation, status, body)
            check(ERROR, body)


def check(schema: dict[str, Any], body: object) -> None:
    """Raises where a body is not as its schema says, formats included."""
    OAS30Validator(schema, format_checker=oas30_format_checker).validate(body)


def _resolved(node: Any, spec: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_resolved(item, spec) for item in cast("Sequence[Any]", node)]
    if not isinstance(node, dict):
        return node
    mapping = cast("Mapping[str, Any]", node)
    if "$ref" in mapping:
        target: Any = spec
        for step in str(mapping["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target, spec)
    found = {name: _resolved(value, spec) for name, value in mapping.items()}
    if "allOf" in found:
        parts: list[dict[str, Any]] = found.pop("allOf")
        found["type"] = "object"
        found["required"] = [name for part in parts for name in part.get("required", [])]
        found["properties"] = {name: value for part in parts for name, value in part["properties"].items()}
    if found.get("type") == "object" and isinstance(found.get("properties"), dict):
        found["additionalProperties"] = False
    return found


_LIVE = read("live")
ERROR: dict[str, Any] = copy.deepcopy(_resolved(_LIVE["components"]["schemas"]["Error"], _LIVE))
# The items of `issues` are described by one property; the sandbox adds the path of the field.
ERROR["properties"]["issues"]["items"].pop("additionalProperties")
