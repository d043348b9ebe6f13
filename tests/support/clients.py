"""MCP clients of other people, from npm, in the versions that `tests/clients/package-lock.json` pins."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from support.stdio_server import COMMAND, ROOT, environment

SOURCE = ROOT / "tests" / "clients"


@dataclass(frozen=True, slots=True)
class Clients:
    """The folder they are installed in, with a home of their own."""

    folder: Path

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of these packages on their own Node.js, to its end."""
        return subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=cwd or self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    @contextmanager
    def start(self, program: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
        """As `run`, while it can be spoken to."""
        pipe = subprocess.PIPE
        command = [str(self._programs / program), *arguments]
        environment = self._environment()
        with subprocess.Popen(command, cwd=self.folder, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def _programs(self) -> Path:
        return self.folder / "node_modules" / ".bin"

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        mine = {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(self._programs), os.environ["PATH"]]),
            "MCP_INSPECTOR_SECRET_STORE": "memory",
        }
        return {**environment(), **mine}

    def configure(self, command: list[str]) -> str:
        """A host's configuration file with one server, `storage`, over stdio."""
        entry = {"command": command[0], "args": command[1:], "env": {"PYTHONPATH": environment()["PYTHONPATH"]}}
        with NamedTemporaryFile("w", dir=self.folder, suffix=".json", delete=False, encoding="utf-8") as file:
            json.dump({"mcpServers": {"storage": entry}}, file)
        return file.name


def install(folder: Path, source: Path = SOURCE) -> Clients:
    """What the lock in `source` pins, without running any package's install script; and the scripts beside it."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    for script in source.glob("*.mjs"):
        shutil.copy(script, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Clients(folder)


@contextmanager
def served(command: list[str]) -> Generator[str]:
    """The address of an HTTP server on a port of its own choice."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://[^/\s]+", process.stderr.readline())
            assert found
            yield found[0]
        finally:
            process.terminate()


def over(transport: str) -> list[str]:
    """The sandboxed server's command line for a transport over HTTP."""
    return [*COMMAND, "--transport", transport, "--port", "0"]


def patched(patch: str) -> list[str]:
    """Python that serves the sandbox over stdio after `patch`."""
    start = "from paperspace_storage_server.__main__ import main\nmain(['serve', '--sandbox'])\n"
    return [COMMAND[0], "-c", f"{patch}\n{start}"]


def answered(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object that a successful run printed."""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
