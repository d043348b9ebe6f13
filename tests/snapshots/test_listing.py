"""What a model sees of every tool: what is kept is what the types give, its cost, and no noise that hosts reject.

After a wanted change: `python -m paperspace_storage_tools.listing`, and read the difference of `listing.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest

from paperspace_storage_server.calls.dialects import spoken
from paperspace_storage_server.sandbox import create_app
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.listing import FILE, entries, make
from paperspace_storage_tools.tool import AnyTool
from support.published import PUBLISHED
from support.recorded import Mode, connected
from support.schemas import check
from support.tokens import tokens

MOST_TOKENS = 3_600
MOST_TOKENS_SEEN = 1_700
"""Of what a model reads on every turn: names, descriptions, input schemas."""
NOISE = {"anyOf", "oneOf", "allOf", "$ref", "$defs", "title", "default", "const"}
each = pytest.mark.parametrize("tool", CATALOGUE, ids=lambda tool: tool.name)


def _schemas(value: object) -> Iterator[dict[str, Any]]:
    """Every schema in a schema, itself first; property names are no keywords."""
    if not isinstance(value, dict):
        return
    schema = cast("dict[str, Any]", value)
    yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        yield from _schemas(inner)


@each
def test_the_listing_that_is_kept_is_what_its_types_give(tool: AnyTool) -> None:
    assert entries([tool]) == [make(tool)], "a change of what models see: see this module's docstring"


def test_the_listing_that_is_kept_is_readable_and_has_no_tool_that_is_gone() -> None:
    kept = [make(tool) for tool in CATALOGUE]
    assert FILE.read_text(encoding="utf-8") == json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_of_either_era_gets_the_same_listing_within_its_budget(mode: Mode) -> None:
    app = create_app("live")
    async with connected(app, "live", mode) as client:
        listed = await client.list_tools()
    app.state.close()
    tools = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]
    assert tools == entries(CATALOGUE)
    assert tokens({"tools": tools}) <= MOST_TOKENS, "say it in fewer words, or decide that a new tool is worth more"
    seen = [{name: one[name] for name in ("name", "description", "inputSchema")} for one in tools]
    assert tokens(seen) <= MOST_TOKENS_SEEN


@each
def test_the_schemas_of_a_tool_have_no_noise_and_take_nothing_unknown(tool: AnyTool) -> None:
    (entry,) = entries([tool])
    for schema in (entry["inputSchema"], entry["outputSchema"]):
        check(schema)
        assert schema["type"] == "object"
        for one in _schemas(schema):
            assert not NOISE & one.keys(), one
            assert isinstance(one.get("type"), str), one
            assert one["type"] != "null"
    assert entry["inputSchema"]["additionalProperties"] is False
    assert set(entry["inputSchema"].get("required", [])) <= entry["inputSchema"]["properties"].keys()
    assert len(entry["title"]) <= 40
    assert len(entry["description"]) <= 120


OPERATIONS = {
    said["operationId"]: (method.upper(), path)
    for path, item in PUBLISHED["paths"].items()
    for method, said in item.items()
    if "operationId" in said
}
"""Method and path of each operation of the specification."""


def _operation_id(tool: AnyTool) -> str:
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), tool.name)


@each
def test_the_hints_are_what_the_specification_and_the_confirmation_make_true(tool: AnyTool) -> None:
    """A PUT and a DELETE may be repeated. What is confirmed overwrites, but for a creation, which adds something."""
    (entry,) = entries([tool])
    method, path = OPERATIONS.get(_operation_id(tool), ("GET", ""))  # what the specification does not have is only read
    creates = method == "POST" and "{" not in path
    confirmed = "confirm" in entry["inputSchema"]["properties"]
    assert entry["annotations"] == {
        "readOnlyHint": method == "GET",
        "destructiveHint": confirmed and not creates,
        "idempotentHint": method != "POST",
        "openWorldHint": True,
    }


def test_every_operation_of_the_specification_has_its_tool() -> None:
    assert OPERATIONS.keys() == {_operation_id(tool) for tool in spoken(CATALOGUE, "published")}


def test_switched_off_arguments_are_not_even_in_the_schema() -> None:
    for entry in entries(CATALOGUE, frozenset({"accessKey", "secretKey"})):
        assert not {"accessKey", "secretKey"} & entry["inputSchema"]["properties"].keys()
