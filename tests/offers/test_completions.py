"""Completions: the ids and names of the team, from one list per kind and not a request per keystroke."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference

from paperspace_storage_server.mcp import completions
from support.guarded import API_KEY, ERAS, Clock, Era, World, world

pytestmark = pytest.mark.anyio
RESTORE = PromptReference(name="restore-machine")
DRIVE = ResourceTemplateReference(uri="paperspace://shared-drives/{id}")
SNAPSHOTS = ResourceTemplateReference(uri="paperspace://machines/{machineId}/snapshots")


async def complete(one: World, ref: Any, argument: str, value: str, context: dict[str, str] | None = None) -> list[str]:
    result = await one.client.complete(ref, {"name": argument, "value": value}, context)
    assert len(result.completion.values) <= 100
    return result.completion.values


@pytest.mark.parametrize("era", ERAS)
async def test_an_id_is_found_by_its_beginning_or_by_its_name(era: Era) -> None:
    async with world("live", era=era) as one:
        id, name = one.ids["drive"], one.ids["drive name"]
        assert await complete(one, DRIVE, "id", id[:5]) == [id]
        assert await complete(one, DRIVE, "id", name[:4].upper()) == [id]
        assert await complete(one, DRIVE, "id", "no such") == []
        assert len(await complete(one, DRIVE, "id", "")) == 5
        provider = PromptReference(name="rotate-provider-keys")
        assert await complete(one, provider, "provider", "") == [one.ids["provider name"]]
        assert one.ids["machine"] in await complete(one, SNAPSHOTS, "machineId", "")
        assert one.ids["machine"] in await complete(one, RESTORE, "machineId", one.ids["machine"][:4])


async def test_snapshots_are_those_of_the_machine_that_was_given() -> None:
    async with world("live") as one:
        items = (await one.api.ask("GET", "/snapshots?limit=120"))["items"]
        mine = [each["id"] for each in items if each["machineId"] == one.ids["machine"]]
        assert len(mine) < len(items)
        assert await complete(one, RESTORE, "snapshotId", "", {"machineId": one.ids["machine"]}) == mine
        assert await complete(one, RESTORE, "snapshotId", "") == [each["id"] for each in items]


async def test_keystrokes_cost_one_request_per_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(completions.Completions.__init__, "__kwdefaults__", {"clock": clock})
    async with world("live") as one:
        for typed in ("", "s", "sd", "sd1", "data", "datasets"):
            await complete(one, DRIVE, "id", typed)
        assert one.api.sent == ["GET /shared-drives"]
        clock.now += completions.KEPT - 0.1
        await complete(one, DRIVE, "id", "x")
        assert len(one.api.sent) == 1
        clock.now += 0.2
        await complete(one, DRIVE, "id", "x")
        assert len(one.api.sent) == 2


async def test_an_api_that_fails_is_not_asked_again_at_the_next_keystroke() -> None:
    async with world("live", max_attempts=1) as one:
        one.api.instead = lambda request: httpx.Response(500)
        assert await complete(one, DRIVE, "id", "") == []
        assert await complete(one, DRIVE, "id", "s") == []
        assert len(one.api.sent) == 1


async def test_more_than_a_hundred_say_so_and_come_cleaned() -> None:
    async with world("live") as one:
        for number in range(110):
            await one.api.ask("POST", "/snapshots", {"machineId": one.ids["machine"], "name": f"s{number}"})
        ref = ResourceTemplateReference(uri="paperspace://snapshots/{id}")
        result = await one.client.complete(ref, {"name": "id", "value": ""})
        assert (len(result.completion.values), result.completion.total, result.completion.has_more) == (100, 120, True)
        provider = PromptReference(name="rotate-provider-keys")
        one.api.after = lambda request, answer: httpx.Response(
            200, json={"hasMore": False, "items": [{"id": "sp1", "name": f"a\u202e\x1b[2K{API_KEY}"}]}
        )
        assert await complete(one, provider, "provider", "") == ["a[secret]"]


@pytest.mark.parametrize(
    ("ref", "argument", "said"),
    [
        (PromptReference(name="no-such\n"), "id", r'Unknown prompt: "no-such\n"'),
        (PromptReference(name="restore-machine"), "colour", 'restore-machine has no argument "colour"'),
        (
            ResourceTemplateReference(uri="paperspace://no-such/{id}"),
            "id",
            'Unknown resource template: "paperspace://no-such/{id}"',
        ),
        (DRIVE, "colour", 'paperspace://shared-drives/{id} has no variable "colour"'),
        (
            ResourceTemplateReference(uri="paperspace://utilization"),
            "id",
            'Unknown resource template: "paperspace://utilization"',
        ),
    ],
)
@pytest.mark.parametrize("era", ERAS)
async def test_an_unknown_prompt_template_or_argument_is_the_protocols_error_and_named(
    ref: Any, argument: str, said: str, era: Era
) -> None:
    async with world("live", era=era) as one:
        with pytest.raises(MCPError) as raised:
            await one.client.complete(ref, {"name": argument, "value": ""})
        assert (raised.value.error.code, raised.value.error.message) == (INVALID_PARAMS, said)
        assert one.api.sent == []


async def test_completions_follow_the_tools_that_exist() -> None:
    async with world("live", exclude_tools=["list_shared_drives"]) as one:
        assert await complete(one, DRIVE, "id", "") == []
        assert one.api.sent == []
    async with world("live", exclude_tools=["get_shared_drive"]) as one:
        with pytest.raises(MCPError, match="Unknown resource template"):
            await complete(one, DRIVE, "id", "")
