"""Start, catalogue, calls, throughput and memory of this tree, side by side with an earlier commit. Over stdio, then
over Streamable HTTP without and with a token.

    make bench                      against the previous commit
    make bench BENCH="--base REF"   against another; `--rounds N` for more of them

Both take turns in every round, so the ratios count, not the figures: a shared machine is noisy.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
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
TOKEN = "psmcp_" + "a" * 43
CALLED = {"get": ("get_shared_drive", {"id": "sd0000001"}), "list": ("list_snapshots", {"limit": 100})}


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


class HttpServer:
    """One server process over Streamable HTTP, in a session of the handshake era."""

    def __init__(self, tree: Path, api: str, folder: Path, token: str | None) -> None:
        settings = {} if token is None else {"PAPERSPACE_MCP_TOKENS_FILE": str(_tokens_file(folder))}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "paperspace_storage_server",
                "serve",
                "--transport",
                "streamable-http",
                "--port",
                "0",
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "PYTHONPATH": f"{tree}/server:{tree}/tools",
                "PAPERSPACE_API_URL": api,
                "PAPERSPACE_API_KEY": "bench",
                "PAPERSPACE_MCP_DIALECT": "published",
                **({"PAPERSPACE_MCP_RATE": "unlimited"} if token else {}),
                **settings,
            },
        )
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        if found is None:
            raise SystemExit(f"does not serve: {said}")
        self._port = int(found[1])
        self._headers = {
            "Host": f"127.0.0.1:{self._port}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": "2025-11-25",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self._headers["Mcp-Session-Id"] = self._post("initialize", INITIALIZE)

    def _body(self, method: str, params: object) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": time.perf_counter_ns(), "method": method, "params": params}).encode()

    def _post(self, method: str, params: object) -> str:
        self._connection.request("POST", "/mcp", self._body(method, params), self._headers)
        answer = self._connection.getresponse()
        if answer.status != 200 or b'"isError":true' in answer.read():
            raise SystemExit(f"{method}: {answer.status}")
        return answer.headers.get("mcp-session-id", "")

    def call(self, what: str) -> float:
        """Seconds of one call."""
        tool, arguments = CALLED[what]
        started = time.perf_counter()
        self._post("tools/call", {"name": tool, "arguments": arguments})
        return time.perf_counter() - started

    def throughput(self) -> float:
        """Calls a second over WINDOW connections with one of them under way on each."""
        tool, arguments = CALLED["get"]
        head = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())

        def message() -> bytes:
            body = self._body("tools/call", {"name": tool, "arguments": arguments})
            return f"POST /mcp HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

        total, sent, done = CALLS * 5, 0, 0
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            for _ in range(WINDOW):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
                selector.register(one, selectors.EVENT_READ, bytearray())
            started = time.perf_counter()
            for key in list(selector.get_map().values()):
                _send(key.fileobj, message())
                sent += 1
            while done < sent:
                for key, _ in selector.select():
                    key.data.extend(_received(key.fileobj))
                    if not _whole(key.data):
                        continue
                    key.data.clear()
                    done += 1
                    if sent < total:
                        _send(key.fileobj, message())
                        sent += 1
            return total / (time.perf_counter() - started)

    def close(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.communicate(timeout=30)


def _send(connection: object, data: bytes) -> None:
    assert isinstance(connection, socket.socket)
    connection.sendall(data)


def _received(connection: object) -> bytes:
    assert isinstance(connection, socket.socket)
    if not (data := connection.recv(1 << 20)):
        raise SystemExit("the server closed a connection")
    return data


def _whole(data: bytearray) -> bool:
    """Whether an answer has come to its end: by its length, or by the last of its chunks."""
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def _tokens_file(folder: Path) -> Path:
    """With one static token, as `paperspace-storage-mcp token` would write it."""
    one = {"name": "bench", "scopes": ["storage:destroy"], "created": 1, "sha256": sha256(TOKEN.encode()).hexdigest()}
    file = folder / "tokens.json"
    file.write_text(json.dumps({"tokens": [one]}), encoding="utf-8")
    file.chmod(0o600)
    return file


def measure_http(tree: Path, api: str, into: dict[str, list[float]]) -> None:
    """One round of one tree over HTTP."""
    for token, how in ((None, "HTTP"), (TOKEN, "HTTP with a token")):
        with tempfile.TemporaryDirectory() as folder:
            server = HttpServer(tree, api, Path(folder), token)
            try:
                for what, name in (("get", "get a drive"), ("list", "list 100 snapshots")):
                    for _ in range(20):
                        server.call(what)
                    taken = median(server.call(what) for _ in range(CALLS))
                    into.setdefault(f"{how}: {name}, p50 us", []).append(taken * 1e6)
                into.setdefault(f"{how}: 64 under way, us a call", []).append(1e6 / server.throughput())
            finally:
                server.close()


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
                    for tree, into in ((base, then), (ROOT, now)):
                        measure(tree, api, into)
                        measure_http(tree, api, into)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", base], cwd=ROOT, check=True)
    finally:
        stub.terminate()
        stub.wait(10)
    print(f"{'median of ' + str(options.rounds) + ' rounds':<48}{options.base:>12}{'this tree':>12}{'ratio':>8}")
    for name, values in now.items():
        old, new = median(then[name]), median(values)
        print(f"{name:<48}{old:>12,.0f}{new:>12,.0f}{new / old if old else 0:>8.2f}")


if __name__ == "__main__":
    main()
