"""The skills as another client reads them: FastMCP's, which checks every digest, in an environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.stdio_server import COMMAND, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FASTMCP = "fastmcp>=4.2,<5"
READER = """
import asyncio, json, os, sys
from pathlib import Path
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.skills import SkillsClientExtension

async def read(folder, command):
    transport = StdioTransport(command[0], command[1:], env=dict(os.environ))
    async with Client(transport, extensions=[SkillsClientExtension()]) as client:
        entries = await client.list_skills()
        for entry in entries:
            assert await client.get_skill(entry.uri) == entry
            skill = await client.read_skill(entry.uri)  # reads every file and checks its size and digest
            for path, file in skill.files.items():
                target = folder / skill.name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file if isinstance(file, bytes) else file.content)
    listed = {one.uri: [resource.model_dump() for resource in one.resources] for one in entries}
    print(json.dumps(listed))

asyncio.run(read(Path(sys.argv[1]), sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def python_with_fastmcp(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("fastmcp")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", FASTMCP]
    done = subprocess.run(install, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return python


def _tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fastmcp_reads_the_skills_that_the_command_writes(python_with_fastmcp: str, tmp_path: Path) -> None:
    read, written = tmp_path / "read", tmp_path / "written"
    # The server's command takes its own path, so that the reader's environment stays its own.
    server = ["env", f"PYTHONPATH={environment()['PYTHONPATH']}", *COMMAND]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PAPERSPACE_", "PYTHONPATH"))}
    done = subprocess.run(
        [python_with_fastmcp, "-c", READER, str(read), *server],
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    listed: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    write = [*COMMAND[:3], "skill", str(written)]
    subprocess.run(write, env=environment(), capture_output=True, timeout=60, check=True)

    on_disk = _tree(written)
    assert _tree(read) == on_disk
    manifest = {
        f"skill://{path}": {
            "uri": f"skill://{path}",
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "size": len(content),
        }
        for path, content in on_disk.items()
    }
    assert {one["uri"]: one for resources in listed.values() for one in resources} == manifest
