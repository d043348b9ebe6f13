"""What Windows decides differently, with Windows faked exactly where it decides: no test here ran on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_server.guard import audit, stream
from paperspace_storage_server.process import life
from support.stdio_server import HELLO, answer, environment, line, send

AS_WINDOWS = """
import ctypes, os, sys, time, types
from paperspace_storage_server.guard import audit, stream
from paperspace_storage_server.mcp import stdio
from paperspace_storage_server.process import life
windows = types.SimpleNamespace(**vars(sys))
windows.platform = "win32"
for module in (stream, stdio, life, audit):
    module.sys = windows
parent = os.getppid()

class Kernel:
    def OpenProcess(self, access, inherit, process):
        assert process == parent
        return 1
    def WaitForSingleObject(self, handle, milliseconds):
        while os.getppid() == parent:
            time.sleep(0.02)
        return 0

ctypes.windll = types.SimpleNamespace(kernel32=Kernel())
sys.stderr = windows.stderr = stream.over(2)
"""
SERVE = f"{AS_WINDOWS}\nfrom paperspace_storage_server.__main__ import main\nmain(['serve', '--sandbox'])\n"


@contextmanager
def _process(code: str, *inherited: int, stderr: int = subprocess.PIPE) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        pass_fds=inherited,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_server_speaks_and_ends_with_its_input() -> None:
    with _process(SERVE, stderr=subprocess.DEVNULL) as server:
        send(server, HELLO + line("tools/call", 1, name="list_shared_drives", arguments={"name": "team-home"}))
        (drive,) = answer(server, 1)["result"]["structuredContent"]["items"]
        assert drive["name"] == "team-home"
        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(timeout=4) == 0


def test_the_server_is_gone_when_its_host_has_died_though_its_input_is_open(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    its_input, ours = os.pipe()
    host = f"""
import subprocess, sys, time
server = subprocess.Popen([sys.executable, "-c", {SERVE!r}], stdin={its_input}, stdout=subprocess.PIPE)
server.stdout.readline()
open({str(note)!r}, "w").write(str(server.pid))
print("up", flush=True)
time.sleep(60)
"""
    try:
        with _process(host, its_input, stderr=subprocess.DEVNULL) as process:
            os.write(ours, HELLO)
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            process.kill()
            process.wait()
        server = int(note.read_text(encoding="utf-8"))
        assert _within(4, lambda: not _lives(server))
    finally:
        os.close(its_input)
        os.close(ours)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1][0]
    except OSError:
        return False
    return state != "Z"


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_the_line_that_says_why_it_stops_comes_out_before_it_stops() -> None:
    slow_console = """
slow = types.SimpleNamespace(**vars(os))
slow.write = lambda descriptor, data: (time.sleep(0.3), os.write(descriptor, data))[1]
stream.os = slow
"""
    code = f"{AS_WINDOWS}{slow_console}print('mend this', file=sys.stderr)\nsys.exit(2)"
    with _process(code) as process:
        _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (2, b"mend this\n")


def test_a_host_that_never_reads_stderr_holds_nothing_up() -> None:
    lines = 5000
    code = f"{AS_WINDOWS}\nfor n in range({lines}): print('x' * 200, file=sys.stderr)\nprint('done', flush=True)"
    with _process(code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"


def test_signals_that_windows_lacks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.delattr(signal, "SIGHUP")
    try:
        life.die_by_signal()
        assert [signal.getsignal(number) for number in kept] == [signal.SIG_DFL, signal.SIG_DFL]
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_the_start_is_not_watched_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", _never)
    monkeypatch.setattr(sys, "platform", "win32")
    life.die_with_host()


def _never(**_: object) -> None:
    raise AssertionError("a thread")


@pytest.fixture
def ends_of_lines_are_two_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the C library of Windows writes to a file that was not opened with O_BINARY."""
    binary, as_text = 1 << 29, set[int]()
    opened, written = os.open, os.write

    def open_as_windows(path: Any, flags: int, mode: int = 0o777) -> int:
        descriptor = opened(path, flags & ~binary, mode)
        if flags & binary:
            as_text.discard(descriptor)
        else:
            as_text.add(descriptor)
        return descriptor

    def write_as_windows(descriptor: int, data: bytes) -> int:
        if descriptor not in as_text:
            return written(descriptor, data)
        written(descriptor, bytes(data).replace(b"\n", b"\r\n"))
        return len(data)

    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)
    monkeypatch.setattr(os, "open", open_as_windows)
    monkeypatch.setattr(os, "write", write_as_windows)
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.usefixtures("ends_of_lines_are_two_characters")
def test_a_started_line_of_the_audit_file_is_completed_in_place(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    for name in ("first", "second"):
        started = audit._Started.at_the_end_of(file, {"tool": name})  # pyright: ignore[reportPrivateUsage]
        started.finish({"tool": name, "outcome": "done"})
    lines = file.read_bytes().split(b"\n")
    assert [json.loads(one)["outcome"] for one in lines[:-1]] == ["done", "done"]
    assert lines[-1] == b""


@pytest.mark.parametrize(("platform", "kind"), [("win32", stream.Relayed), ("linux", stream.Descriptor)])
def test_a_descriptor_is_written_as_the_system_can(
    platform: str, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert isinstance(stream.over(2)._stream, kind)  # pyright: ignore[reportPrivateUsage]
