"""Faults on, mixed calls over one stdio session, for as long as is asked: memory, calls, failures by kind.

    .venv/bin/python bench/soak.py --seconds 600

Exit code 1 where a call was not answered, an answer shows the inside, or memory grew by more than `--growth` MiB
after the first tenth of the time, in which pools and caches fill.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOTS = [str(Path(__file__).parents[1] / root) for root in ("server", "tools", "tests")]
sys.path[:0] = ROOTS

from mcp import Client, StdioServerParameters  # noqa: E402 - the roots must be on the path first
from mcp.client.stdio import get_default_environment  # noqa: E402 - as above

from paperspace_storage_server.sandbox import create_app  # noqa: E402 - as above
from paperspace_storage_server.wire.messages import Dialect  # noqa: E402 - as above
from support.fault_proxy import FAULTS, SLOW, Fault, FaultProxy, Seen  # noqa: E402 - as above
from support.faulted import KEY, outcome  # noqa: E402 - as above

AT_ONCE = 16
SPOILT = 0.15  # share of the requests
CALL_TIMEOUT = 8  # seconds
QUICK = tuple(one for one in FAULTS if one.name not in SLOW)
HELD = tuple(one for one in FAULTS if one.name in SLOW)


@dataclass(slots=True)
class Soak:
    calls: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    inside: list[str] = field(default_factory=list[str])
    unanswered: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    rss: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])  # seconds, MiB


async def soak(dialect: Dialect, seconds: float, chance: random.Random) -> Soak:
    found = Soak()

    def choose(_: Seen) -> Fault | None:
        if chance.random() >= SPOILT:
            return None
        fault = chance.choice(HELD) if chance.random() < 0.02 else chance.choice(QUICK)
        found.faults[fault.name] += 1
        return fault

    app = create_app(dialect, event_seconds=0.2)
    proxy = FaultProxy(app)
    proxy.keeps_records = False  # for hours, if asked
    proxy.choose = choose
    async with proxy.serving():
        command = f"-m paperspace_storage_server serve --dialect {dialect} --confirm never --api-url {proxy.url}"
        command += f" --call-timeout {CALL_TIMEOUT} --log-level critical"
        server = StdioServerParameters(
            command=sys.executable,
            args=command.split(),
            env={**get_default_environment(), "PYTHONPATH": ":".join(ROOTS), "PAPERSPACE_API_KEY": KEY},
        )
        before = _children()
        async with Client(server) as client:
            (process,) = _children() - before
            began = time.monotonic()

            async def measure() -> None:
                while True:
                    found.rss.append((time.monotonic() - began, _rss(process)))
                    await asyncio.sleep(seconds / 40)

            measuring = asyncio.create_task(measure())
            await asyncio.gather(*(_agent(client, dialect, found, chance, began + seconds) for _ in range(AT_ONCE)))
            measuring.cancel()
            found.rss.append((time.monotonic() - began, _rss(process)))
    app.state.close()
    return found


async def _agent(client: Client, dialect: Dialect, found: Soak, chance: random.Random, until: float) -> None:
    """One caller: makes, reads, changes, restores and deletes until the time is over."""
    ids: dict[str, list[str]] = {"drive": [], "snapshot": []}
    machine, network, region = "", "", ""

    async def call(tool: str, **arguments: object) -> Any:
        found.calls += 1
        try:
            async with asyncio.timeout(CALL_TIMEOUT * 3):
                result = await client.call_tool(tool, arguments)
        except TimeoutError:
            found.unanswered += 1
            return None
        ok, text = outcome(result)
        if "Traceback" in text or "failed inside" in text:
            found.inside.append(text[:300])
        found.kinds["success" if ok else _kind(text)] += 1
        return result.structured_content if ok else None

    while time.monotonic() < until:
        if not machine:
            snapshots, drives = await call("list_snapshots", limit=20), await call("list_shared_drives", limit=20)
            if snapshots and drives and snapshots["items"] and drives["items"]:
                machine = chance.choice(snapshots["items"])["machineId"]
                network, region = drives["items"][0]["privateNetworkId"], drives["items"][0]["region"]
            continue
        name = f"soak {chance.randrange(10**9)}"
        match chance.randrange(10):
            case 0:
                made = await call("create_shared_drive", name=name, size=10, region=region, privateNetworkId=network)
                ids["drive"] += [made["id"]] if made else []
            case 1:
                made = await call("create_snapshot", machineId=machine, name=name, waitSeconds=chance.choice([0, 2]))
                ids["snapshot"] += [made["id"]] if made else []
            case 2 if ids["drive"]:
                await call("update_shared_drive", id=chance.choice(ids["drive"]), name=name)
            case 3 if ids["drive"]:
                await call("delete_shared_drive", id=ids["drive"].pop())
            case 4 if ids["snapshot"]:
                await call("delete_snapshot", id=ids["snapshot"].pop())
            case 5 if ids["snapshot"]:
                await call("restore_snapshot", id=ids["snapshot"][-1], createSnapshotBeforeRestore=False)
            case 6:
                await call("get_storage_utilization")
            case 7:
                await call("list_snapshots", machineId=machine, limit=50)
            case 8:
                await call("get_shared_drive", id=ids["drive"][-1] if ids["drive"] else "sd000000000")
            case _:
                await call("list_shared_drives", limit=50)


def _kind(text: str) -> str:
    """A failure's text without what differs from call to call."""
    text = re.sub(r"\b(sd|ss|sp|me)\w{9}\b", "<id>", text)
    text = re.sub(r"\d+(\.\d+)? s\b", "N s", re.sub(r"after \d+ tries", "after N tries", text))
    return text.split(". ")[0][:110]


def _children() -> set[int]:
    """The processes that this one has started."""
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False)
    alive = {int(pid) for pid in told.stdout.split()}
    return {pid for pid in alive if _rss(pid) > 0}


def _rss(process: int) -> float:
    """Resident memory in MiB; 0 where the process is gone."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=False)
    return int(told.stdout.strip() or 0) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--dialect", choices=("published", "live"), default="live")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=float, default=10, help="MiB")
    given = parser.parse_args()
    found = asyncio.run(soak(given.dialect, given.seconds, random.Random(given.seed)))
    warm = [rss for at, rss in found.rss if at >= given.seconds / 10]
    print(f"calls        {found.calls} in {given.seconds:.0f} s, {AT_ONCE} at once, dialect {given.dialect}")
    print(f"faults       {found.faults.total()} requests spoilt")
    print(
        f"memory       {found.rss[0][1]:.1f} MiB at the start, {warm[0]:.1f} after a tenth, {warm[-1]:.1f} at the end"
    )
    print(f"unanswered   {found.unanswered}")
    print(f"from inside  {len(found.inside)}")
    for kind, count in found.kinds.most_common():
        print(f"  {count:>7} x {kind}")
    for text in found.inside[:5]:
        print(text)
    return 1 if found.unanswered or found.inside or warm[-1] - warm[0] > given.growth else 0


if __name__ == "__main__":
    sys.exit(main())
