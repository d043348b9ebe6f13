"""mcporter, as a script would use it, over stdio and HTTP. Needs npm and its registry."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from support.clients import Clients, answered, over, served
from support.stdio_server import COMMAND

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=["stdio", "streamable-http"])
def storage(clients: Clients, request: pytest.FixtureRequest) -> Generator[list[str]]:
    """The command up to the tool's name."""
    transport: str = request.param
    if transport == "stdio":
        yield ["--config", clients.configure(COMMAND), "call", "--server", "storage"]
        return
    with served(over(transport)) as address:
        yield ["call", "--allow-http", "--http-url", f"{address}/mcp"]


def test_three_tools_answer(clients: Clients, storage: list[str]) -> None:
    def run(*arguments: str) -> list[str]:
        return ["mcporter", *storage, *arguments, "--output", "json"]

    listed = answered(clients.run(*run("list_shared_drives", "name=team-home", "limit=1")))
    assert [(drive["name"], drive["size"]) for drive in listed["items"]] == [("team-home", 250)]

    wanted = ["machineId=psc5wd8xq0v", "name=before", "waitSeconds=20"]
    created = answered(clients.run(*run("create_snapshot", *wanted)))
    assert (created["machineId"], created["name"]) == ("psc5wd8xq0v", "before")
    assert (created["event"]["name"], created["event"]["state"]) == ("snapshot-create", "done")

    missing = clients.run(*run("get_snapshot", "id=123"))
    assert missing.returncode == 1
    failure = json.loads(missing.stdout)
    assert failure["isError"]
    assert failure["content"][0]["text"].startswith("No snapshot 123 (404 ")
