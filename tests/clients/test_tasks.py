"""Tasks by the extension's own package; the server is killed between two looks, and another one answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from support.clients import Clients
from support.stdio_server import environment

pytestmark = pytest.mark.slow
PYTHON = [sys.executable, "-m", "paperspace_storage_server"]
KEY = "key-of-the-team"


@contextmanager
def started(command: list[str], **more: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**environment(), **more}, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://[^\s,)]+", line)
            assert found is not None, line
            yield found[0], process
        finally:
            process.kill()


def test_a_task_outlives_its_server(clients: Clients, tmp_path: Path) -> None:
    with ExitStack() as stack:
        sandbox = [*PYTHON, "sandbox", "--port", "0", "--db", str(tmp_path / "team.db")]
        api, _ = stack.enter_context(started(sandbox))
        mine = {"PAPERSPACE_API_URL": f"{api}/v1", "PAPERSPACE_API_KEY": KEY, "HOME": str(tmp_path)}
        bearer = {"Authorization": f"Bearer {KEY}"}
        machine = httpx.get(f"{api}/v1/machines", headers=bearer, trust_env=False).json()["items"][0]["id"]
        serve = [*PYTHON, "serve", "--transport", "streamable-http", "--port", "0"]
        first, process = stack.enter_context(started(serve, **mine))
        second, _ = stack.enter_context(started(serve, **mine))
        script = stack.enter_context(clients.start("node", "tasks.mjs", f"{first}/mcp", machine, "before upgrade"))
        assert script.stdin is not None
        assert script.stdout is not None
        assert script.stdout.readline() == "look\n"
        process.kill()
        process.wait(10)
        script.stdin.write(f"{second}/mcp\n")
        script.stdin.flush()
        output = script.stdout.read()
        assert script.wait(60) == 0, output
    seen = json.loads(output.splitlines()[-1])
    assert (seen["made"]["kind"], seen["deleted"]["kind"]) == ("task", "task")
    snapshot = seen["made"]["result"]["structuredContent"]
    assert (snapshot["machineId"], snapshot["name"], snapshot["event"]["state"]) == (machine, "before upgrade", "done")
    gone = seen["deleted"]["result"]["structuredContent"]
    assert (gone["id"], gone["name"], gone["event"]["state"]) == (snapshot["id"], "before upgrade", "done")
    (question,) = seen["questions"]
    assert f': Delete snapshot {snapshot["id"]} "before upgrade" (' in str(question)
    assert seen["messages"][0].startswith(f"Deletion of snapshot {snapshot['id']}: ")
    assert seen["messages"][0].endswith("The API cannot cancel it.")
