"""The command `demo`: the main job, start to finish, on the sandbox, through a real MCP client over stdio."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any, cast

from mcp import Client, StdioServerParameters
from mcp.client.stdio import get_default_environment
from mcp_types import TextContent

from paperspace_storage_server.process.console import can_show

Say = Callable[[str], None]
_WIDTH = 96
_BAR = 40  # characters


class DemoFailed(Exception):
    """A step that did not do what it should."""


def add(parser: ArgumentParser) -> None:
    parser.epilog = "It takes no options and no settings: everything happens in a sandbox of its own."


def run(options: Namespace) -> int:
    from paperspace_storage_server.process.loop import run_on_loop

    try:
        run_on_loop(run_demo(lambda line: print(line, flush=True)))
    except DemoFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    print("All steps did what they should.")
    return 0


async def run_demo(say: Say) -> None:
    """Tell the story, a step a paragraph.

    Raises:
        DemoFailed: naming the step and what came instead.
    """
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "paperspace_storage_server", "serve", "--sandbox"],
        env={**get_default_environment(), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    failure: DemoFailed | None = None
    async with Client(server) as client:
        try:
            await _Story(client, say).tell()
        except DemoFailed as failed:
            failure = failed  # raised outside: the client's task group would wrap it
    if failure is not None:
        raise failure


class _Story:
    def __init__(self, client: Client, say: Say) -> None:
        self._client = client
        self._say = say
        self._step = 0

    async def tell(self) -> None:
        say = self._say
        tools = (await self._client.list_tools()).tools
        say(f"Connected over stdio; the server offers {len(tools)} tools. Its API is the sandbox: nothing is real.\n")

        drives = await self._call("Look at the team's drives", "list_shared_drives")
        if not drives["items"]:
            raise DemoFailed("the sample team has no drives")
        _table(say, drives["items"], ("name", "size", "region", "privateNetworkId"))
        home = drives["items"][0]

        drive = await self._call(
            "Create a drive beside the first one",
            "create_shared_drive",
            name="agent-scratch",
            size=250,
            region=home["region"],
            privateNetworkId=home["privateNetworkId"],
        )
        _expect(drive.get("name") == "agent-scratch" and drive.get("size") == 250, "the drive is not as asked")
        _expect("password" not in json.dumps(drive), "a password came out")

        snapshots = await self._call("Find a machine by its snapshots", "list_snapshots", limit=5)
        _table(say, snapshots["items"], ("name", "machineId", "isAutoSnapshot"))
        machine = snapshots["items"][0]["machineId"]
        snapshot = await self._call(
            "Snapshot that machine and wait for it",
            "create_snapshot",
            machineId=machine,
            name="before-upgrade",
            waitSeconds=20,
        )
        _expect(snapshot.get("event", {}).get("state") == "done", "the snapshot's event did not finish")

        refusal = await self._call(
            "Restore it, without a confirmation", "restore_snapshot", refused=True, id=snapshot["id"]
        )
        _expect("confirm" in refusal["text"], "a restore ran without a confirmation")
        restored = await self._call(
            "Restore it, with its exact name",
            "restore_snapshot",
            id=snapshot["id"],
            confirm="before-upgrade",
            waitSeconds=20,
        )
        _expect(restored.get("status") == "done", "the restore did not finish")
        history = await self._call("See its safety snapshot", "list_snapshots", machineId=machine, limit=3)
        _table(say, history["items"], ("name", "id", "isAutoSnapshot"))
        _expect(
            any("before restore" in item["name"].lower() for item in history["items"]), "there is no safety snapshot"
        )

        usage = await self._call("Show what the team stores", "get_storage_utilization")
        _bars(say, usage)
        parts = sum(usage[kind] for kind in ("datasets", "models", "notebooks", "sharedStorage"))
        _expect(parts == usage["total"], "the utilization does not add up")

    async def _call(self, title: str, tool: str, *, refused: bool = False, **arguments: Any) -> dict[str, Any]:
        self._step += 1
        self._say(f"{self._step}. {title}")
        self._say(f"   agent  > {tool} {json.dumps(arguments)}")
        result = await self._client.call_tool(tool, arguments)
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        for line in textwrap.wrap(text if len(text) <= 420 else text[:420] + " ...", _WIDTH):
            self._say(f"   server < {line}")
        self._say("")
        if bool(result.is_error) != refused:
            raise DemoFailed(f"step {self._step} ({title}): {text}")
        return {"text": text} if refused else cast("dict[str, Any]", result.structured_content)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)


def _table(say: Say, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(column), *(len(row[i]) for row in cells)) for i, column in enumerate(columns)]
    for row in ([*columns], *cells):
        say("   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say("")


def _bars(say: Say, usage: Mapping[str, int]) -> None:
    kinds = ("datasets", "models", "notebooks", "sharedStorage")
    most = max(1, *(usage[kind] for kind in kinds))
    block = "█" if can_show("█", sys.stdout) else "#"
    for kind in kinds:
        bar = block * round(usage[kind] / most * _BAR)
        say(f"   {kind:<14} {bar:<{_BAR}} {usage[kind] / 1e9:>9,.1f} GB")
    say(f"   {'total':<14} {'':<{_BAR}} {usage['total'] / 1e9:>9,.1f} GB\n")
