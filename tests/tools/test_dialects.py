"""What a fixed dialect cannot do is not listed, and refused with the reason where somebody sends it all the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.dialects import LACKS
from paperspace_storage_server.calls.service import listing
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import Unsupported
from paperspace_storage_tools.listing import entries
from support.guarded import World, arguments_of, text_of, world
from support.tokens import tokens

pytestmark = pytest.mark.anyio
NAMED = {"live": "This API (production)", "published": "This API (the published dialect)"}
VALUES: dict[str, Any] = {
    "after": None,  # a place in a list, which only that list can hand out
    "limit": 5,
    "orderBy": "name",
    "order": "asc",
    "name": "another",
    "region": "ny2",
    "size": 5000,
    "automatic": True,
    "summary": True,
    "note": "why",
    "waitSeconds": 1,
    "createSnapshotBeforeRestore": False,
    "isTeamDefault": False,
    "endpoint": "https://s3.example.com",
    "bucket": "a-bucket",
}
"""One of each argument that may be left out; what is tied to others is in `arguments_of`."""


def _listed(dialect: str) -> dict[str, dict[str, Any]]:
    made: list[dict[str, Any]] = listing(Settings.model_validate({"dialect": dialect}))
    return {one["name"]: one for one in made}


def test_where_the_dialect_is_found_out_all_is_listed() -> None:
    assert list(_listed("auto").values()) == entries(CATALOGUE)


def test_the_listing_for_production_lacks_sizes_to_change_notes_and_other_types() -> None:
    expected = copy.deepcopy({one["name"]: one for one in entries(CATALOGUE)})
    del expected["update_shared_drive"]["inputSchema"]["properties"]["size"]
    del expected["create_snapshot"]["inputSchema"]["properties"]["note"]
    del expected["update_snapshot"]["inputSchema"]["properties"]["note"]
    expected["update_shared_drive"]["description"] = "Rename a drive."
    expected["update_snapshot"]["description"] = "Change a snapshot's name."
    for tool in ("create_storage_provider", "update_storage_provider"):
        expected[tool]["inputSchema"]["properties"]["type"]["enum"] = ["s3"]
    assert _listed("live") == expected


def test_the_listing_for_the_published_dialect_lacks_events_lookups_and_what_providers_cannot_hold() -> None:
    expected = copy.deepcopy({one["name"]: one for one in entries(CATALOGUE)})
    for tool in LACKS["published"].tools:
        del expected[tool]
    del expected["list_snapshots"]["inputSchema"]["properties"]["automatic"]
    for tool in ("create_storage_provider", "update_storage_provider"):
        for argument in ("endpoint", "isTeamDefault"):
            del expected[tool]["inputSchema"]["properties"][argument]
    assert _listed("published") == expected


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_gets_that_listing_and_it_costs_less(dialect: Dialect) -> None:
    async with world(dialect) as one:
        listed = await one.client.list_tools()
    tools = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]
    assert tools == list(_listed(dialect).values())
    assert tokens(tools) < tokens(entries(CATALOGUE))


LACKING = [
    (dialect, tool, argument, value)
    for dialect in DIALECTS
    for tool, argument, value in (
        *((tool, "", None) for tool in LACKS[dialect].tools),
        *((tool, one, VALUES[one]) for tool, of in LACKS[dialect].arguments.items() for one in of),
        *((tool, one, value) for tool, one in LACKS[dialect].choices for value in ("gcs", "azure-blob")),
    )
]


@pytest.mark.parametrize(("dialect", "tool", "argument", "value"), LACKING)
async def test_what_is_not_listed_is_refused_with_the_dialect_as_the_reason_and_nothing_is_written(
    dialect: Dialect, tool: str, argument: str, value: Any
) -> None:
    async with world(dialect) as one:
        given = {**_usual(one, tool), **({argument: value} if argument else {})}
        result = await one.call(tool, given)
        assert result.is_error
        assert text_of(result).startswith(NAMED[dialect])
        assert one.api.writes == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("tool", CATALOGUE, ids=lambda tool: tool.name)
async def test_what_is_listed_is_not_refused_for_the_dialects_sake(dialect: Dialect, tool: Any) -> None:
    if tool.name in LACKS[dialect].tools:
        return
    schema = _listed(dialect)[tool.name]["inputSchema"]
    optional = [one for one in schema["properties"] if one not in schema.get("required", ())]
    for argument in ["", *(one for one in optional if VALUES.get(one) is not None)]:
        async with world(dialect, confirm="never") as one:
            given = {**_usual(one, tool.name), **({argument: VALUES[argument]} if argument else {})}
            outcome = await one.service.call(one.service.tools[tool.name], given, Unasked())
            assert not isinstance(outcome.failure, Unsupported), (argument, outcome.text)


def _usual(one: World, tool: str) -> dict[str, Any]:
    usual = arguments_of(tool, one.ids, access="an-access-key", secret="a-secret-key")
    return {name: value for name, value in usual.items() if name != "confirm"}
