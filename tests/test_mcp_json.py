"""`mcp.json` as it stands: a host that reads it in a checkout gets a server that works, without a key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from paperspace_storage_tools.catalogue import CATALOGUE

ROOT = Path(__file__).parent.parent


@pytest.mark.slow  # a checkout without .venv is set up by the entry itself
@pytest.mark.anyio
@pytest.mark.timeout(300)
async def test_the_entry_starts_in_a_checkout_and_answers_from_the_sandbox(tmp_path: Path) -> None:
    (entry,) = json.loads((ROOT / "mcp.json").read_text(encoding="utf-8"))["mcpServers"].values()
    handed_on = {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP", "NO_PROXY"))
    }
    server = StdioServerParameters(
        command=entry["command"],
        args=entry["args"],
        env={**handed_on, "PATH": os.environ["PATH"], "HOME": str(tmp_path), **entry["env"]},
        cwd=ROOT,
    )
    async with Client(server, read_timeout_seconds=240) as client:
        tools = (await client.list_tools()).tools
        drives = await client.call_tool("list_shared_drives", {"name": "team-home"})
    assert [tool.name for tool in tools] == [tool.name for tool in CATALOGUE]
    assert not drives.is_error
    assert drives.structured_content is not None
    assert [drive["name"] for drive in drives.structured_content["items"]] == ["team-home"]
