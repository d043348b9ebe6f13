"""A hosted server under load: calls a second and p99 behind nginx with JWTs, and what sessions cost in memory.

    make bench-hosted                          beside FastMCP, the newest that pip installs, with its own JWT check
    make bench-hosted BENCH="--rounds 5"       more rounds; `--calls N` in each, `--peer no` without FastMCP

All servers check the same issuer's tokens and ask the same stub for one drive. They take turns in every round, so the
ratios count, not the figures: driver, nginx, Redis, stub and servers share the machine. What a call takes of a core is
the servers' own, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from support.redis_server import redis_server
from support.servers import ServerProcess, free_port, nginx, wait_for
from support.small_issuer import SmallIssuer, small_issuer

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 64
PEOPLE = 20
"""Who opens sessions: this server lets one caller have a hundred."""
VERSION = "2026-07-28"
HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
CALL: dict[str, object] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "get_shared_drive",
        "arguments": {"id": "sd0000001"},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}
TEAMS = """
[teams.bench]
api-key-env = "BENCH_KEY"
members.groups = ["bench"]
"""
PEER = '''
import sys, httpx2
from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier
issuer, audience, api, port = sys.argv[1:5]
server = FastMCP("peer", auth=JWTVerifier(jwks_uri=issuer + "/keys", issuer=issuer, audience=audience))
client = httpx2.AsyncClient(base_url=api, headers={"Authorization": "Bearer bench"})

@server.tool
async def get_shared_drive(id: str) -> dict[str, object]:
    """One drive."""
    answer = await client.get("/shared-drives/" + id)
    answer.raise_for_status()
    return answer.json()

server.run(transport="http", host="127.0.0.1", port=int(port), path="/mcp", show_banner=False, log_level="WARNING")
'''


@dataclass
class Target:
    """One thing to measure: where its calls go, and its processes."""

    name: str
    url: str
    host: str
    token: str
    processes: list[int]
    rates: list[float] = field(default_factory=list[float])
    slowest: list[float] = field(default_factory=list[float])
    middle: list[float] = field(default_factory=list[float])
    spent: list[float] = field(default_factory=list[float])
    failed: int = 0
    """Calls that nginx answered in the server's place, and that were made again."""


class Connection:
    """Bare HTTP/1.1 that costs little: one request at a time, kept open."""

    def __init__(self, url: str, host: str, token: str) -> None:
        self._port = urlsplit(url).port
        self._head = (
            f"Host: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\n"
        )
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, message: object, headers: str) -> tuple[str, bytes]:
        """Head and body of the answer, empty where nginx had none. Raises `SystemExit` where it is another."""
        body = json.dumps(message).encode()
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"POST /mcp HTTP/1.1\r\n{self._head}{headers}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answered = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        if answered.startswith("http/1.1 502"):
            self.close()
            self._reader = self._writer = None
            return "", b""
        if not answered.startswith("http/1.1 200"):
            raise SystemExit(answered)
        if "transfer-encoding: chunked" not in answered:
            length = int(answered.split("content-length: ")[1].split("\r\n")[0])
            return answered, await self._reader.readexactly(length)
        whole = b""
        while size := int((await self._reader.readuntil(b"\r\n"))[:-2], 16):
            whole += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return answered, whole

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


MODERN = f"MCP-Protocol-Version: {VERSION}\r\nMcp-Method: tools/call\r\nMcp-Name: get_shared_drive\r\n"


async def load(target: Target, calls: int, note: bool) -> None:
    """Make the calls, `AT_ONCE` of them under way."""
    left, took = iter(range(calls)), list[float]()

    async def client() -> None:
        connection = Connection(target.url, target.host, target.token)
        for _ in left:
            began = time.perf_counter()
            while not (body := (await connection.post(CALL, MODERN))[1]):
                target.failed += 1
            took.append(time.perf_counter() - began)
            if b"team-share-001" not in body or b'"isError":true' in body:
                raise SystemExit(f"{target.name}: {body[:500]!r}")
        connection.close()

    spent, began = sum(map(processor, target.processes)), time.perf_counter()
    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    if note:
        target.spent.append((sum(map(processor, target.processes)) - spent) / calls * 1e3)
        target.rates.append(calls / (time.perf_counter() - began))
        target.middle.append(median(took) * 1e3)
        target.slowest.append(quantiles(took, n=100)[98] * 1e3)


