"""An installed server, in an environment that knows nothing of this checkout: its demo, and a host's session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcp import Client, StdioServerParameters

_HANDED_ON = ("PIP_", "UV_", "SSL_", "HTTP", "https_", "NO_PROXY", "NODE_", "npm_config_")


def bare_environment(home: Path, **more: str) -> dict[str, str]:
    """What a program needs to reach the package registries from here, a home of its own, and nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON)}
    return {**kept, "PATH": os.environ["PATH"], "HOME": str(home), **more}


def interpreter_of(version: str) -> str:
    """A Python of this version that is on the machine, or the version itself, which uv then fetches."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for candidate in [shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python{version}")]:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return version


def run(*command: str | Path, env: Mapping[str, str], cwd: Path, within: float = 300) -> str:
    """What a command that must succeed printed."""
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@dataclass(frozen=True)
class Session:
    """What a host saw of a server: its name and version, its tools, and what a call of a reading tool answered."""

    server: str
    version: str
    tools: list[str]
    failed: bool
    answer: str


async def session(command: str | Path, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> Session:
    """Start it as a host does, list, call `list_shared_drives`, close."""
    entry = StdioServerParameters(command=str(command), args=list(arguments), env=dict(env), cwd=cwd)
    async with Client(entry, read_timeout_seconds=240) as client:
        tools = (await client.list_tools()).tools
        called = await client.call_tool("list_shared_drives", {"name": "team-home"})
        told = client.server_info
        assert told is not None
        return Session(
            server=told.name,
            version=told.version,
            tools=[tool.name for tool in tools],
            failed=called.is_error,
            answer=getattr(called.content[0], "text", ""),
        )


@dataclass(frozen=True)
class Built:
    """The clone's folder `dist`, and where the clone keeps the tools that built it."""

    folder: Path
    bin: Path

    def one(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found

    @property
    def uv(self) -> Path:
        return self.bin / "uv"


@dataclass(frozen=True)
class Hosts:
    """Hosts of other people, from npm."""

    folder: Path

    def run(self, program: str, *arguments: str | Path, env: Mapping[str, str], cwd: Path) -> str:
        modules = self.folder / "node_modules"
        command = [str(modules / ".bin" / program)]
        if program == "claude":  # its install script, which is not run, would put the program there
            command = ["node", str(modules / "@anthropic-ai/claude-code/cli-wrapper.cjs")]
        return run(*command, *arguments, env=env, cwd=cwd)
