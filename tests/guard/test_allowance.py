"""No more deletions and restores than the operator allows, whoever makes them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from paperspace_storage_server.settings.fields import Limit
from paperspace_storage_server.state.sqlite import SqliteStore
from paperspace_storage_tools.errors import span
from support.guarded import DESTRUCTIVE, World, arguments_of, world

pytestmark = pytest.mark.anyio
SPENT = "The operator allows 1 deletion or restore in 1 h, and as many were made. The next can be made in 60 min;"


async def _snapshots(one: World, count: int) -> list[dict[str, Any]]:
    names = [{"machineId": one.ids["machine"], "name": f"s{number}"} for number in range(count)]
    made = [await one.api.ask("POST", "/snapshots", name) for name in names]
    one.api.sent.clear()
    return [each["data"] for each in made]


async def test_the_one_too_many_is_refused_with_when_the_next_can_be_made() -> None:
    async with world("live", max_destructive=Limit(3, 3600)) as one:
        answers = [
            await one.text("delete_snapshot", {"id": snapshot["id"], "confirm": snapshot["name"]})
            for snapshot in await _snapshots(one, 4)
        ]
        assert answers[-1].startswith(
            "The operator allows 3 deletions or restores in 1 h, and as many were made. The next"
        )
        assert answers[-1].endswith("(PAPERSPACE_MCP_MAX_DESTRUCTIVE). Nothing was changed.")
        assert len(one.api.writes) == 3


@pytest.mark.parametrize("tool", DESTRUCTIVE)
async def test_where_none_is_allowed_none_is_made_and_nobody_is_asked(tool: str) -> None:
    asked: list[str] = []

    async def yes(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with world("live", elicit=yes, max_destructive=Limit(0, 3600)) as one:
        text = await one.text(tool, arguments_of(tool, one.ids, access="", secret=""))
        assert text.startswith("The operator allows no deletions and restores here (PAPERSPACE_MCP_MAX_DESTRUCTIVE).")
        assert (asked, one.api.writes) == ([], [])


async def test_what_was_refused_is_not_counted() -> None:
    async with world("live", max_destructive=Limit(1, 3600)) as one:
        (snapshot,) = await _snapshots(one, 1)
        for confirm in ("wrong", "also wrong"):
            await one.call("delete_snapshot", {"id": snapshot["id"], "confirm": confirm})
        assert "nowhere" in await one.text("delete_snapshot", {"id": "nowhere"})
        await one.call("delete_snapshot", {"id": snapshot["id"], "confirm": snapshot["name"]})
        assert one.api.writes == [f"DELETE /snapshots/{snapshot['id']}"]


async def test_two_servers_of_one_user_share_what_is_allowed(tmp_path: Path) -> None:
    stores = SqliteStore(tmp_path / "state.sqlite"), SqliteStore(tmp_path / "state.sqlite")

    def server(store: SqliteStore) -> AbstractAsyncContextManager[World]:
        return world("live", store=store, max_destructive=Limit(1, 3600), confirm="never")

    async with server(stores[0]) as one, server(stores[1]) as other:
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert (await other.text("delete_shared_drive", {"id": other.ids["drive"]})).startswith(SPENT)
        assert (len(one.api.writes), other.api.writes) == (1, [])
        renamed = await other.text("update_shared_drive", {"id": other.ids["drive"], "name": "still allowed"})
        assert '"name":"still allowed"' in renamed
    for store in stores:
        await store.aclose()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59.1, "60 s"), (61, "61 s"), (125, "3 min"), (3600, "1 h"), (86_400, "24 h")]
)
async def test_a_time_is_rounded_up(seconds: float, text: str) -> None:
    assert span(seconds) == text
