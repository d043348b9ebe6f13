"""Start, catalogue, calls, throughput and memory of this tree, side by side with an earlier commit.

    make bench                      against the previous commit
    make bench BENCH="--base REF"   against another; `--rounds N` for more of them

Both take turns in every round, so the ratios count, not the figures: a shared machine is noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
CALLS = 200
WINDOW = 64


class Server:
    """One server process over stdio, driven with bare JSON-RPC lines."""

    def __init__(self, tree: Path, api: str) -> None:
        self._id = 0
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "paperspace_storage_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "PYTHONPATH": f"{tree}/server:{tree}/tools",
                "PAPERSPACE_API_URL": api,
                "PAPERSPACE_API_KEY": "bench",
                "PAPERSPACE_MCP_DIALECT": "published",
            },
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin
        self._out = os.fdopen(os.dup(self._process.stdout.fileno()), "rb")
        self.request("initialize", INITIALIZE)
        self.initialized = time.perf_counter() - started
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.tools = self.request("tools/list", {})["tools"]
        self.listed = time.perf_counter() - started

    def _send(self, message: dict[str, Any]) -> None:
        self._in.write(json.dumps(message).encode() + b"\n")

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        answer = json.loads(self._out.readline())
        if "result" not in answer or answer["result"].get("isError"):
            raise SystemExit(f"{method} failed: {answer}")
        result: dict[str, Any] = answer["result"]
        return result

    def call(self, tool: str, **arguments: Any) -> float:
        """Seconds of one call."""
        started = time.perf_counter()
        self.request("tools/call", {"name": tool, "arguments": arguments})
        return time.perf_counter() - started

    def throughput(self) -> float:
        """Calls a second with WINDOW of them under way."""
        params = {"name": "get_shared_drive", "arguments": {"id": "sd0000001"}}
        total = CALLS * 5
        started = time.perf_counter()
        for number in range(total):
            self._send({"jsonrpc": "2.0", "id": 10**6 + number, "method": "tools/call", "params": params})
            if number >= WINDOW:
                self._out.readline()
        for _ in range(WINDOW):
            self._out.readline()
        return total / (time.perf_counter() - started)

    def page_through(self) -> int:
        """Read all of the stub's 10,000 snapshots, a page at a time."""
        seen = 0
        after: dict[str, str] = {}
        for _ in range(200):
            page = self.request("tools/call", {"name": "list_snapshots", "arguments": {"limit": 100, **after}})[
                "structuredContent"
            ]
            seen += len(page["items"])
            if "nextPage" not in page:
                break
            after = {"after": page["nextPage"]}
        return seen

    def memory(self) -> float:
        """Resident MiB (Linux)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+)", status)
        return int(match[1]) / 1024 if match else 0.0

    def close(self) -> None:
        self._in.close()
        self._out.close()
        self._process.wait(10)


def measure(tree: Path, api: str, into: dict[str, list[float]]) -> None:
    """One round of one tree."""

    def note(name: str, value: float) -> None:
        into.setdefault(name, []).append(value)

    server = Server(tree, api)
    try:
        note("start to initialize, ms", server.initialized * 1e3)
        note("start to tools/list, ms", server.listed * 1e3)
        note("tools/list, bytes", len(json.dumps(server.tools, separators=(",", ":"))))
        calls: dict[str, Callable[[], float]] = {
            "get a drive, p50 us": lambda: server.call("get_shared_drive", id="sd0000001"),
            "list 100 snapshots, p50 us": lambda: server.call("list_snapshots", limit=100),
            "list 10 snapshots, p50 us": lambda: server.call("list_snapshots", limit=10),
        }
        for name, call in calls.items():
            for _ in range(20):
                call()
            note(name, median(call() for _ in range(CALLS)) * 1e6)
        note("64 under way, us a call", 1e6 / server.throughput())
        before = server.memory()
        if server.page_through() != 10_000:
            raise SystemExit("paging lost or repeated snapshots")
        note("memory after the calls, MiB", before)
        note("memory after paging 10,000, MiB", server.memory())
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with (default HEAD~1)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    stub = subprocess.Popen([sys.executable, str(ROOT / "bench" / "stub.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert stub.stdout is not None
        api = f"http://127.0.0.1:{stub.stdout.readline().strip()}"
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder) / "base"
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", base, options.base], cwd=ROOT, check=True)
            try:
                now: dict[str, list[float]] = {}
                then: dict[str, list[float]] = {}
                for _ in range(options.rounds):
                    measure(base, api, then)
                    measure(ROOT, api, now)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", base], cwd=ROOT, check=True)
    finally:
        stub.terminate()
        stub.wait(10)
    print(f"{'median of ' + str(options.rounds) + ' rounds':<36}{options.base:>12}{'this tree':>12}{'ratio':>8}")
    for name, values in now.items():
        old, new = median(then[name]), median(values)
        print(f"{name:<36}{old:>12,.0f}{new:>12,.0f}{new / old if old else 0:>8.2f}")


if __name__ == "__main__":
    main()
