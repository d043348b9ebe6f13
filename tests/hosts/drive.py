"""Hosts, driven: `install`, `doctor`, a conversation with a stand-in for the model, `uninstall`, each in a home of its
own. No login, and no network but the registry that the hosts come from.

    make hosts                          # all of them; prints the table of docs/clients.md
    make hosts HOSTS="codex opencode"

In each conversation the host is told to list a drive, to delete it without a confirmation, and to list it again: what
it shows the model is what is checked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hosts.stand_in import Seen, Step, standing_in
from paperspace_storage_server.mcp.server import INSTRUCTIONS

PROMPT: Final = "Do what is to be done."
NAME: Final = "paperspace-storage"
_DRIVE: Final = "team-home"
_PATIENCE: Final = 180  # seconds
_TRIES: Final = 3
"""Some hosts go on without a server that takes longer to start than they wait, which a busy machine makes it do."""

_FIRST_ID: Final = re.compile(r"sd[a-z0-9]{9}")
STEPS: Final = (
    Step("list_shared_drives", lambda results: {"name": _DRIVE}),
    Step("delete_shared_drive", lambda results: {"id": _FIRST_ID.findall(results[0])[0]}),
    Step("list_shared_drives", lambda results: {"name": _DRIVE}),
)
_BEGIN: Final = INSTRUCTIONS[:50]
_REFUSALS: Final = {
    "typed name wanted": "needs a confirmation",
    "asked, and declined by the host": "declined",
    "asked, and dismissed by the host": "dismissed",
}


@dataclass(frozen=True)
class Driven:
    """How a host is run once: its program, its arguments, its variables, and what it needs to be told of the model."""

    program: str
    arguments: Sequence[str]
    model: Callable[[str], Mapping[str, str]] = lambda url: {}  # variables
    configure: Callable[[Path, str], None] = lambda home, url: None  # after `install`


def _codex(home: Path, url: str) -> None:
    file = home / ".codex" / "config.toml"
    provider = f'name = "stand-in"\nbase_url = "{url}/v1"\nenv_key = "STAND_IN_KEY"\nwire_api = "responses"\n'
    required = "required = true\n"  # or Codex goes on without a server that is not there at once
    file.write_text(f"{file.read_text()}{required}\n[model_providers.stand-in]\n{provider}")


def _gemini(home: Path, url: str) -> None:
    file = home / ".gemini" / "settings.json"
    settings = {**json.loads(file.read_text()), "security": {"auth": {"selectedType": "gemini-api-key"}}}
    file.write_text(json.dumps(settings))


def _opencode(home: Path, url: str) -> None:
    file = home / ".config" / "opencode" / "opencode.json"
    options = {"baseURL": f"{url}/v1", "apiKey": "none"}
    models: dict[str, dict[str, str]] = {"model": {}}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": models}
    file.write_text(
        json.dumps({**json.loads(file.read_text()), "provider": {"stand-in": provider}, "autoupdate": False})
    )


def _continue(home: Path, url: str) -> None:
    file = home / ".continue" / "config.yaml"
    model = (
        f"provider: openai\n    model: model\n    apiBase: {url}/v1\n    apiKey: none\n    capabilities: [tool_use]\n"
    )
    file.write_text(f"{file.read_text()}models:\n  - name: stand-in\n    {model}")


HOSTS: Final = {
    "claude-code": Driven(
        "claude",
        ["-p", PROMPT, "--allowedTools", f"mcp__{NAME}"],
        lambda url: {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    ),
    "codex": Driven(
        "codex",
        [
            *("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
            *("-c", "model_provider=stand-in", "-c", "model=model", PROMPT),
        ],
        lambda url: {"STAND_IN_KEY": "none"},
        _codex,
    ),
    "gemini": Driven(
        "gemini",
        ["-p", PROMPT, "--yolo", "--skip-trust", "--model", "gemini-2.5-flash"],
        lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "none"},
        _gemini,
    ),
    "opencode": Driven("opencode", ["run", "--auto", "--model", "stand-in/model", PROMPT], configure=_opencode),
    "qwen": Driven(
        "qwen",
        ["--yolo", PROMPT],
        lambda url: {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none", "OPENAI_MODEL": "model"},
    ),
    "continue": Driven("cn", ["-p", "--auto", PROMPT], configure=_continue),
}


@dataclass(frozen=True)
class Report:
    """What was seen of one host, as a row of the table, and what was wrong."""

    host: str
    version: str
    offered: str
    refused: str
    instructions: bool
    wrong: tuple[str, ...]

    def row(self) -> str:
        shown = "shown" if self.instructions else "not shown"
        told = "; ".join(self.wrong) or "yes"
        return f"| {self.host} | {self.version} | {self.offered} | {self.refused} | {shown} | {told} |"


class Home:
    """A home without anything in it, and the programs that the hosts are."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TERM", "PYTHONPATH")}
        self.environ = {
            **kept,
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, *command: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.work,
            env={**self.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )

    def ours(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "paperspace_storage_server", *arguments)


def drive(name: str, programs: Path) -> Report:
    """Run one host. What is wrong is in the report."""
    host = HOSTS[name]
    version, seen, wrong = "", Seen(), list[str]()
    for _ in range(_TRIES):
        with tempfile.TemporaryDirectory(prefix="host-", ignore_cleanup_errors=True) as folder:
            home = Home(Path(folder), programs)
            version = _version(home.run(host.program, "--version").stdout)
            seen, wrong = _conversation(home, name, host)
        if len(seen.results) == len(STEPS):
            break
    wrong += [] if len(seen.results) == len(STEPS) else [f"{len(seen.results)} of {len(STEPS)} calls"]
    results = [*seen.results, "", "", ""]
    drives = [_DRIVE in results[0], _DRIVE in results[2]]
    wrong += [] if all(drives) else ["the drive is not listed before and after"]
    refused = next((how for how, said in _REFUSALS.items() if said in results[1]), "")
    wrong += [] if refused and "Nothing was changed" in results[1] else ["the delete is not refused"]
    return Report(name, version, _offered(seen), refused, _BEGIN in seen.text, tuple(wrong))


def _conversation(home: Home, name: str, host: Driven) -> tuple[Seen, list[str]]:
    wrong: list[str] = []
    installed = home.ours("install", name, "--sandbox")
    wrong += [] if installed.returncode == 0 else [f"install: {installed.stderr.strip()}"]
    found = json.loads(home.ours("doctor", "--json").stdout)["hosts"]
    wrong += [] if [(one["host"], one["answers"]) for one in found] == [(name, True)] else [f"doctor: {found}"]
    with standing_in(STEPS, patience=3) as (url, model):
        host.configure(home.folder, url)
        try:
            done = home.run(host.program, *host.arguments, variables=host.model(url))
            wrong += [] if done.returncode == 0 else [f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"]
        except subprocess.TimeoutExpired:
            wrong.append(f"it did not end within {_PATIENCE} s")
    taken = home.ours("uninstall", name)
    wrong += [] if taken.returncode == 0 else [f"uninstall: {taken.stderr.strip()}"]
    return model.seen, wrong


def _version(said: str) -> str:
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else "?"


def _offered(seen: Seen) -> str:
    named = sorted(tool for tool in seen.tools if tool.endswith(("list_shared_drives", "delete_snapshot")))
    if "tool_call" in seen.tools:
        return "behind its search and `tool_call`"
    shown = next((tool for tool in named if tool.endswith("list_shared_drives")), "nothing")
    return f"`{shown}`" + (", behind its search" if len(named) == 1 else "")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(names: Sequence[str]) -> int:
    """Drive these hosts, or all, by the programs in the folder that `HOSTS_BIN` names, and print the table."""
    programs = Path(os.environ["HOSTS_BIN"]).absolute()
    reports = list[Report]()
    _say("| host | version | tools offered as | a delete without a confirmation | `instructions` | as expected |")
    _say("| --- | --- | --- | --- | --- | --- |")
    for name in names or HOSTS:
        reports.append(drive(name, programs))
        _say(reports[-1].row())
    return int(any(report.wrong for report in reports))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
