"""All the tools against the sandbox in each dialect; every answer held against the declared output schema."""

from __future__ import annotations

from typing import Any

import pytest

from paperspace_storage_server.calls.dialects import LACKS
from paperspace_storage_server.sandbox import create_app
from paperspace_storage_server.wire.messages import Dialect, DialectSetting
from paperspace_storage_tools.catalogue import CATALOGUE
from support.recorded import Mode, answer_of, connected, failure_of
from support.schemas import conform

pytestmark = pytest.mark.anyio
KEYS = {"accessKey": "typed-access-key", "secretKey": "typed-secret-key"}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize(("dialect", "setting"), [("published", "published"), ("live", "live"), ("live", "auto")])
async def test_all_tools_work_on_the_sandbox_and_keep_their_output_schema(
    dialect: Dialect, setting: DialectSetting, mode: Mode
) -> None:
    live = dialect == "live"
    called: set[str] = set()
    now = [1_770_000_000.0]

    def clock() -> float:
        now[0] += 0.5  # every request finds it half a second later
        return now[0]

    app = create_app(dialect, clock=clock, event_seconds=2.0)
    async with connected(app, setting, mode) as client:
        schemas = {tool.name: tool.output_schema or {} for tool in (await client.list_tools()).tools}

        async def call(tool: str, **arguments: Any) -> Any:
            called.add(tool)
            result = answer_of(await client.call_tool(tool, arguments))
            conform(result, schemas[tool])
            return result

        drives = (await call("list_shared_drives"))["items"]
        assert [drive["name"] for drive in drives] == [
            "team-home",
            "render-cache",
            "model-checkpoints",
            "eu-archive",
            "datasets",
        ][:: 1 if live else -1] or not live
        place = {"region": drives[0]["region"], "privateNetworkId": drives[0]["privateNetworkId"]}
        drive = await call("create_shared_drive", name="mine", size=100, **place)
        assert {name: drive[name] for name in ("name", "size", *place)} == {"name": "mine", "size": 100, **place}
        assert await call("get_shared_drive", id=drive["id"]) == drive
        renamed = await call("update_shared_drive", id=drive["id"], name="ours")
        assert renamed == {**drive, "name": "ours"}
        before = await call("get_storage_utilization")
        assert await call("delete_shared_drive", id=drive["id"], confirm="ours") == {
            "id": drive["id"],
            "name": "ours",
            "deleted": True,
        }
        after = await call("get_storage_utilization")
        assert before["sharedStorage"] - after["sharedStorage"] == 100 * 10**9
        assert "shared drive" in failure_of(await client.call_tool("get_shared_drive", {"id": drive["id"]}))

        machine = (await call("list_snapshots", limit=1))["items"][0]["machineId"]
        if live:
            assert machine in [one["id"] for one in (await call("list_machines"))["items"]]
            networks = await call("list_private_networks", region=place["region"])
            assert [one["id"] for one in networks["items"]] == [place["privateNetworkId"]]
        snapshot = await call("create_snapshot", machineId=machine, name="mine", waitSeconds=10)
        assert ("event" in snapshot) == live
        if live:
            assert snapshot["event"]["state"] == "done"
            seen = await call("get_machine_event", id=snapshot["event"]["id"])
            assert seen == snapshot["event"]
        kept = {key: value for key, value in snapshot.items() if key != "event"}
        assert await call("get_snapshot", id=snapshot["id"]) == kept
        assert await call("update_snapshot", id=snapshot["id"], name="ours") == {**kept, "name": "ours"}
        restored = await call("restore_snapshot", id=snapshot["id"], confirm="ours", waitSeconds=10)
        assert (restored["id"], restored["machineId"]) == (snapshot["id"], machine)
        assert restored["status"] == ("done" if live else "initiated")
        assert restored["safetySnapshot"]["machineId"] == machine
        assert restored["safetySnapshot"].get("isAutoSnapshot", False) == live
        gone = await call("delete_snapshot", id=snapshot["id"], confirm="ours", waitSeconds=10)
        assert (gone["id"], gone["deleted"], "event" in gone) == (snapshot["id"], True, live)

        assert [one["name"] for one in (await call("list_storage_providers"))["items"]] == ["team-artifacts"]
        new = {"name": "mine", "type": "s3", "bucket": "b1", **KEYS}
        provider = await call("create_storage_provider", **new)
        assert await call("get_storage_provider", id=provider["id"]) == provider
        replaced = await call("update_storage_provider", id=provider["id"], **{**new, "name": "ours"})
        assert replaced == {**provider, "name": "ours"}
        gone = await call("delete_storage_provider", id=provider["id"], confirm="ours")
        assert gone == {"id": provider["id"], "name": "ours", "deleted": True}
    app.state.close()
    assert called == {tool.name for tool in CATALOGUE} - LACKS[dialect].tools
