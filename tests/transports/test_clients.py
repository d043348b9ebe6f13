"""The official client, in both eras, before real processes: three transports, and a sandbox served on a port."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp_types import ElicitRequestParams, ElicitResult

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.calls.dialects import LACKS
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from support.processes import ERAS, KEY, TRANSPORTS, Era, Transport, client_of, listening, state
from support.recorded import answer_of, failure_of
from support.schemas import conform

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Addresses = dict[Transport, str]
OTHER_KEY = "key-of-a-team-that-nothing-changes"
KEYS = {"accessKey": "typed-access-key", "secretKey": "typed-secret-key"}
everywhere = pytest.mark.parametrize(
    ("transport", "era"), [(transport, era) for transport in TRANSPORTS for era in ERAS]
)


@pytest.fixture(scope="module")
def addresses() -> Iterator[Addresses]:
    """One server a transport; over stdio each client starts its own."""
    with ExitStack() as stack:
        found: Addresses = {"stdio": ""}
        for transport in TRANSPORTS[1:]:
            command = ("serve", "--sandbox", "--transport", transport, "--port", "0")
            found[transport] = stack.enter_context(listening(*command))
        yield found


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[Dialect, str]]:
    """The address of a served sandbox of each dialect."""
    with ExitStack() as stack:
        yield {one: stack.enter_context(listening("sandbox", "--port", "0", "--dialect", one)) for one in DIALECTS}


def person(action: str, asked: list[str]) -> ElicitationFnT:
    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return (
            ElicitResult(action="accept", content={"confirm": True})
            if action == "accept"
            else ElicitResult(action="decline")
        )

    return answer


@everywhere
async def test_the_client_lists_the_tools_and_calls_three(transport: Transport, era: Era, addresses: Addresses) -> None:
    async with client_of(transport, era, addresses[transport]) as client:
        tools = (await client.list_tools()).tools
        drives = answer_of(await client.call_tool("list_shared_drives", {"orderBy": "name"}))
        first = answer_of(await client.call_tool("get_shared_drive", {"id": drives["items"][0]["id"]}))
        usage = answer_of(await client.call_tool("get_storage_utilization", {}))
    assert [tool.name for tool in tools] == [tool.name for tool in CATALOGUE]
    assert {"datasets", "eu-archive"} <= {drive["name"] for drive in drives["items"]}
    assert first == drives["items"][0]
    assert usage["total"] == sum(usage[one] for one in ("datasets", "models", "notebooks", "sharedStorage"))


@everywhere
@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_the_person_decides_whether_a_drive_is_deleted(
    action: str, transport: Transport, era: Era, addresses: Addresses
) -> None:
    asked: list[str] = []
    async with client_of(transport, era, addresses[transport], elicit=person(action, asked)) as client:
        some = answer_of(await client.call_tool("list_shared_drives", {}))["items"][0]
        place = {"region": some["region"], "privateNetworkId": some["privateNetworkId"]}
        name = f"{action}-{transport}-{era}"
        drive = answer_of(await client.call_tool("create_shared_drive", {"name": name, "size": 100, **place}))
        result = await client.call_tool("delete_shared_drive", {"id": drive["id"], "confirm": name})
        after = await client.call_tool("get_shared_drive", {"id": drive["id"]})
    assert len(asked) == 1
    assert name in asked[0]
    if action == "accept":
        assert answer_of(result) == {"id": drive["id"], "name": name, "deleted": True}
        assert "shared drive" in failure_of(after)
    else:
        assert "declined" in failure_of(result)
        assert answer_of(after) == drive


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_waiting_for_an_event_sends_each_client_its_own_progress(
    transport: Transport, addresses: Addresses
) -> None:
    async def watched(era: Era) -> None:
        seen: list[tuple[float, float | None, str | None]] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            seen.append((progress, total, message))

        async with client_of(transport, era, addresses[transport]) as client:
            machine = answer_of(await client.call_tool("list_snapshots", {"limit": 1}))["items"][0]["machineId"]
            arguments: dict[str, Any] = {"machineId": machine, "name": f"watched {era}", "waitSeconds": 20}
            made = answer_of(await client.call_tool("create_snapshot", arguments, progress_callback=note))
        assert made["event"]["state"] == "done"
        assert len(seen) >= 2
        assert [done for done, _, _ in seen] == sorted({done for done, _, _ in seen})
        assert all(total == 20 and done < total for done, total, _ in seen)
        said = {re.sub(r": (new|in progress)$", "", message or "") for _, _, message in seen}
        assert said == {f"Snapshot {made['id']}"}

    await asyncio.gather(*[watched(era) for era in ERAS])


@pytest.mark.parametrize(("dialect", "end"), [("published", signal.SIGTERM), ("live", signal.SIGKILL)])
async def test_the_state_of_a_sandbox_survives_a_restart(dialect: Dialect, end: signal.Signals, tmp_path: Path) -> None:
    command = ("sandbox", "--port", "0", "--dialect", dialect, "--db", str(tmp_path / "state.db"))
    with listening(*command, end=end) as address:
        settings = {"PAPERSPACE_API_KEY": KEY, "PAPERSPACE_API_URL": f"{address}/v1"}
        async with client_of("stdio", "auto", arguments=(), settings=settings) as client:
            drive = answer_of(await client.call_tool("list_shared_drives", {}))["items"][0]
            renamed = {"id": drive["id"], "name": "renamed before the restart"}
            answer_of(await client.call_tool("update_shared_drive", renamed))
            new = {"name": "made before the restart", "type": "s3", "bucket": "b1", **KEYS}
            answer_of(await client.call_tool("create_storage_provider", new))
        before = state(address)
    with listening(*command) as address:
        after = state(address)
    assert after == before
    assert "renamed before the restart" in str(after[0])
    assert "made before the restart" in str(after[2])


@pytest.mark.parametrize("dialect", ["published", "live"])
async def test_all_tools_work_over_stdio_on_a_served_sandbox_whose_dialect_is_found_out(
    dialect: Dialect, sandboxes: dict[Dialect, str]
) -> None:
    live = dialect == "live"
    called: set[str] = set()
    address = sandboxes[dialect]
    async with client_of("stdio", "auto", arguments=(), settings=_at(address)) as client:
        schemas = {tool.name: tool.output_schema or {} for tool in (await client.list_tools()).tools}

        async def call(tool: str, **arguments: Any) -> Any:
            called.add(tool)
            result = answer_of(await client.call_tool(tool, arguments))
            conform(result, schemas[tool])
            return result

        drives = (await call("list_shared_drives"))["items"]
        place = {"region": drives[0]["region"], "privateNetworkId": drives[0]["privateNetworkId"]}
        drive = await call("create_shared_drive", name="mine", size=100, **place)
        change = {"name": "ours"} if live else {"name": "ours", "size": 200}
        assert await call("update_shared_drive", id=drive["id"], **change) == {**drive, **change}
        assert await call("get_shared_drive", id=drive["id"]) == {**drive, **change}
        gone = {"id": drive["id"], "name": "ours", "deleted": True}
        assert await call("delete_shared_drive", id=drive["id"], confirm="ours") == gone

        machine = (await call("list_snapshots", limit=1))["items"][0]["machineId"]
        if live:
            assert machine in [one["id"] for one in (await call("list_machines"))["items"]]
            assert (await call("list_private_networks"))["items"]
        note = {} if live else {"note": "made by a test"}
        made = await call("create_snapshot", machineId=machine, name="mine", waitSeconds=20, **note)
        asked = {"machineId": machine, "name": "mine", **note}
        assert {key: made[key] for key in asked} == asked
        kept = {key: value for key, value in made.items() if key != "event"}
        assert await call("get_snapshot", id=made["id"]) == kept
        assert await call("update_snapshot", id=made["id"], name="ours") == {**kept, "name": "ours"}
        restored = await call("restore_snapshot", id=made["id"], confirm="ours", waitSeconds=20)
        assert restored["status"] == ("done" if live else "initiated")
        assert restored["safetySnapshot"]["machineId"] == machine
        if live:
            assert made["event"]["state"] == "done"
            assert await call("get_machine_event", id=made["event"]["id"]) == made["event"]
        deleted = await call("delete_snapshot", id=made["id"], confirm="ours")
        assert (deleted["id"], deleted["deleted"], "event" in deleted) == (made["id"], True, live)

        assert [one["name"] for one in (await call("list_storage_providers"))["items"]] == ["team-artifacts"]
        new = {"name": "mine", "type": "s3", "bucket": "b1", **KEYS}
        provider = await call("create_storage_provider", **new)
        assert await call("get_storage_provider", id=provider["id"]) == provider
        replaced = await call("update_storage_provider", id=provider["id"], **{**new, "name": "ours"})
        assert replaced == {**provider, "name": "ours"}
        gone = {"id": provider["id"], "name": "ours", "deleted": True}
        assert await call("delete_storage_provider", id=provider["id"], confirm="ours") == gone
        usage = await call("get_storage_utilization")
        assert usage["sharedStorage"] == sum(drive["size"] for drive in drives) * 10**9
    assert called == {tool.name for tool in CATALOGUE} - LACKS[dialect].tools


@pytest.mark.parametrize(
    ("dialect", "tool", "arguments", "says"),
    [
        ("published", "get_machine_event", {"id": "meabc"}, "event"),
        ("live", "update_shared_drive", {"id": "DRIVE", "size": 5000}, "size"),
        ("live", "create_snapshot", {"machineId": "MACHINE", "name": "noted", "note": "why"}, "note"),
        ("live", "update_snapshot", {"id": "SNAPSHOT", "name": "noted", "note": "why"}, "note"),
        ("live", "create_storage_provider", {"name": "mine", "type": "gcs", "bucket": "b1", **KEYS}, "gcs"),
    ],
)
async def test_what_a_dialect_lacks_is_refused_even_as_the_first_call_and_changes_nothing(
    dialect: Dialect, tool: str, arguments: dict[str, Any], says: str, sandboxes: dict[Dialect, str]
) -> None:
    address = sandboxes[dialect]
    before = state(address, OTHER_KEY)
    if dialect == "live":
        ids = {
            "DRIVE": before[0]["items"][0]["id"],
            "SNAPSHOT": before[1]["items"][0]["id"],
            "MACHINE": before[1]["items"][0]["machineId"],
        }
        arguments = {name: ids.get(str(value), value) for name, value in arguments.items()}
    async with client_of("stdio", "auto", arguments=(), settings=_at(address, OTHER_KEY)) as client:
        text = failure_of(await client.call_tool(tool, arguments))
    assert says in text
    assert "this api" in text.lower()
    assert state(address, OTHER_KEY) == before


def _at(address: str, key: str = KEY) -> dict[str, str]:
    return {"PAPERSPACE_API_KEY": key, "PAPERSPACE_API_URL": f"{address}/v1", "PAPERSPACE_MCP_DIALECT": "auto"}
