"""Ten questions about a team of 2,000 snapshots and 150 drives, each put as one call: what the answer costs a model.

    .venv/bin/python bench/large_team.py

Starts the sandbox with its large team and the server as processes of their own, asks through the official client, and
holds each answer against what a plain listing, all pages of it, says. Tokens are o200k's, of the text that a model is
given. Exit code 1 where an answer is wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / root) for root in ("server", "tools", "tests")]

from mcp import Client  # noqa: E402 - the roots must be on the path first
from mcp_types import TextContent  # noqa: E402 - as above

from support.processes import client_of, listening  # noqa: E402 - as above
from support.tokens import tokens  # noqa: E402 - as above

Json = dict[str, Any]
Rows = list[Json]


@dataclass(frozen=True, slots=True)
class Question:
    """`told` is what the answer says, `true` the same worked out from the whole list of `of`."""

    text: str
    tool: str
    arguments: Json
    of: str
    told: Callable[[Json], object]
    true: Callable[[Rows], object]


def _names(rows: Rows) -> list[str]:
    return [row["name"] for row in rows]


def questions(train: str) -> list[Question]:
    """`train` is the id of the machine atlas-train."""
    drives, snapshots, machines = "list_shared_drives", "list_snapshots", "list_machines"
    return [
        Question(
            "How many snapshots has each machine, and how many of them are automatic?",
            snapshots,
            {"summary": True},
            snapshots,
            lambda told: {line["machineId"]: (line["snapshots"], line["automatic"]) for line in told["machines"]},
            lambda rows: {
                one["machineId"]: (
                    sum(row["machineId"] == one["machineId"] for row in rows),
                    sum(row["machineId"] == one["machineId"] and row["isAutoSnapshot"] for row in rows),
                )
                for one in rows
            },
        ),
        Question(
            "Which machine has the most snapshots, and which is the oldest of them?",
            snapshots,
            {"summary": True, "limit": 1},
            snapshots,
            lambda told: told["machines"][0]["oldest"]["id"],
            lambda rows: [row["id"] for row in rows if row["machineId"] == _most(rows)][-1],
        ),
        Question(
            "How many automatic snapshots does the team keep?",
            snapshots,
            {"automatic": True, "limit": 1},
            snapshots,
            lambda told: told["total"],
            lambda rows: sum(row["isAutoSnapshot"] for row in rows),
        ),
        Question(
            "What is atlas-train's newest snapshot that somebody took by hand?",
            snapshots,
            {"machineId": train, "automatic": False, "limit": 1},
            snapshots,
            lambda told: _names(told["items"]),
            lambda rows: _names([row for row in rows if row["machineId"] == train and not row["isAutoSnapshot"]])[:1],
        ),
        Question(
            "How many clean images are there of atlas-train, and which are the newest three?",
            snapshots,
            {"machineId": train, "name": "Clean image*", "limit": 3},
            snapshots,
            lambda told: (told["total"], _names(told["items"])),
            lambda rows: _count(
                _names([row for row in rows if row["machineId"] == train and row["name"].startswith("Clean image")])
            ),
        ),
        Question(
            "How many snapshots were taken before a CUDA upgrade?",
            snapshots,
            {"name": "Before CUDA*", "limit": 1},
            snapshots,
            lambda told: told["total"],
            lambda rows: sum(row["name"].startswith("Before CUDA") for row in rows),
        ),
        Question(
            "Where is atlas-datasets-2025 mounted?",
            drives,
            {"name": "atlas-datasets-2025"},
            drives,
            lambda told: [row["mountPoint"] for row in told["items"]],
            lambda rows: [row["mountPoint"] for row in rows if row["name"] == "atlas-datasets-2025"],
        ),
        Question(
            "Which drives has the project helios for 2026, and how large are they?",
            drives,
            {"name": "helios-*-2026"},
            drives,
            lambda told: [(row["name"], row["size"]) for row in told["items"]],
            lambda rows: [
                (row["name"], row["size"])
                for row in rows
                if row["name"].startswith("helios-") and row["name"].endswith("-2026")
            ],
        ),
        Question(
            "How many drives are there in ams1?",
            drives,
            {"region": "ams1", "limit": 1},
            drives,
            lambda told: told["total"],
            lambda rows: sum(row["region"] == "ams1" for row in rows),
        ),
        Question(
            "Which machines take no automatic snapshots?",
            machines,
            {},
            machines,
            lambda told: _names([row for row in told["items"] if not row["autoSnapshotEnabled"]]),
            lambda rows: _names([row for row in rows if not row["autoSnapshotEnabled"]]),
        ),
    ]


def _most(rows: Rows) -> str:
    return Counter(str(row["machineId"]) for row in rows).most_common(1)[0][0]


def _count(names: list[str]) -> tuple[int, list[str]]:
    return len(names), names[:3]


async def _ask(client: Client, tool: str, arguments: Json) -> tuple[Json, int]:
    """The answer, and the tokens of its text."""
    result = await client.call_tool(tool, arguments)
    text = "".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error:
        raise SystemExit(f"{tool}: {text}")
    return json.loads(text), tokens(text)


async def _plain_listing(client: Client, tool: str) -> tuple[Rows, int, int]:
    """Every item, the calls it took and the tokens of their texts."""
    rows: Rows = []
    cost, calls, arguments = 0, 0, {"limit": 120}
    while True:
        page, more = await _ask(client, tool, arguments)
        rows, cost, calls = rows + page["items"], cost + more, calls + 1
        if not page["hasMore"]:
            return rows, calls, cost
        arguments = {"limit": 120, "after": page["nextPage"]}


async def measure() -> int:
    wrong = 0
    with listening("sandbox", "--large", "--port", "0") as address:
        settings = {"PAPERSPACE_API_KEY": "a-large-team", "PAPERSPACE_API_URL": f"{address}/v1"}
        async with client_of("stdio", "auto", arguments=(), settings=settings) as client:
            (train,) = (await _ask(client, "list_machines", {"name": "atlas-train"}))[0]["items"]
            asked = questions(train["id"])
            plain = {of: await _plain_listing(client, of) for of in dict.fromkeys(one.of for one in asked)}
            print("| question | the one call | tokens | plain listing: calls, tokens |\n| --- | --- | --- | --- |")
            for one in asked:
                told, cost = await _ask(client, one.tool, one.arguments)
                rows, calls, listing = plain[one.of]
                shown = json.dumps(one.arguments).replace(train["id"], "...")
                print(f"| {one.text} | `{one.tool} {shown}` | {cost:,} | {calls}, {listing:,} |")
                if one.told(told) != one.true(rows):
                    wrong += 1
                    print(f"WRONG: {one.told(told)!r} and not {one.true(rows)!r}", file=sys.stderr)
    return wrong


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(measure()) else 0)
