"""A client that no SDK wrote: it answers the question with what is no answer."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from support.attack import KEY, PATHS, sandbox, state

INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "t", "version": "1"},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "garbage",
    [{"action": "perhaps"}, {"action": True}, {}, {"action": "accept", "content": {"sure": "yes"}}, {"accept": True}],
)
def test_what_is_no_answer_deletes_nothing_and_is_said(garbage: dict[str, Any]) -> None:
    with sandbox() as url:
        drive = next(id for id in state(url)[0] if id.startswith("sd"))
        process = subprocess.Popen(
            [sys.executable, "-m", "paperspace_storage_server", "--log-level", "critical"],
            env={"PYTHONPATH": PATHS, "PAPERSPACE_API_KEY": KEY, "PAPERSPACE_API_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None

        def send(message: dict[str, Any]) -> None:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            process.stdin.flush()

        def receive() -> dict[str, Any]:
            assert process.stdout is not None
            return dict(json.loads(process.stdout.readline()))

        try:
            send({"id": 1, "method": "initialize", "params": INITIALIZE})
            receive()
            send({"method": "notifications/initialized"})
            call = {"name": "delete_shared_drive", "arguments": {"id": drive}}
            send({"id": 2, "method": "tools/call", "params": call})
            asked = receive()
            assert asked["method"] == "elicitation/create"
            send({"id": asked["id"], "result": garbage})
            answer = receive()
            text = answer["result"]["content"][0]["text"]
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()
        assert text.startswith(("The client's reply to the question was not understood.", "The reply to the question"))
        assert text.endswith("Nothing was changed.")
        assert drive in state(url)[0]
