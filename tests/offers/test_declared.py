"""What the server declares of itself and how long a client may keep what it lists: only what is true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND

from support.guarded import ERAS, Era, World, world
from support.hosted_server import hosted_world, result

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:.*removed as of 2026-07-28")]
EXTENSIONS = ("io.modelcontextprotocol/ui", "io.modelcontextprotocol/skills", "io.modelcontextprotocol/tasks")


@pytest.mark.parametrize("era", ERAS)
async def test_no_list_changes_while_the_process_lives_and_nothing_can_be_subscribed_to(era: Era) -> None:
    async with world("live", era=era) as one:
        declared = one.client.server_capabilities.model_dump(by_alias=True, exclude_none=True)
        extensions: Mapping[str, Any] = declared.pop("extensions", {})
        assert declared == {
            "tools": {"listChanged": False},
            "resources": {"subscribe": False, "listChanged": False},
            "prompts": {"listChanged": False},
            "completions": {},
        }
        assert tuple(extensions) == (EXTENSIONS if era == "auto" else ())
        with pytest.raises(MCPError) as raised:
            await one.client.subscribe_resource("paperspace://utilization")  # pyright: ignore[reportDeprecated]  # a client of the older era may
        assert raised.value.error.code == METHOD_NOT_FOUND
        assert one.api.sent == []


async def _lives(one: World) -> set[tuple[int, str]]:
    client = one.client
    lists = (client.list_tools, client.list_prompts, client.list_resources, client.list_resource_templates)
    dumped = [(await each()).model_dump(by_alias=True) for each in lists]
    return {(each["ttlMs"], each["cacheScope"]) for each in dumped}


async def test_every_list_may_be_kept_for_an_hour_for_it_is_fixed_while_the_process_lives() -> None:
    async with world("live") as one:
        assert await _lives(one) == {(3_600_000, "public")}


@pytest.mark.parametrize("method", ["tools/list", "prompts/list", "resources/list", "resources/templates/list"])
async def test_a_hosted_list_is_one_team_s_and_kept_for_a_minute_for_an_operator_may_change_the_team(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as hosted:
        listed = result(await hosted.rpc("modern", hosted.token(), method))["result"]
        assert (listed["ttlMs"], listed["cacheScope"]) == (60_000, "private")


@pytest.mark.parametrize("era", ERAS)
async def test_an_unknown_tool_is_the_protocols_error_and_named(era: Era) -> None:
    async with world("live", era=era, exclude_tools=["delete_snapshot"]) as one:
        for name in ("no_such_tool", "delete_snapshot"):
            with pytest.raises(MCPError) as raised:
                await one.call(name, {"id": "x"})
            assert (raised.value.error.code, raised.value.error.message) == (INVALID_PARAMS, f"Unknown tool: {name}")
        assert one.api.sent == []
