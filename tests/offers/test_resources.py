"""The team's storage as resources: each is its tool's result, follows the tools that exist, and nothing else is one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, TextResourceContents

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.mcp.resources import KINDS
from paperspace_storage_tools.catalogue import CATALOGUE
from support.guarded import API_KEY, ERAS, Era, World, world
from support.recorded import answer_of

pytestmark = pytest.mark.anyio


async def read(one: World, uri: str) -> Any:
    result = await one.client.read_resource(uri)
    (content,) = result.contents
    assert isinstance(content, TextResourceContents)
    assert (str(content.uri), content.mime_type) == (uri, "application/json")
    return json.loads(content.text)


def ours(uris: list[str]) -> set[str]:
    return {uri for uri in uris if uri.startswith("paperspace://")}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("era", ERAS)
async def test_each_resource_is_what_its_tool_answers(era: Era, dialect: Any) -> None:
    async with world(dialect, era=era) as one:
        for folder, kind in (("shared-drives", "drive"), ("snapshots", "snapshot"), ("storage-providers", "provider")):
            told = answer_of(await one.call(f"get_{folder[:-1].replace('-', '_')}", {"id": one.ids[kind]}))
            assert await read(one, f"paperspace://{folder}/{one.ids[kind]}") == told
        told = answer_of(await one.call("get_storage_utilization"))
        assert await read(one, "paperspace://utilization") == told
        told = answer_of(await one.call("list_snapshots", {"machineId": one.ids["machine"]}))
        whole = await read(one, f"paperspace://machines/{one.ids['machine']}/snapshots")
        assert whole == {"items": told["items"], "hasMore": False}


async def test_a_machines_snapshots_are_all_of_them_over_as_many_pages_as_it_takes() -> None:
    async with world("live") as one:
        for number in range(125):
            await one.api.ask("POST", "/snapshots", {"machineId": one.ids["machine"], "name": f"s{number}"})
        one.api.sent.clear()
        whole = await read(one, f"paperspace://machines/{one.ids['machine']}/snapshots")
        assert len(whole["items"]) > 125
        assert len({each["id"] for each in whole["items"]}) == len(whole["items"])
        assert one.api.sent == ["GET /snapshots"] * 2


async def test_what_is_listed_follows_the_tools_that_exist() -> None:
    async with world("live") as one:
        listed = [str(each.uri) for each in (await one.client.list_resources()).resources]
        templates = [each.uri_template for each in (await one.client.list_resource_templates()).resource_templates]
        assert ours(listed + templates) == {kind.uri for kind in KINDS}
    for kind in KINDS:
        tools = [tool.name for tool in CATALOGUE if tool.name != kind.tool]
        async with world("live", tools=tools) as one:
            listed = [str(each.uri) for each in (await one.client.list_resources()).resources]
            templates = [each.uri_template for each in (await one.client.list_resource_templates()).resource_templates]
            assert ours(listed + templates) == {other.uri for other in KINDS if other.tool != kind.tool}
            with pytest.raises(MCPError) as raised:
                await one.client.read_resource(kind.uri.replace("{id}", one.ids["drive"]).replace("{machineId}", "ps1"))
            assert raised.value.error.code == INVALID_PARAMS
            assert one.api.sent == []


@pytest.mark.parametrize(
    "uri",
    [
        "paperspace://shared-drives/nowhere",
        "paperspace://shared-drives/",
        "paperspace://shared-drives/a/b",
        "paperspace://shared-drives/..%2f..%2fsnapshots",
        "paperspace://shared-drives/%2e%2e",
        "paperspace://storage-providers/utilization",
        "paperspace://machines//snapshots",
        "paperspace://utilization/x",
        "paperspace://utilization?x=1",
        "paperspace://shared-drives/sd1#x",
        "paperspace://drives/sd1",
        "https://example.com/",
    ],
)
@pytest.mark.parametrize("era", ERAS)
async def test_what_does_not_exist_is_the_protocols_error_and_names_the_address(uri: str, era: Era) -> None:
    async with world("live", era=era) as one:
        with pytest.raises(MCPError) as raised:
            await one.client.read_resource(uri)
        assert (raised.value.error.code, raised.value.error.message) == (INVALID_PARAMS, f"There is no resource {uri}")
        assert raised.value.error.data == {"uri": uri}
        assert [sent for sent in one.api.sent if not sent.startswith("GET /shared-drives/nowhere")] == []


async def test_what_the_api_fails_at_is_an_error_without_a_secret() -> None:
    async with world("live") as one:
        one.api.instead = lambda request: httpx.Response(500, json={"code": "X", "message": f"bad key {API_KEY}"})
        with pytest.raises(MCPError) as raised:
            await one.client.read_resource("paperspace://utilization")
        assert raised.value.error.code == INTERNAL_ERROR
        assert "The API failed (500)" in raised.value.error.message
        assert API_KEY not in raised.value.error.message


async def test_what_is_read_may_be_kept_by_nobody_else() -> None:
    async with world("live") as one:
        result = await one.client.read_resource("paperspace://utilization")
        dumped = result.model_dump(by_alias=True)
        assert (dumped["ttlMs"], dumped["cacheScope"]) == (0, "private")
