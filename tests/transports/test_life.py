"""However its host ends, and whatever it is doing: the server is gone in time, and nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.endings import BLOCKED, PROMISED, STATES, WAYS, Process, Reader, State, endings, host_in
from support.open_streams import OPEN, Open, server_with
from support.stdio_server import COMMAND, HELLO, ROOT, environment, line

pytestmark = pytest.mark.slow


def test_the_server_is_gone_within_two_seconds_of_any_end_in_any_state() -> None:
    ends = endings([(state, way) for state in STATES for way in WAYS])
    assert [end for end in ends if not end.clean] == []


@pytest.mark.parametrize("state", ["starting", "idle", "loop blocked"])
def test_a_host_that_half_closes_the_socket_it_gave_as_stdin_has_ended(state: State) -> None:
    with host_in(state, stdin_socket=True) as host:
        host.half_close()
        assert host.server.gone(PROMISED)


def test_a_blocked_tool_does_not_keep_a_server_whose_stdout_is_a_file(tmp_path: Path) -> None:
    err, err_end = os.pipe()
    with (
        (tmp_path / "answers").open("wb") as answers,
        subprocess.Popen(
            [sys.executable, "-c", BLOCKED, "serve", "--sandbox"],
            stdin=subprocess.PIPE,
            stdout=answers,
            stderr=err_end,
            env=environment(),
        ) as process,
    ):
        os.close(err_end)
        server = Process(process.pid)
        try:
            assert process.stdin is not None
            process.stdin.write(HELLO + line("tools/call", 1, name="list_shared_drives", arguments={}))
            process.stdin.flush()
            assert Reader(err).line() == b"blocked"
            process.stdin.close()
            assert server.gone(PROMISED)
        finally:
            server.bury()
            os.close(err)


@pytest.mark.parametrize("stdout", ["pipe", "file"])
def test_a_file_on_stdin_is_answered_to_its_end_and_then_the_server_ends(stdout: str, tmp_path: Path) -> None:
    """Also what takes longer than a host that has gone would be given."""
    asked = HELLO + line("tools/call", 1, name="list_snapshots", arguments={"limit": 1})
    (snapshot,) = run(asked, stdout, tmp_path)[1]["structuredContent"]["items"]
    wait = {"machineId": snapshot["machineId"], "name": "made", "waitSeconds": 40}
    calls = [line("tools/call", id, name="list_shared_drives", arguments={}) for id in range(2, 100)]
    answers = run(
        HELLO + line("tools/call", 1, name="create_snapshot", arguments=wait) + b"".join(calls), stdout, tmp_path
    )
    assert sorted(answers) == list(range(100))
    assert answers[1]["structuredContent"]["event"]["state"] == "done"


@pytest.mark.parametrize("bad", [["x"], None, 10**30])
def test_a_cancellation_of_nothing_sensible_does_not_end_the_server(bad: object, tmp_path: Path) -> None:
    answers = run(HELLO + line("notifications/cancelled", requestId=bad) + line("ping", 1), "pipe", tmp_path)
    assert sorted(answers) == [0, 1]


def test_a_request_that_the_file_itself_cancels_is_not_waited_for(tmp_path: Path) -> None:
    asked = HELLO + line("tools/call", 1, name="list_snapshots", arguments={"limit": 1})
    (snapshot,) = run(asked, "pipe", tmp_path)[1]["structuredContent"]["items"]
    wait = {"machineId": snapshot["machineId"], "name": "made", "waitSeconds": 40}
    asked = HELLO + line("tools/call", 1, name="create_snapshot", arguments=wait)
    answers = run(asked + line("notifications/cancelled", requestId=1) + line("ping", 2), "pipe", tmp_path)
    assert {0, 2} <= set(answers)


def test_no_line_of_a_long_piped_script_is_lost(tmp_path: Path) -> None:
    """It comes in faster than it is answered, and its writer is gone before all of it is read."""
    script = tmp_path / "script"
    script.write_bytes(HELLO + b"".join(line("ping", id) for id in range(1, 2501)))
    with subprocess.Popen(["cat", str(script)], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(COMMAND, stdin=cat.stdout, capture_output=True, env=environment(), timeout=60, check=True)
    assert sorted(json.loads(one)["id"] for one in done.stdout.splitlines()) == list(range(2501))


def test_a_garbled_line_of_a_file_is_not_in_the_log(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(HELLO + b'{"secretKey": "hidden-in-a-line\n' + line("ping", 1))
    with script.open("rb") as stdin:
        env = environment() | {"PAPERSPACE_MCP_LOG_LEVEL": "debug"}
        done = subprocess.run(COMMAND, stdin=stdin, capture_output=True, env=env, timeout=60, check=True)
    assert [json.loads(one)["id"] for one in done.stdout.splitlines()] == [0, 1]
    assert b"hidden-in-a-line" not in done.stderr


@pytest.mark.parametrize("open", OPEN)
def test_a_server_over_http_is_gone_soon_after_sigterm_though_someone_still_listens(open: Open) -> None:
    with server_with(open) as server:
        os.kill(server.pid, signal.SIGTERM)
        assert server.gone(2.5)


def test_of_a_dozen_abrupt_ends_at_random_no_process_is_left() -> None:
    command = [sys.executable, str(ROOT / "bench" / "orphans.py"), "--ends", "12", "--seed", "7"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "12 abrupt ends, 0 processes left behind after 2 s")


def run(asked: bytes, stdout: str, folder: Path) -> dict[int, dict[str, Any]]:
    """The results by id of a server whose stdin is a file, and stdout a pipe or a file."""
    (folder / "asked").write_bytes(asked)
    with (folder / "asked").open("rb") as stdin, (folder / "answers").open("w+b") as answers:
        out = answers if stdout == "file" else subprocess.PIPE
        done = subprocess.run(COMMAND, stdin=stdin, stdout=out, env=environment(), timeout=60, check=True)
        answers.seek(0)
        lines = (done.stdout or answers.read()).splitlines()
    messages = [json.loads(one) for one in lines]
    return {message["id"]: message["result"] for message in messages if "id" in message and "result" in message}
