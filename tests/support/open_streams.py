"""A server over HTTP that somebody still has a stream open to, or waits for."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from typing import Literal, get_args

from support.endings import BLOCKED, READY, Process, Reader
from support.stdio_server import COMMAND, HELLO, environment, line

Open = Literal[
    "streamable-http stream", "sse stream", "sandbox request", "streamable-http call in flight", "event loop blocked"
]
OPEN: tuple[Open, ...] = get_args(Open)

_JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_SERVE = [*COMMAND[:-1], "--port", "0"]
_CALL = line("tools/call", 1, name="list_shared_drives", arguments={})


@contextmanager
def server_with(open: Open) -> Generator[Process]:
    """That server's process, with what the name says going on, proven by an answer or by what it said or sent."""
    with ExitStack() as stack:
        upstream = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        upstream.settimeout(READY)
        command = [*_SERVE, "--sandbox", "--transport", "sse" if open.startswith("sse") else "streamable-http"]
        env = environment()
        if open == "sandbox request":
            command = [*COMMAND[:3], "sandbox", "--port", "0"]
        elif open == "event loop blocked":
            command = [sys.executable, "-c", BLOCKED, *command[3:]]
        elif open == "streamable-http call in flight":
            command.remove("--sandbox")
            env |= {
                "PAPERSPACE_API_URL": f"http://127.0.0.1:{upstream.getsockname()[1]}/v1",
                "PAPERSPACE_API_KEY": "key-of-the-test",
            }
        err, err_end = os.pipe()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=err_end, env=env)
        os.close(err_end)
        server = Process(process.pid)
        try:
            said = Reader(err)
            port = int(said.line().rsplit(b":", 1)[1])
            connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=READY)))
            _occupy(open, connection, said, upstream, stack)
            yield server
        finally:
            server.bury()
            process.wait()
            os.close(err)


def _occupy(
    open: Open, connection: http.client.HTTPConnection, said: Reader, upstream: socket.socket, stack: ExitStack
) -> None:
    if open == "sse stream":
        connection.request("GET", "/sse", headers={"Accept": "text/event-stream"})
        assert connection.getresponse().readline() == b"event: endpoint\r\n"
        return
    if open == "sandbox request":
        connection.request("GET", "/v1/shared-drives", headers={"Authorization": "Bearer any"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["hasMore"]) == (200, False)
        connection.putrequest("POST", "/v1/shared-drives")
        connection.putheader("Authorization", "Bearer any")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")  # and never the rest
        return
    connection.request("POST", "/mcp", HELLO.splitlines()[0], _JSON)
    answer = connection.getresponse()
    session = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"]}
    assert answer.status == 200
    answer.read()
    if open == "streamable-http stream":
        connection.request("GET", "/mcp", headers=session | {"Accept": "text/event-stream"})
        assert connection.getresponse().status == 200
        return
    connection.request("POST", "/mcp", _CALL, _JSON | session)
    if open == "event loop blocked":
        assert said.line() == b"blocked"
    else:
        held = stack.enter_context(closing(upstream.accept()[0]))
        assert held.recv(1) == b"G"
