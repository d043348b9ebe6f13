"""A server brought into a state and then ended abruptly: what is still there afterwards, and for how long."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

from support.stdio_server import COMMAND, environment, line

State = Literal["starting", "idle", "call in flight", "waiting", "asking", "loop blocked", "host not reading"]
Way = Literal["stdin closed", "parent killed", "SIGTERM", "SIGINT"]
STATES: tuple[State, ...] = get_args(State)
WAYS: tuple[Way, ...] = get_args(Way)

PROMISED = 2.0  # seconds
READY = 60.0  # seconds to get into a state, on a machine with much else to do
AT_ONCE = 4

# Starts the server on its own three streams, says its id, and does nothing more. Whoever started this script still
# holds the other end of stdin, so the script's death alone closes nothing.
PARENT = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
os.write(2, b"child %d\\n" % child.pid)
child.wait()
"""

# A tool that never gives the event loop back.
BLOCKED = """
import os, sys, time
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.__main__ import main
async def block(self, tool, given, caller):
    os.write(2, b"blocked\\n")
    time.sleep(30)
Service.call = block
main(sys.argv[1:])
"""

# Stands still once the package is there and nothing else is, until stdin is closed or its parent is another one.
STARTING = """
import os, select, sys, time
import paperspace_storage_server
born, until = os.getppid(), time.monotonic() + 30
os.write(2, b"starting\\n")
poll = select.poll()
poll.register(0, getattr(select, "POLLRDHUP", 0))
while os.getppid() == born and not poll.poll(10) and time.monotonic() < until:
    pass
from paperspace_storage_server.__main__ import main
main(["serve", "--sandbox"])
"""


class Process:
    """One process by its id, ours or not, that was there when this was made."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle: int | None = os.pidfd_open(pid) if sys.platform == "linux" else None

    def gone(self, within: float) -> bool:
        """Whether it ends in that many seconds; a zombie that nobody has buried yet has ended."""
        if self._handle is not None:
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            return bool(poll.poll(max(within, 0) * 1000))
        until = time.monotonic() + within
        while time.monotonic() < until:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.005)
        return False

    def bury(self) -> None:
        """Kill it if it is still there."""
        if not self.gone(0.0):
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._handle is not None:
            os.close(self._handle)


class Host:
    """A host's side of one stdio server; `server` is the process, `parent` the one that started it, if not we."""

    def __init__(self, command: list[str], env: dict[str, str], *, through_parent: bool, stdin_socket: bool) -> None:
        if stdin_socket:
            near, far = (end.detach() for end in socket.socketpair())
        else:
            far, near = os.pipe()
        out, self.stdout_end = os.pipe()
        err, err_end = os.pipe()
        self.stdin, self._out, self._err = near, Reader(out), Reader(err)
        self._open = {near, out, self.stdout_end, err}
        if through_parent:
            command = [sys.executable, "-S", "-E", "-c", PARENT, *command]
        self._process = subprocess.Popen(command, stdin=far, stdout=self.stdout_end, stderr=err_end, env=env)
        os.close(far)
        os.close(err_end)
        self.parent = self._process.pid if through_parent else None
        self.server = Process(int(self.said("child ").split()[1]) if through_parent else self._process.pid)

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.stdin, data) :]

    def hello(self, **capabilities: Any) -> None:
        info = {"name": "test", "version": "1"}
        self.send(
            line("initialize", 0, protocolVersion="2025-11-25", capabilities=capabilities, clientInfo=info)
            + line("notifications/initialized")
        )
        self.message(lambda message: message.get("id") == 0)

    def call(self, id: int, tool: str, /, **arguments: Any) -> None:
        self.send(line("tools/call", id, name=tool, arguments=arguments, _meta={"progressToken": id}))

    def message(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message of that kind; others before it are passed over."""
        while True:
            message: dict[str, Any] = json.loads(self._out.line())
            if wanted(message):
                return message

    def items(self, id: int, tool: str) -> list[dict[str, Any]]:
        self.call(id, tool, limit=1)
        answer = self.message(lambda message: message.get("id") == id)
        items: list[dict[str, Any]] = answer["result"]["structuredContent"]["items"]
        return items

    def said(self, start: str) -> str:
        """The next line on stderr that starts so."""
        while not (said := self._err.line().decode()).startswith(start):
            pass
        return said

    def stdout_is_full(self) -> bool:
        poll = select.poll()
        poll.register(self.stdout_end, select.POLLOUT)
        return not poll.poll(0)

    def half_close(self) -> None:
        """Send no more, but keep the socket: what Node's `child.stdin.end()` does."""
        with closing(socket.socket(fileno=os.dup(self.stdin))) as end:
            end.shutdown(socket.SHUT_WR)

    def end(self, way: Way) -> None:
        if way == "stdin closed":
            self.close(self.stdin)
        elif way == "parent killed":
            assert self.parent is not None
            os.kill(self.parent, signal.SIGKILL)
        else:
            os.kill(self.server.pid, signal.Signals[way])

    def rest_of_stderr(self) -> str:
        """What it said at the end; call this once it is gone."""
        return self._err.rest().decode()

    def close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)

    def bury(self) -> None:
        self.server.bury()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for descriptor in tuple(self._open):
            self.close(descriptor)


