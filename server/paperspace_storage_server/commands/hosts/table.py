"""The hosts, each once: where its configuration stands, in which form, and what an entry looks like in it.

The paths are those of the hosts' own documentation, and for the six that npm has, of what they were seen to read
(`docs/clients.md`). Paths are pure: what is there is for the caller to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from paperspace_storage_server.commands.hosts.computer import Computer
from paperspace_storage_server.commands.hosts.form import Change, Form, Plain
from paperspace_storage_server.commands.hosts.jsonc import Jsonc
from paperspace_storage_server.commands.hosts.toml_text import Toml
from paperspace_storage_server.commands.hosts.yaml_text import Yaml


@dataclass(frozen=True, slots=True)
class Launch:
    """What a host starts, and what it sets in the environment for it."""

    command: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """How an entry is written: everywhere `command` with `args` and `env`, in opencode one list and `environment`."""

    table: str  # the name under which the entries stand
    fixed: tuple[tuple[str, str | bool], ...] = ()
    one_list: bool = False
    env: str = "env"

    def entry(self, launch: Launch) -> dict[str, Plain]:
        """A new entry."""
        written: dict[str, Plain] = {**dict(self.fixed), **self._command(launch)}
        return {**written, self.env: dict(launch.env)} if launch.env else written

    def launch(self, entry: Plain) -> Launch | None:
        """What an entry starts; None for one that starts nothing here, such as an address."""
        members = entry if isinstance(entry, dict) else {}
        command, env = members.get("command"), members.get(self.env)
        line = command if self.one_list else [command, *_listed(members.get("args"))]
        if not isinstance(line, list) or not line or not isinstance(line[0], str):
            return None
        words = tuple(str(word) for word in line)
        return Launch(words, {name: str(one) for name, one in env.items()} if isinstance(env, dict) else {})

    def changes(self, name: str, entry: Plain, command: tuple[str, ...], env: Mapping[str, str | None]) -> list[Change]:
        """What makes an entry start this command with these variables, None without one; all else in it stays."""
        path = (self.table, name)
        old = entry if isinstance(entry, dict) else {}
        before = old.get(self.env)
        variables = before if isinstance(before, dict) else {}
        wanted = {**old, **self._command(Launch(command, {}))}
        found = [Change((*path, key), value) for key, value in wanted.items() if old.get(key) != value]
        for variable, value in env.items():
            if variables.get(variable) != value:
                found.append(Change((*path, self.env, variable), value))
        left = {key: value for key, value in {**variables, **env}.items() if value is not None}
        if variables and not left:
            found = [change for change in found if change.path[2] != self.env]
            found.append(Change((*path, self.env), None))
        return found

    def _command(self, launch: Launch) -> dict[str, Plain]:
        if self.one_list:
            return {"command": list(launch.command)}
        return {"command": launch.command[0], "args": list(launch.command[1:])}


def _listed(plain: Plain) -> list[Plain]:
    return plain if isinstance(plain, list) else []


@dataclass(frozen=True, slots=True)
class Host:
    """One host. It reads all of its `files`; the first that is there is written to, else the first is made."""

    name: str
    title: str
    form: Form
    shape: Shape
    files: Callable[[Computer], tuple[PurePath, ...]]
    project: str  # the file of a project, from its folder; empty where there is none
    programs: tuple[str, ...]  # on the PATH where it is installed
    signs: Callable[[Computer], tuple[PurePath, ...]]  # there where it is installed or was used
    afterwards: str
    new: str = ""  # what a new file begins with
    instead: str = ""  # a file beside a new one that this would push aside


_RESTART: Final = "Restart {title}, then ask it for your shared drives."
_NEXT: Final = "The next session of {title} has it: ask it for your shared drives."
_SERVERS: Final = Shape("mcpServers")


def _applications(name: str) -> Callable[[Computer], tuple[PurePath, ...]]:
    def signs(computer: Computer) -> tuple[PurePath, ...]:
        if computer.system != "macos":
            return ()
        return (type(computer.home)("/Applications") / f"{name}.app", computer.home / "Applications" / f"{name}.app")

    return signs


def _claude_desktop(computer: Computer) -> tuple[PurePath, ...]:
    # An app from the Windows store reads its own folder instead of %APPDATA% (anthropics/claude-code#26073).
    stored = tuple(app / "LocalCache" / "Roaming" / "Claude" for app in computer.store_apps)
    folders = stored or (computer.application_data() / "Claude",)
    return tuple(folder / "claude_desktop_config.json" for folder in folders)


def _claude_code(computer: Computer) -> tuple[PurePath, ...]:
    return (computer.folder("CLAUDE_CONFIG_DIR") / ".claude.json",)


def _gemini_home(computer: Computer) -> PurePath:
    return computer.folder("GEMINI_CLI_HOME") / ".gemini"


def _qwen_home(computer: Computer) -> PurePath:
    return computer.folder("QWEN_HOME", ".qwen")


def _opencode_home(computer: Computer) -> PurePath:
    return computer.folder("XDG_CONFIG_HOME", ".config") / "opencode"


def _continue_home(computer: Computer) -> PurePath:
    return computer.folder("CONTINUE_GLOBAL_DIR", ".continue")


def _vscode_home(computer: Computer) -> PurePath:
    return computer.application_data() / "Code"


HOSTS: Final[dict[str, Host]] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            Jsonc(),
            _SERVERS,
            _claude_desktop,
            "",
            (),
            lambda computer: (*(file.parent for file in _claude_desktop(computer)), *_applications("Claude")(computer)),
            _RESTART,
        ),
        Host(
            "claude-code",
            "Claude Code",
            Jsonc(),
            Shape("mcpServers", (("type", "stdio"),)),
            _claude_code,
            ".mcp.json",
            ("claude",),
            lambda computer: (*_claude_code(computer), computer.folder("CLAUDE_CONFIG_DIR", ".claude")),
            _NEXT,
        ),
        Host(
            "cursor",
            "Cursor",
            Jsonc(comments=True),
            _SERVERS,
            lambda computer: (computer.home / ".cursor" / "mcp.json",),
            ".cursor/mcp.json",
            ("cursor", "cursor-agent"),
            lambda computer: (computer.home / ".cursor", *_applications("Cursor")(computer)),
            "Switch it on under Settings, MCP, then ask for your shared drives.",
        ),
        Host(
            "vscode",
            "VS Code",
            Jsonc(comments=True, trailing=True),
            Shape("servers", (("type", "stdio"),)),
            lambda computer: (_vscode_home(computer) / "User" / "mcp.json",),
            ".vscode/mcp.json",
            ("code",),
            lambda computer: (_vscode_home(computer), *_applications("Visual Studio Code")(computer)),
            "Start it with `MCP: List Servers`, then ask for your shared drives in agent mode.",
        ),
        Host(
            "codex",
            "Codex",
            Toml(),
            Shape("mcp_servers"),
            lambda computer: (computer.folder("CODEX_HOME", ".codex") / "config.toml",),
            ".codex/config.toml",
            ("codex",),
            lambda computer: (computer.folder("CODEX_HOME", ".codex"),),
            _NEXT,
        ),
        Host(
            "gemini",
            "Gemini CLI",
            Jsonc(comments=True),
            _SERVERS,
            lambda computer: (_gemini_home(computer) / "settings.json",),
            ".gemini/settings.json",
            ("gemini",),
            lambda computer: (_gemini_home(computer),),
            _NEXT + " It starts servers in folders only that it was told to trust.",
        ),
        Host(
            "opencode",
            "opencode",
            Jsonc(comments=True, trailing=True),
            Shape("mcp", (("type", "local"), ("enabled", True)), one_list=True, env="environment"),
            lambda computer: tuple(
                _opencode_home(computer) / name for name in ("opencode.json", "opencode.jsonc", "config.json")
            ),
            "opencode.json",
            ("opencode",),
            lambda computer: (_opencode_home(computer), computer.home / ".opencode"),
            _NEXT,
            new='{\n  "$schema": "https://opencode.ai/config.json"\n}\n',
        ),
        Host(
            "qwen",
            "Qwen Code",
            Jsonc(comments=True),
            _SERVERS,
            lambda computer: (_qwen_home(computer) / "settings.json",),
            ".qwen/settings.json",
            ("qwen",),
            lambda computer: (_qwen_home(computer),),
            _NEXT,
        ),
        Host(
            "continue",
            "Continue",
            Yaml("mcpServers"),
            _SERVERS,
            lambda computer: (_continue_home(computer) / "config.yaml",),
            ".continue/mcpServers/paperspace-storage.yaml",
            ("cn",),
            lambda computer: (_continue_home(computer),),
            _NEXT,
            new="name: Local Config\nversion: 1.0.0\nschema: v1\n",
            instead="config.json",
        ),
    )
}
"""By name, in the order in which they are listed."""