async def open_sessions(url: str, host: str, tokens: Sequence[str], many: int, *, call: bool) -> None:
    """Begin sessions of the older era and leave them; with `call`, after one call each."""
    connections = [Connection(url, host, token) for token in tokens]

    async def some(number: int) -> None:
        connection = connections[number]
        for _ in range(many // len(tokens)):
            head, _ = await connection.post(HELLO, "")
            id = head.split("mcp-session-id: ")[1].split("\r\n")[0]
            if call:
                version = "MCP-Protocol-Version: 2025-11-25\r\n"
                await connection.post(CALL, f"Mcp-Session-Id: {id}\r\n{version}")

    await asyncio.gather(*(some(number) for number in range(len(tokens))))
    for connection in connections:
        connection.close()


def resident(pid: int) -> float:
    """MiB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def processor(pid: int) -> float:
    """Seconds of a core that a process has had (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@dataclass
class Bench:
    """What all servers share."""

    stack: ExitStack
    folder: Path
    issuer: SmallIssuer
    api: str
    python: Path | None
    """Of the environment in which the peer is installed."""

    def ours(self, port: int, url: str, redis: str | None) -> int:
        """Start one replica; its process id."""
        settings = {
            "HOME": str(self.folder),
            "BENCH_KEY": "bench",
            "PAPERSPACE_API_URL": self.api,
            "PAPERSPACE_MCP_DIALECT": "published",
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": self.issuer.url,
            "PAPERSPACE_MCP_TEAMS_FILE": str(self.folder / "teams.toml"),
            "PAPERSPACE_MCP_STATE_KEYS": "01" * 32,
            "PAPERSPACE_MCP_RATE": "unlimited",
            **({"PAPERSPACE_MCP_REDIS_URL": redis} if redis else {}),
        }
        process = ServerProcess(["serve", "--transport", "streamable-http", "--port", str(port)], settings)
        process.start()
        self.stack.callback(process.end)
        wait_for(f"http://127.0.0.1:{port}/readyz")
        assert process.process is not None
        return process.process.pid

    def peer(self, port: int, url: str) -> int:
        """Start FastMCP's server; its process id."""
        program = self.folder / "peer.py"
        program.write_text(PEER, encoding="utf-8")
        command = [str(self.python), str(program), self.issuer.url, url, self.api, str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        wait_for(f"http://127.0.0.1:{port}/mcp", (401, 405, 406), within=60)
        return process.pid

    def token(self, url: str, subject: str = "bench") -> str:
        return self.issuer.token(url, subject, groups=["bench"])

    def target(self, name: str, replicas: int, *, peer: bool, redis: str) -> Target:
        """So many replicas of one server, behind nginx."""
        port, ports = free_port(), [free_port() for _ in range(replicas)]
        url = f"http://127.0.0.1:{port}/mcp"
        processes = [self.peer(one, url) if peer else self.ours(one, url, redis) for one in ports]
        self.stack.enter_context(nginx(port, ports))
        return Target(name, url, f"127.0.0.1:{port}", self.token(url), processes)


@contextmanager
def stub() -> Generator[str]:
    process = subprocess.Popen([sys.executable, str(ROOT / "bench" / "stub.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


def environment(folder: Path) -> Path:
    """A virtual environment with the newest FastMCP; its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "fastmcp"]
    subprocess.run(install, check=True)
    return python


def version_of(python: Path) -> str:
    asked = "import importlib.metadata as m; print(m.version('fastmcp'))"
    return subprocess.run([str(python), "-c", asked], check=True, capture_output=True, text=True).stdout.strip()


async def throughput(targets: Sequence[Target], calls: int, rounds: int) -> None:
    for target in targets:
        await load(target, AT_ONCE * 4, note=False)
    for number in range(rounds):
        for target in targets if number % 2 else targets[::-1]:
            await load(target, calls, note=True)
    print(f"\n| behind nginx, {AT_ONCE} under way, JWT | calls/s | p50 | p99 | of a core, a call | failed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for target in targets:
        rate, middle, slowest = median(target.rates), median(target.middle), median(target.slowest)
        row = f"{rate:,.0f} | {middle:.0f} ms | {slowest:.0f} ms | {median(target.spent):.2f} ms | {target.failed}"
        print(f"| {target.name} | {row} |", flush=True)


async def sessions(bench: Bench, name: str, hour: int, *, peer: bool) -> list[str]:
    """Memory per thousand open sessions, and what stays of an hour's worth of sessions made and left."""
    port = free_port()
    url, host = f"http://127.0.0.1:{port}/mcp", f"127.0.0.1:{port}"
    pid = bench.peer(port, url) if peer else bench.ours(port, url, None)
    tokens = [bench.token(url, f"person-{number}") for number in range(PEOPLE)]
    await open_sessions(url, host, tokens, PEOPLE, call=True)
    before = resident(pid)
    await open_sessions(url, host, tokens, 1000, call=False)
    thousand = resident(pid) - before
    sizes = [resident(pid)]
    for _ in range(4):
        await open_sessions(url, host, tokens, hour // 4, call=True)
        sizes.append(resident(pid))
    await asyncio.sleep(6)  # connections that nobody uses are closed after five
    quarters = ", ".join(f"{one:.0f}" for one in sizes)
    return [name, f"{thousand:.0f} MiB", f"{quarters} MiB", str(open_files(pid))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=2000, help="of each target in each round")
    parser.add_argument("--hour", type=int, default=4000, help="sessions that are made and left in an hour")
    parser.add_argument(
        "--peer", default="", help="an environment with FastMCP in it; `no` for none; made if not given"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        (folder / "teams.toml").write_text(TEAMS, encoding="utf-8")
        python = None
        if options.peer != "no":
            python = Path(options.peer) / "bin" / "python" if options.peer else environment(folder / "peer")
        issuer = stack.enter_context(small_issuer())
        bench = Bench(stack, folder, issuer, stack.enter_context(stub()), python)
        redis = stack.enter_context(redis_server()).url.get_secret_value()
        cores = os.cpu_count()
        print(
            f"{cores} cores, {options.rounds} rounds of {options.calls} calls"
            + (f"; FastMCP {version_of(python)}" if python else "")
        )
        kinds = [("this server", False), *([("FastMCP", True)] if python else [])]
        targets = [
            bench.target(f"{name}, {replicas} replica{'s' * (replicas > 1)}", replicas, peer=peer, redis=redis)
            for replicas in (1, 2)
            for name, peer in kinds
        ]
        asyncio.run(throughput(targets, options.calls, options.rounds))
        hour = f"{options.hour:,} made and left, by quarters"
        print(f"\n| sessions of the older era | 1,000 more, open | {hour} | files open after |")
        print("| --- | --- | --- | --- |")
        for name, peer in kinds:
            print(f"| {' | '.join(asyncio.run(sessions(bench, name, options.hour, peer=peer)))} |", flush=True)


if __name__ == "__main__":
    main()
