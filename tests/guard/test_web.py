"""The HTTP transports turn away what is not for them: other hosts, other origins, bodies without bound."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
INITIALIZE = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    '"clientInfo":{"name":"t","version":"1"}}}'
)
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAPERSPACE_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in ("server", "tools"))}


@contextmanager
def serving(transport: str, host: str = "127.0.0.1") -> Generator[str]:
    """The address of a server process, which is ended by its own id."""
    command = [sys.executable, "-m", "paperspace_storage_server", "serve", "--sandbox", "--host", host, "--port", "0"]
    process = subprocess.Popen(
        [*command, "--transport", transport], env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r"http://\S+", said)
        assert found is not None, said
        yield found.group()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        process.stderr.close()


@pytest.mark.parametrize(("transport", "path"), [("streamable-http", "/mcp"), ("sse", "/messages/?session_id=0")])
def test_a_foreign_host_or_origin_and_a_huge_body_are_turned_away(transport: str, path: str) -> None:
    with serving(transport) as address, httpx.Client(base_url=address, headers=HEADERS, trust_env=False) as client:
        foreign_host = client.post(path, content=INITIALIZE, headers={"Host": "evil.example.com"})
        rebound = client.post(path, content=INITIALIZE, headers={"Host": "127.0.0.1.evil.example.com:80"})
        foreign_origin = client.post(path, content=INITIALIZE, headers={"Origin": "https://evil.example.com"})
        assert (foreign_host.status_code, rebound.status_code, foreign_origin.status_code) == (421, 421, 403)
        if transport == "streamable-http":
            huge = client.post(path, content=b'"' + b"x" * (2 * 1024 * 1024) + b'"')
            assert huge.status_code == 413
            assert client.post(path, content=INITIALIZE).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "::1", "[::1]"])
def test_the_address_that_is_bound_is_one_that_is_answered(host: str) -> None:
    with (
        serving("streamable-http", host) as address,
        httpx.Client(base_url=address, headers=HEADERS, trust_env=False) as client,
    ):
        statuses = [
            client.post("/mcp", content=INITIALIZE, headers=headers).status_code
            for headers in ({}, {"Origin": address}, {"Host": "127.0.0.3"}, {"Origin": "http://127.0.0.3"})
        ]
    assert statuses == [200, 200, 421, 403]


def test_a_host_beyond_loopback_ends_the_start_with_one_line_and_exit_2() -> None:
    command = [sys.executable, "-m", "paperspace_storage_server", "serve", "--sandbox", "--host", "0.0.0.0"]
    run = subprocess.run(
        [*command, "--transport", "streamable-http"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
    assert "PAPERSPACE_MCP_HOST (--host)" in run.stderr
