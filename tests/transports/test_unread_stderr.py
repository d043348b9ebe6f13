"""A host that never reads stderr: logs are dropped, calls go on, and a write whose audit line cannot go is refused."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from support.stdio_server import COMMAND, HELLO, answer, environment, line, running, send

LIST, DELETE = 1, 2


@contextmanager
def full_pipe() -> Generator[tuple[int, int]]:
    """A pipe that takes not one byte more; both ends."""
    reader, writer = os.pipe()
    try:
        fill(writer)
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def fill(writer: int) -> None:
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while os.write(writer, b"\n" * size):
                pass
    os.set_blocking(writer, True)


def drain(reader: int) -> list[str]:
    found = b""
    os.set_blocking(reader, False)
    with suppress(BlockingIOError):
        while piece := os.read(reader, 1 << 16):
            found += piece
    return [one for one in found.decode().splitlines() if one]


def call(server: subprocess.Popen[bytes], request: int, tool: str, **arguments: Any) -> dict[str, Any]:
    send(server, line("tools/call", request, name=tool, arguments=arguments))
    return dict(answer(server, request, 10)["result"])


def deleted(server: subprocess.Popen[bytes], drive: int = 0) -> str:
    """The text of an attempt to delete one of the sample team's drives."""
    drives = call(server, LIST, "list_shared_drives")["structuredContent"]["items"]
    one = drives[drive]
    return str(call(server, DELETE, "delete_shared_drive", id=one["id"], confirm=one["name"])["content"][0]["text"])


def test_a_server_at_debug_answers_although_stderr_is_full_and_says_later_what_was_dropped(
    tmp_path: Path,
) -> None:
    unreachable = {
        "PAPERSPACE_API_KEY": "key-of-a-test",
        "PAPERSPACE_API_URL": "http://127.0.0.1:9/v1",
        "HOME": str(tmp_path),
    }
    command = [*COMMAND[:-1], "--log-level", "debug", "--max-attempts", "2"]
    with full_pipe() as (reader, writer), running(command, stderr=writer, settings=unreachable) as server:
        send(server, HELLO + b"garbage\n")
        for number in range(5):
            assert call(server, 10 + number, "list_shared_drives")["isError"]
        assert drain(reader) == []
        assert call(server, 20, "list_shared_drives")["isError"]
        first, *rest = drain(reader)
        assert first.endswith(" lines before this one were dropped: nobody read them)")
        assert int(first[1:].split()[0]) >= 5
        assert any("INFO paperspace_storage_server.http" in one for one in rest)


def test_a_wrong_setting_ends_with_2_although_stderr_is_full() -> None:
    with full_pipe() as (_, writer):
        run = subprocess.run(
            [*COMMAND, "--dialect", "none"],
            stdin=subprocess.DEVNULL,
            stderr=writer,
            env=environment(),
            timeout=30,
            check=False,
        )
    assert run.returncode == 2


def test_an_audit_on_stderr_is_one_line_a_write_and_nothing_is_written_where_it_does_not_fit(tmp_path: Path) -> None:
    settings = {"PAPERSPACE_MCP_AUDIT_FILE": "stderr", "HOME": str(tmp_path)}
    with full_pipe() as (reader, writer), running(stderr=writer, settings=settings) as server:
        send(server, HELLO)
        text = deleted(server)
        assert text.startswith("The audit file cannot be written (nobody reads it), so the write was not made.")
        assert drain(reader) == []
        assert '"deleted":true' in deleted(server)
        (said,) = [json.loads(one) for one in drain(reader)]
        assert (said["tool"], said["confirmed"], said["outcome"]) == ("delete_shared_drive", "typed name", "done")


@pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
def test_an_audit_on_a_stderr_that_is_a_device_is_refused_where_it_is_full(device: str, tmp_path: Path) -> None:
    settings = {"PAPERSPACE_MCP_AUDIT_FILE": "stderr", "HOME": str(tmp_path)}
    with Path(device).open("wb") as stderr, running(stderr=stderr.fileno(), settings=settings) as server:
        send(server, HELLO)
        text = deleted(server)
        assert ("No space left on device" in text) == (device == "/dev/full")
        assert ('"deleted":true' in text) == (device == "/dev/null")


def test_a_server_over_http_answers_although_stderr_is_full_of_what_strangers_send(tmp_path: Path) -> None:
    command = [*COMMAND, "--transport", "streamable-http", "--port", "0"]
    with full_pipe() as (reader, writer):
        drain(reader)
        os.set_blocking(reader, True)
        with running(command, stderr=writer, settings={"HOME": str(tmp_path)}):
            address = os.read(reader, 1 << 16).decode().split("http://")[1].split()[0]
            fill(writer)
            host, port = address.split(":")
            for _ in range(3):  # each of them is a line of log
                with socket.create_connection((host, int(port)), 5) as stranger:
                    stranger.sendall(b"no request at all\r\n\r\n")
                    assert stranger.recv(1000).startswith(b"HTTP/1.1 400")
            request = urllib.request.Request(f"http://{address}/mcp", headers={"Accept": "application/json"})
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=10)