class Reader:
    """Lines from a descriptor, each awaited for `READY` seconds at most."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def line(self) -> bytes:
        until = time.monotonic() + READY
        while b"\n" not in self._buffer:
            assert select.select([self._descriptor], [], [], max(until - time.monotonic(), 0))[0], "nothing came"
            data: bytes = os.read(self._descriptor, 65536)
            assert data, f"the stream ended; last it said {self._buffer!r}"
            self._buffer += data
        one, self._buffer = self._buffer.split(b"\n", 1)
        return one

    def rest(self) -> bytes:
        while select.select([self._descriptor], [], [], 5.0)[0] and (data := os.read(self._descriptor, 65536)):
            self._buffer += data
        return self._buffer


@contextmanager
def host_in(state: State, *, through_parent: bool = False, stdin_socket: bool = False) -> Generator[Host]:
    """A host whose server is in that state, proven by something it said or did; nothing of it is left afterwards."""
    with ExitStack() as stack:
        env = environment()
        command = COMMAND
        listener: socket.socket | None = None
        if state == "call in flight":
            listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            listener.settimeout(READY)
            command = COMMAND[:-1]
            env |= {
                "PAPERSPACE_API_URL": f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
                "PAPERSPACE_API_KEY": "key-of-the-test",
            }
        elif state == "loop blocked":
            command = [sys.executable, "-c", BLOCKED, "serve", "--sandbox"]
        elif state == "starting":
            command = [sys.executable, "-c", STARTING]
        host = Host(command, env, through_parent=through_parent, stdin_socket=stdin_socket)
        stack.callback(host.bury)
        if state == "starting":
            host.said("starting")
        else:
            host.hello(**({"elicitation": {}} if state == "asking" else {}))
        if listener is not None:
            host.call(1, "list_shared_drives")
            upstream = stack.enter_context(closing(listener.accept()[0]))
            assert upstream.recv(1) == b"G"
        elif state == "waiting":
            (snapshot,) = host.items(1, "list_snapshots")
            host.call(2, "create_snapshot", machineId=snapshot["machineId"], name="made", waitSeconds=40)
            host.message(lambda message: message.get("method") == "notifications/progress")
        elif state == "asking":
            (drive,) = host.items(1, "list_shared_drives")
            host.call(2, "delete_shared_drive", id=drive["id"])
            host.message(lambda message: message.get("method") == "elicitation/create")
        elif state == "loop blocked":
            host.call(1, "list_shared_drives")
            host.said("blocked")
        elif state == "host not reading":
            host.send(b"".join(line("tools/list", id) for id in range(1, 201)))
            until = time.monotonic() + READY
            while not host.stdout_is_full():
                assert time.monotonic() < until, "stdout never filled"
                time.sleep(0.005)
        yield host


@dataclass(frozen=True)
class Ending:
    """How one end went: `seconds` is None where the process was still there after what is promised."""

    state: State
    way: Way
    seconds: float | None
    traceback: bool = False

    @property
    def clean(self) -> bool:
        # Ctrl-C while Python still imports is Python's own affair: it ends, and says where.
        return self.seconds is not None and not (self.traceback and (self.state, self.way) != ("starting", "SIGINT"))


def ending(state: State, way: Way) -> Ending:
    """Bring a server into the state, end it that way, and see."""
    with host_in(state, through_parent=way == "parent killed") as host:
        began = time.monotonic()
        host.end(way)
        if not host.server.gone(PROMISED):
            return Ending(state, way, None)
        return Ending(state, way, time.monotonic() - began, "Traceback" in host.rest_of_stderr())


def endings(wanted: list[tuple[State, Way]], *, at_once: int = AT_ONCE) -> list[Ending]:
    """All of them, a few at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(ending, *zip(*wanted, strict=True)))
