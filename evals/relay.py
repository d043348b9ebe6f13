"""Stands between an agent and a server over stdio, writes down what passes, and answers for the person.

    python evals/relay.py FOLDER

The server's command, its variables and the person are in FOLDER/run.json; FOLDER/record.jsonl gets one line a message:
`{"relay": process, "from": "agent" | "server" | "person", "message": ...}`. Knows nothing of tasks and scores. It
speaks the handshake era only, so that every agent's server asks in one way, and it says itself whether a person can be
asked: hosts that decline by themselves are then compared with those that do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, cast

Json = dict[str, object]

_METHOD_NOT_FOUND = -32601


class _Relay:
    def __init__(self, folder: Path) -> None:
        told = cast("Json", json.loads((folder / "run.json").read_text(encoding="utf-8")))
        self._yes_to = cast("list[str] | None", told["yes_to"])
        self._record = os.open(folder / "record.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._to_server = threading.Lock()  # both threads write there: what the agent says, what the person says
        self._server = subprocess.Popen(
            cast("list[str]", told["server"]),
            env={**os.environ, **cast("dict[str, str]", told["env"])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self) -> int:
        down = threading.Thread(target=self._from_server, daemon=True)
        down.start()
        assert self._server.stdin is not None
        for line in sys.stdin.buffer:
            self._from_agent(line)
        try:
            self._server.stdin.close()
            self._server.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self._server.kill()
            self._server.wait()
        down.join(timeout=5)
        return 0

    def _from_agent(self, line: bytes) -> None:
        message = self._write_down("agent", line)
        method = message.get("method")
        if method == "server/discover":
            error = {"code": _METHOD_NOT_FOUND, "message": "Method not found"}
            answer = {"jsonrpc": "2.0", "id": message.get("id"), "error": error}
            _write(sys.stdout.buffer, json.dumps(answer).encode() + b"\n")
            return
        if method == "initialize":
            line = json.dumps(self._introduced(message)).encode() + b"\n"
        self._tell_server(line)

    def _from_server(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            message = _parsed(line)
            if message.get("method") == "elicitation/create" and "id" in message:
                self._answer(message)
            else:
                self._write_down("server", line)
                _write(sys.stdout.buffer, line)
        os._exit(0 if self._server.wait() == 0 else 1)  # gone for the agent, too, whose next line may never come

    def _introduced(self, message: Json) -> Json:
        """The agent's `initialize`, with a person, or without, whatever it declares itself."""
        params = dict(cast("Json", message.get("params") or {}))
        declared = {**cast("Json", params.get("capabilities") or {})}
        declared.pop("elicitation", None)
        if self._yes_to is not None:
            declared["elicitation"] = {}
        return {**message, "params": {**params, "capabilities": declared}}

    def _answer(self, message: Json) -> None:
        """The person's reply: the form's booleans are set where they agree."""
        params = cast("Json", message.get("params") or {})
        question = str(params.get("message"))
        agrees = any(name in question for name in self._yes_to or ())
        schema = cast("Json", params.get("requestedSchema") or {})
        form = dict.fromkeys(cast("Json", schema.get("properties") or {}), True)
        self._note("person", f"{question} -> {'yes' if agrees else 'no'}")
        result = {"action": "accept", "content": form} if agrees else {"action": "decline"}
        self._tell_server(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\n")

    def _write_down(self, whose: str, line: bytes) -> Json:
        message = _parsed(line)
        self._note(whose, message or line.decode("utf-8", "replace"))
        return message

    def _note(self, whose: str, message: object) -> None:
        note = json.dumps({"relay": os.getpid(), "from": whose, "message": message})
        os.write(self._record, note.encode() + b"\n")  # one write, to the end of the file: lines stay whole

    def _tell_server(self, line: bytes) -> None:
        assert self._server.stdin is not None
        with self._to_server:
            _write(self._server.stdin, line)


def _write(to: IO[bytes], line: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # the other side has gone, which ends the loop that reads from it
        to.write(line)
        to.flush()


def _parsed(line: bytes) -> Json:
    try:
        message: object = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return cast("Json", message) if isinstance(message, dict) else {}


if __name__ == "__main__":
    sys.exit(_Relay(Path(sys.argv[1])).run())
