"""A server as a process of its own, spoken to with raw lines."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "paperspace_storage_server", "serve", "--sandbox"]


def environment() -> dict[str, str]:
    """Ours, without settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAPERSPACE_")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT / "server"), str(ROOT / "tools")])}


def line(method: str, id: int | None = None, **params: Any) -> bytes:
    """One JSON-RPC request, or a notification without an id."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(message if id is None else {**message, "id": id}).encode() + b"\n"


HELLO = line(
    "initialize", 0, protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "test", "version": "1"}
) + line("notifications/initialized")


@contextmanager
def running(
    command: list[str] = COMMAND, *, stderr: int = subprocess.DEVNULL, settings: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """The process, with pipes; killed at the end if it is still there."""
    pipe = subprocess.PIPE
    environ = {**environment(), **(settings or {})}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, env=environ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def send(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def answer(process: subprocess.Popen[bytes], id: int, within: float = 30.0) -> dict[str, Any]:
    """The answer to request `id`; every line on the way to it must be a JSON-RPC message."""
    assert process.stdout is not None
    until = time.monotonic() + within
    descriptor = process.stdout.fileno()
    buffer = bytearray()
    while (left := until - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
        data: bytes = os.read(descriptor, 65536)
        assert data, "stdout ended"
        buffer += data
        while b"\n" in buffer:
            end = buffer.index(b"\n")
            one = bytes(buffer[:end])
            del buffer[: end + 1]
            message: dict[str, Any] = json.loads(one)
            assert message["jsonrpc"] == "2.0"
            if message.get("id") == id and "method" not in message:
                return message
    raise AssertionError(f"no answer to request {id} within {within} s")
