"""What `doctor` is told of the hosts: which entries there are, and whether they start. Nothing else is ever started."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paperspace_storage_server.commands.hosts import Configured, Unreadable, configured_hosts
from paperspace_storage_server.commands.hosts.configured import trouble_of
from paperspace_storage_server.commands.hosts.launch import Installation, this_installation
from support.stdio_server import environment

SERVER = (sys.executable, "-m", "paperspace_storage_server")


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is started finds this source."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


@pytest.fixture
def installation() -> Installation:
    """This one, known by its interpreter alone: its script may lead to another checkout."""
    return replace(this_installation({}), script=None)


def test_each_entry_is_told_and_only_this_installation_started(
    home: Path, tmp_path: Path, installation: Installation
) -> None:
    spy = tmp_path / "paperspace-storage-mcp"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    spy.chmod(0o755)
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        f"""[mcp_servers.ours]
command = {json.dumps(sys.executable)}
args = ["-m", "paperspace_storage_server", "--sandbox"]
[mcp_servers.theirs]
command = "{spy}"
args = ["--protect=secret"]
[mcp_servers.other]
command = "{spy}-of-another"
[mcp_servers.remote]
url = "https://example.com/mcp"
[mcp_servers.doing]
command = {json.dumps(sys.executable)}
args = ["-m", "paperspace_storage_server", "uninstall", "codex"]
"""
    )
    (home / ".claude.json").write_text("{")
    (tmp_path / ".mcp.json").write_text(
        json.dumps({"mcpServers": {"here": {"command": sys.executable, "args": [*SERVER[1:], "serve", "--dialect=x"]}}})
    )
    text = (home / ".codex" / "config.toml").read_text()
    common = {"host": "codex", "title": "Codex", "file": str(home / ".codex" / "config.toml"), "scope": "user"}
    assert configured_hosts(tmp_path, installation=installation) == [
        Unreadable(
            "claude-code",
            "Claude Code",
            f"{home}/.claude.json",
            f'{home}/.claude.json: damaged (line 1, column 2: a name in double quotes, or "}}", was expected); left as '
            "it is. Mend it, then run this again",
        ),
        Configured(
            host="claude-code",
            title="Claude Code",
            file=f"{tmp_path}/.mcp.json",
            scope="project",
            entry="here",
            command=" ".join([*SERVER, "serve", "[hidden]"]),
            this_installation=True,
            answers=False,
            trouble="started, it ended with exit code 2: PAPERSPACE_MCP_DIALECT (--dialect): expected one of auto, "
            "published, live",
        ),
        Configured(
            **common,  # type: ignore[arg-type]  # what they share
            entry="ours",
            command=" ".join([*SERVER, "--sandbox"]),
            this_installation=True,
            answers=True,
            trouble=None,
        ),
        Configured(
            **common,  # type: ignore[arg-type]  # what they share
            entry="theirs",
            command=f"{spy} [hidden]",
            this_installation=False,
            answers=None,
            trouble="it starts another installation, which was not looked at",
        ),
        Configured(
            **common,  # type: ignore[arg-type]  # what they share
            entry="doing",
            command=" ".join([*SERVER, "uninstall", "codex"]),
            this_installation=True,
            answers=None,
            trouble="what it starts does not serve",
        ),
    ]
    assert not (tmp_path / "started").exists()
    assert (home / ".codex" / "config.toml").read_text() == text


def test_looking_without_starting(home: Path, installation: Installation) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text(
        json.dumps({"mcpServers": {"it": {"command": SERVER[0], "args": SERVER[1:]}}})
    )
    (found,) = configured_hosts(start=False, installation=installation)
    assert isinstance(found, Configured)
    assert (found.this_installation, found.answers, found.trouble) == (True, None, None)


def test_a_machine_without_hosts_has_none() -> None:
    assert configured_hosts(Path.cwd()) == []


def test_a_server_that_starts_answers_whatever_the_host_would_fill_in() -> None:
    assert trouble_of(SERVER, {"PAPERSPACE_API_KEY": "${input:key}", "PAPERSPACE_MCP_SANDBOX": "true"}) is None


def test_a_variable_that_makes_another_program_of_it_is_not_handed_on(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]), "PAPERSPACE_MCP_SANDBOX": "true"}
    assert trouble_of(SERVER, env) is None
    assert not (tmp_path / "run").exists()


def test_what_does_not_start_or_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    wrong = trouble_of(SERVER, {"PAPERSPACE_MCP_SANDBX": "true"})
    assert wrong == (
        "started, it ended with exit code 2: PAPERSPACE_MCP_SANDBX: no such setting; "
        "did you mean PAPERSPACE_MCP_SANDBOX?"
    )
    assert trouble_of((str(tmp_path / "gone"),), {}) == "it does not start (No such file or directory)"
    assert trouble_of((sys.executable, "-c", "print('hello')"), {}) == "started, it ended with exit code 0"
    sleeping = (sys.executable, "-c", "import time; time.sleep(60)")
    assert trouble_of(sleeping, {}, within=0.2) == "started, it did not answer within 0 s"
