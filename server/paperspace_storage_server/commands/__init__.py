"""The commands, each with its module. This table is all that the command line knows of them: a new command is one line
here and a module with `add(parser)` and `run(options)`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Final, Protocol, cast


class Command(Protocol):
    """What a module of this package offers. It imports what it needs where it runs: `serve` must start fast."""

    def add(self, parser: ArgumentParser) -> None:
        """Add the command's options; each help text names its environment variable, or says that it has none."""
        ...

    def run(self, options: Namespace) -> int:
        """Do it; the exit code is 0 for done, 1 for anything that failed.

        Raises:
            SettingsError: wrong usage or settings; it is printed as one line, and the exit code is 2.
        """
        ...


COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("serve", "serve MCP (the default)"),
    "demo": ("demo", "the main job on the sandbox, through a real MCP client"),
    "sandbox": ("sandbox", "the emulated API alone, over HTTP"),
    "call": ("call", "call one tool, without a host: the same settings, the same guard"),
    "doctor": ("doctor", "what stands between this machine and a working server, and how to mend it"),
    "tools": ("tools", "the catalogue and what it costs"),
    "install": ("install", "this server as an entry of a host's configuration"),
    "uninstall": ("uninstall", "the host's configuration without that entry"),
    "skill": ("skill", "the Agent Skills: listed, or written as folders"),
    "report": ("report", "what the team stores, as one page or as text"),
    "token": ("token", "static tokens for a hosted server"),
}
"""Name -> its module in this package, and what it does in a line. Several names may share a module."""


def command_of(name: str) -> Command:
    return cast("Command", import_module(f"{__name__}.{COMMANDS[name][0]}"))
