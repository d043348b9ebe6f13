"""The stdio server as a host meets it: bad lines, a piped script, and its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paperspace_storage_tools.catalogue import CATALOGUE
from support.stdio_server import COMMAND, HELLO, answer, environment, line, running, send

pytestmark = pytest.mark.slow

NOISY = """
import os, sys
from paperspace_storage_server.api import storage as api
from paperspace_storage_server.__main__ import main
before = api.PaperspaceStorage.__init__
def noisy(self, *given, **named):
    print("noise of a library", flush=True)
    os.write(1, b"noise of a C library\\n")
    before(self, *given, **named)
api.PaperspaceStorage.__init__ = noisy
main(["serve", "--sandbox"])
"""


def test_what_a_library_prints_during_a_call_is_not_on_stdout() -> None:
    asked = HELLO + line("tools/call", 1, name="get_storage_utilization", arguments={})
    done = subprocess.run(
        [sys.executable, "-c", NOISY], input=asked, capture_output=True, env=environment(), timeout=60, check=True
    )
    assert [json.loads(one)["id"] for one in done.stdout.splitlines()] == [0, 1]
    assert b"noise of a library" in done.stderr
    assert b"noise of a C library" in done.stderr


@pytest.mark.parametrize(
    "bad",
    [
        b"garbage\n",
        b"\x00\xff\xfe\x80\n",
        b'{"jsonrpc": "2.0", "id"\n',
        b"[" * 100_000 + b"\n",
        b"x" * (9 << 20) + b"\n",
    ],
    ids=["garbage", "binary", "partial", "deep", "huge"],
)
def test_the_request_after_a_bad_line_is_answered(bad: bytes) -> None:
    with running() as server:
        send(server, HELLO + bad + line("ping", 7))
        assert answer(server, 7)["result"] == {}


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
PROBE = line("server/discover", 8, _meta=META)


@pytest.mark.parametrize("waits", [True, False], ids=["answered", "not waited for"])
def test_a_client_that_probes_and_then_initializes_is_served_in_the_older_era(waits: bool) -> None:
    with running() as server:
        send(server, PROBE)
        if waits:
            assert answer(server, 8)["result"]["supportedVersions"] == ["2026-07-28"]
        send(server, HELLO)
        assert answer(server, 0)["result"]["protocolVersion"] == "2025-11-25"
        send(server, line("tools/list", 1))
        assert len(answer(server, 1)["result"]["tools"]) == len(CATALOGUE)


def test_a_script_in_a_file_may_probe_too(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(PROBE + HELLO + line("ping", 1))
    with script.open("rb") as asked:
        done = subprocess.run(COMMAND, stdin=asked, capture_output=True, env=environment(), timeout=60, check=True)
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert answers[0]["result"]["protocolVersion"] == "2025-11-25"
    assert answers[1]["result"] == {}


def test_a_client_of_the_newer_era_does_not_turn_to_the_older_one() -> None:
    with running() as server:
        send(server, PROBE + line("tools/list", 1, _meta=META))
        answer(server, 1)
        send(server, HELLO)
        assert answer(server, 0)["error"]["code"] == -32022


def test_unknown_names_are_protocol_errors_and_the_server_lives_on() -> None:
    with running() as server:
        send(server, HELLO + line("tools/call", 1, name="nothing", arguments={}) + line("no/such/method", 2))
        answers = [answer(server, 1)]
        send(server, line("prompts/get", 3, name="nothing") + line("resources/read", 4, uri="x://nothing"))
        answers.append(answer(server, 3))
        send(server, line("ping", 5))
        assert answer(server, 5)["result"] == {}
        assert [one["error"]["code"] for one in answers] == [-32602, -32602]


def test_a_piped_script_is_answered_after_its_end() -> None:
    asked = HELLO + b"".join(line("tools/call", n, name="list_shared_drives", arguments={}) for n in range(1, 6))
    done = subprocess.run(COMMAND, input=asked, capture_output=True, env=environment(), timeout=60, check=True)
    assert sorted(json.loads(one)["id"] for one in done.stdout.splitlines()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("end", ["stdin closed", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("state", ["idle", "waiting", "not reading"])
def test_the_server_is_gone_within_two_seconds(end: str, state: str) -> None:
    with running() as server:
        send(server, HELLO)
        answer(server, 0)
        if state == "waiting":
            send(server, line("tools/call", 1, name="list_snapshots", arguments={"limit": 1}))
            machine = answer(server, 1)["result"]["structuredContent"]["items"][0]["machineId"]
            arguments = {"machineId": machine, "name": "made", "waitSeconds": 40}
            send(server, line("tools/call", 2, name="create_snapshot", arguments=arguments) + line("ping", 3))
            answer(server, 3)
        elif state == "not reading":
            send(server, b"".join(line("tools/list", n) for n in range(10, 60)))
        started = time.monotonic()
        if end == "stdin closed":
            assert server.stdin is not None
            server.stdin.close()
        else:
            server.send_signal(signal.Signals[end])
        server.wait(timeout=10)
        assert time.monotonic() - started < 2
