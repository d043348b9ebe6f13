"""Servers as processes of their own, and the official client before them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.session import ElicitationFnT
from mcp.client.sse import sse_client

from support.stdio_server import environment

Transport: TypeAlias = Literal["stdio", "streamable-http", "sse"]
Era: TypeAlias = Literal["legacy", "auto"]
TRANSPORTS: tuple[Transport, ...] = ("stdio", "streamable-http", "sse")
ERAS: tuple[Era, ...] = ("legacy", "auto")
KEY = "key-of-the-team-of-this-test"
_PATH = {"streamable-http": "/mcp", "sse": "/sse"}


@contextmanager
def listening(
    *arguments: str, end: signal.Signals = signal.SIGTERM, settings: Mapping[str, str] | None = None
) -> Generator[str]:
    """The address that the command says it listens on; the process is ended by `end`."""
    command = [sys.executable, "-m", "paperspace_storage_server", *arguments]
    environ = {**environment(), **(settings or {})}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert found, said
            yield found[0]
        finally:
            process.send_signal(end)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@asynccontextmanager
async def client_of(
    transport: Transport,
    era: Era,
    address: str = "",
    *,
    arguments: tuple[str, ...] = ("--sandbox",),
    settings: Mapping[str, str] | None = None,
    elicit: ElicitationFnT | None = None,
) -> AsyncGenerator[Client]:
    """The official client: of the server at `address`, or, over stdio, of one that it starts itself."""
    if transport == "streamable-http":
        async with Client(address + _PATH[transport], mode=era, elicitation_callback=elicit) as client:
            yield client
    elif transport == "sse":
        async with Client(sse_client(address + _PATH[transport]), mode=era, elicitation_callback=elicit) as client:
            yield client
    else:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "paperspace_storage_server", "serve", *arguments],
            env={**environment(), **(settings or {})},
        )
        with Path("/dev/null").open("w") as silence:  # noqa: ASYNC230 - opens at once
            async with Client(stdio_client(server, silence), mode=era, elicitation_callback=elicit) as client:
                yield client


def children() -> set[int]:
    """The processes that this one has started, by Linux's /proc."""
    return {int(pid) for tasks in Path("/proc/self/task").glob("*/children") for pid in tasks.read_text().split()}


def rss_kib(pid: int) -> int:
    """The resident memory of a process, by Linux's /proc."""
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1])


def state(address: str, key: str = KEY) -> list[Any]:
    """All that a sandbox at this address holds for the key, but for utilization, which follows from it."""

    def held(what: str) -> Any:
        url = f"{address}/v1/{what}?limit=100"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    return [held(what) for what in ("shared-drives", "snapshots", "storage-providers")]
