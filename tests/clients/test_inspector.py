"""MCP Inspector's command line: three tools, over every transport, in both eras. Needs npm and its registry."""

from __future__ import annotations

import json
from collections.abc import Generator
from subprocess import CompletedProcess

import pytest

from paperspace_storage_tools.catalogue import CATALOGUE
from support.clients import Clients, answered, over, patched, served
from support.stdio_server import COMMAND

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOOL_ERROR, CANNOT_CONNECT, UNPORTABLE_SCHEMA = 5, 4, 6
PATHS = {"streamable-http": "mcp", "sse": "sse"}
FAULTY = """
from paperspace_storage_server.calls import service as app
whole = app.entries
def faulty(*given):
    found = whole(*given)
    found[0]["inputSchema"]["properties"]["name"] = True
    return found
app.entries = faulty
"""


def inspector(clients: Clients, target: list[str], *arguments: str) -> CompletedProcess[str]:
    return clients.run("inspector", "--cli", *target, "--format", "json", *arguments)


def call(clients: Clients, target: list[str], era: str, tool: str, **arguments: object) -> CompletedProcess[str]:
    given = ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
    return inspector(clients, [*target, "--protocol-era", era], *given)


@pytest.fixture(scope="module", params=["stdio", "streamable-http", "sse"])
def target(clients: Clients, request: pytest.FixtureRequest) -> Generator[list[str]]:
    """What tells the Inspector which server it is about."""
    transport: str = request.param
    if transport == "stdio":
        yield ["--config", clients.configure(COMMAND), "--server", "storage"]
        return
    with served(over(transport)) as address:
        yield [f"{address}/{PATHS[transport]}"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_three_tools_answer(clients: Clients, target: list[str], era: str) -> None:
    listed = answered(call(clients, target, era, "list_shared_drives", name="team-home"))["result"]
    assert [(drive["name"], drive["size"]) for drive in listed["structuredContent"]["items"]] == [("team-home", 250)]
    assert json.loads(listed["content"][0]["text"]) == listed["structuredContent"]
    assert ("io.modelcontextprotocol/serverInfo" in listed.get("_meta", {})) == (era == "modern")

    wanted = {"machineId": "psc5wd8xq0v", "name": f"before {era}", "waitSeconds": 20}
    created = answered(call(clients, target, era, "create_snapshot", **wanted))["result"]["structuredContent"]
    assert created["id"].startswith("ss")
    assert (created["machineId"], created["name"]) == ("psc5wd8xq0v", f"before {era}")
    assert (created["event"]["name"], created["event"]["state"]) == ("snapshot-create", "done")

    missing = call(clients, target, era, "get_storage_provider", id="nowhere")
    assert missing.returncode == TOOL_ERROR
    assert json.loads(missing.stdout)["result"]["content"][0]["text"].startswith("No storage provider nowhere (404 ")


def test_every_schema_is_portable(clients: Clients) -> None:
    target = ["--config", clients.configure(COMMAND), "--server", "storage"]
    done = inspector(clients, target, "--method", "tools/list", "--strict")
    assert len(answered(done)["result"]["tools"]) == len(CATALOGUE)
    assert "Path:" not in done.stderr  # no warning either


def test_an_unportable_schema_is_found(clients: Clients) -> None:
    target = ["--config", clients.configure(patched(FAULTY)), "--server", "storage"]
    done = inspector(clients, target, "--method", "tools/list", "--strict")
    assert done.returncode == UNPORTABLE_SCHEMA
    assert "Path: inputSchema.properties.name" in done.stderr


def test_a_server_that_is_not_there_is_told_apart_from_a_failing_tool(clients: Clients) -> None:
    with served(over("streamable-http")) as address:
        pass
    done = inspector(clients, [f"{address}/mcp"], "--method", "tools/list")
    assert done.returncode == CANNOT_CONNECT
