"""An agent: a command that is given a prompt and a server, bounded in time. Whatever becomes of it is a result."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evals import ROOT
from evals.team import EvalError

SCRIPTED = ("well", "badly")
"""The agents that need no model: modules of this package."""
_NAMED = re.compile(r"(?P<name>[\w.-]+)=(?P<command>.*)", re.DOTALL)
_MOST_SAID = 4 * 1024 * 1024  # bytes of what an agent prints that are looked at, from its end


@dataclass(frozen=True, slots=True)
class Agent:
    """A command in which `{prompt}`, `{config}` and `{relay}` are replaced; without `{prompt}` it comes on stdin."""

    name: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Agent:
        """From the command line's word for it, which may begin with a name: `NAME=COMMAND`. Raises: EvalError."""
        if text in SCRIPTED:
            return cls(text, ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", f"evals.{text}", "{config}"))
        named = _NAMED.fullmatch(text)
        try:
            command = tuple(shlex.split(named["command"] if named else text))
        except ValueError as error:
            raise EvalError(f"--agent {text!r} is no command: {error}") from None
        if not command:
            raise EvalError(f"--agent {text!r} is no command")
        if shutil.which(command[0]) is None:
            raise EvalError(f"--agent: {command[0]} is not on this machine")
        return cls(named["name"] if named else Path(command[0]).name, command)


def run(agent: Agent, prompt: str, folder: Path, seconds: float) -> str:
    """How it ended. Whatever it leaves behind in its process group is ended, too; what it printed is in `said`."""
    placed = {"{prompt}": prompt, "{config}": str(folder / "mcp.json"), "{relay}": str(folder / "relay")}
    command = [_replaced(word, placed) for word in agent.command]
    (folder / "prompt.txt").write_text(prompt, encoding="utf-8")
    (folder / "work").mkdir(exist_ok=True)
    by_stdin = not any("{prompt}" in word for word in agent.command)
    with (
        (folder / "prompt.txt" if by_stdin else Path(os.devnull)).open("rb") as stdin,
        (folder / "said.txt").open("wb") as said,
        (folder / "stderr.txt").open("wb") as stderr,
    ):
        try:
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=said,
                stderr=stderr,
                cwd=folder / "work",
                env=_agents_environment(),
                start_new_session=True,
            )
        except OSError as error:
            return f"not started: {error.strerror}"
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end_group(process)
    if code is None:
        return f"stopped after {seconds:g} s"
    return "done" if code == 0 else f"signal {-code}" if code < 0 else f"exit {code}"


def _replaced(word: str, placed: Mapping[str, str]) -> str:
    for mark, text in placed.items():
        if mark in word:
            return word.replace(mark, text)  # one a word: a prompt may hold the mark of another
    return word


def _agents_environment() -> dict[str, str]:
    """Ours, where its login is, without a key or a setting of whoever runs this."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("PAPERSPACE_")}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def said(folder: Path) -> str:
    """What the agent printed on stdout, or the end of it."""
    file = folder / "said.txt"
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _MOST_SAID))
        return opened.read().decode("utf-8", "replace")
