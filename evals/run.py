"""One agent on one task: a team of its own, the relay before the server, a time limit; how it ends is a result."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from evals import ROOT
from evals.agent import Agent, run, said
from evals.seen import seen_in
from evals.task import Run, Score, Task, score, unmeasured
from evals.tasks import ACCESS_KEY, PROFILE, SECRET_KEY
from evals.team import EvalError, Team
from support.command_line import sandbox

NAME = "paperspace-storage"
_OURS = os.pathsep.join(str(ROOT / folder) for folder in ("server", "tools"))
SERVER = ("env", f"PYTHONPATH={_OURS}", sys.executable, "-m", "paperspace_storage_server")


def attempt(
    task: Task,
    agent: Agent,
    *,
    seconds: float,
    server: Sequence[str] = SERVER,
    keep: Path | None = None,
) -> Score:
    """Run the agent on the task, with at most so many seconds, and score it.

    `keep` is a folder that keeps the record and what the agent printed.
    """
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evals-", ignore_cleanup_errors=True)))
        folder = keep / agent.name / task.name if keep else temporary
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "record.jsonl").unlink(missing_ok=True)
        try:
            base = stack.enter_context(sandbox(temporary, *(["--large"] if task.large else [])))
            team = Team(base, f"evals-key-{secrets.token_hex(12)}")
            task.start(team)
            team.settle()
            _write_run(folder, temporary, task, team, server)
            made = _measured(task, agent, team, folder, seconds)
        except EvalError as error:
            return unmeasured(task, agent.name, str(error))
        return score(task, agent.name, made)


def _measured(task: Task, agent: Agent, team: Team, folder: Path, seconds: float) -> Run:
    before = team.state()
    began = time.monotonic()
    ended = run(agent, task.prompt, folder, seconds)
    took = time.monotonic() - began
    unfinished = team.unfinished()
    team.settle()
    return Run(
        before=before,
        after=team.state(),
        seen=seen_in(_lines(folder / "record.jsonl")),
        said=said(folder),
        ended=ended,
        seconds=took,
        unfinished=unfinished,
        keys=frozenset({team.key, ACCESS_KEY, SECRET_KEY}),
    )


def _write_run(folder: Path, home: Path, task: Task, team: Team, server: Sequence[str]) -> None:
    """What the relay has to know, and what hosts take a server by: a file, or a program without arguments."""
    profile = f"PAPERSPACE_MCP_CREDENTIAL_{PROFILE.upper()}"
    settings = {
        "HOME": str(home),  # where nobody's settings and keys are
        "USERPROFILE": str(home),
        "PAPERSPACE_API_KEY": team.key,
        "PAPERSPACE_API_URL": team.base,
        f"{profile}_ACCESS_KEY": ACCESS_KEY,
        f"{profile}_SECRET_KEY": SECRET_KEY,
        **task.settings,
    }
    told = {
        "server": list(server),
        "env": settings,
        "yes_to": task.person.yes_to if task.person else None,
    }
    _write(folder / "run.json", json.dumps(told), 0o600)
    relay = [sys.executable, str(ROOT / "evals" / "relay.py"), str(folder)]
    entry = {"command": relay[0], "args": relay[1:]}
    _write(folder / "mcp.json", json.dumps({"mcpServers": {NAME: entry}}), 0o600)
    _write(folder / "relay", f"#!/bin/sh\nexec {shlex.join(relay)}\n", 0o700)


def _write(file: Path, text: str, mode: int) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as opened:
        opened.write(text)


def _lines(file: Path) -> list[str]:
    """An agent that is ended may leave a last line that is no whole one."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [line for line in text.split("\n")[:-1] if line]
