"""What the two scripted agents have in common: a client of the server that a config names, and tasks known by prompt.

They need no model. What they do is what models have been seen to do, well and badly; they are there to show that the
scoring tells one from the other.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mcp import Client, StdioServerParameters
from mcp_types import TextContent

from evals.run import NAME
from evals.tasks import TASKS

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tools:
    """The server's tools; `config` is the file that named it."""

    client: Client
    config: Path

    async def ask(self, tool: str, **arguments: object) -> Json:
        """The result; that of a failed call is `{"failure": text}`."""
        result = await self.client.call_tool(tool, arguments)
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        return {"failure": text} if result.is_error else cast("Json", json.loads(text))

    async def one(self, tool: str, **arguments: object) -> Json:
        """The first item of a list."""
        return cast("Json", (await self.ask(tool, **arguments))["items"][0])


Plan = Callable[[Tools], Awaitable[str]]


def main(plans: Mapping[str, Plan]) -> None:
    """Do what the prompt on stdin says, as the plan for its task has it."""
    prompt = sys.stdin.read()
    (task,) = [task for task in TASKS if task.prompt == prompt]
    config = Path(sys.argv[1])
    entry = json.loads(config.read_text(encoding="utf-8"))["mcpServers"][NAME]
    server = StdioServerParameters(command=entry["command"], args=entry["args"])
    print(asyncio.run(_do(plans[task.name], server, config)))


async def _do(plan: Plan, server: StdioServerParameters, config: Path) -> str:
    async with Client(server) as client:
        await client.list_tools()
        return await plan(Tools(client, config))
