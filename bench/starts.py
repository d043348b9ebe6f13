"""How soon a server answers `tools/list` after its start, and what it then holds: each way of installing in turns.

    python bench/starts.py --runs 9 checkout='.venv/bin/paperspace-storage-mcp' bundle='uv run --directory ... main.py'

The sandbox is served. Memory is the resident set of the server's own process (Linux); what uv or podman hold beside it
is theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import time
from pathlib import Path

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
ASKED = [
    {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
]
SERVERS = ("paperspace_storage_server", "paperspace-storage-mcp", "main.py")


def pythons() -> dict[int, int]:
    """The processes that are a server by their command line and run Python, with their resident memory in kB."""
    found: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"python" in words[0] and any(name.encode() in word for word in words for name in SERVERS):
                status = (process / "status").read_text(encoding="utf-8")
                found[int(process.name)] = int(status.split("VmRSS:")[1].split()[0])
        except (OSError, IndexError):
            continue  # gone meanwhile, or a kernel thread
    return found


def start(command: list[str]) -> tuple[float, float]:
    """Seconds until the listing was there, and the server's megabytes then."""
    others = set(pythons())
    began = time.perf_counter()
    environment = {**os.environ, "PAPERSPACE_MCP_SANDBOX": "true"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a host's users do not have it: their first start keeps bytecode
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(json.dumps(message) + "\n" for message in ASKED).encode())
        process.stdin.flush()
        while json.loads(process.stdout.readline()).get("id") != 1:
            pass
        seconds = time.perf_counter() - began
        memory = max((kilobytes for pid, kilobytes in pythons().items() if pid not in others), default=0)
        process.stdin.close()
    return seconds, memory / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("ways", nargs="+", metavar="NAME=COMMAND")
    options = parser.parse_args()
    ways = {name: shlex.split(command) for name, _, command in (way.partition("=") for way in options.ways)}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.runs):
        for name, command in ways.items():
            seen[name].append(start(command))
    print(f"{'':<12} {'start, s':>9} {'fastest':>9} {'MB':>7}")
    for name, runs in seen.items():
        seconds = [one for one, _ in runs]
        memory = statistics.median(megabytes for _, megabytes in runs)
        print(f"{name:<12} {statistics.median(seconds):>9.2f} {min(seconds):>9.2f} {memory:>7.1f}")


if __name__ == "__main__":
    main()
