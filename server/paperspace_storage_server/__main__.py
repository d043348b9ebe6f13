"""The command line, nothing else: which command, its options, its exit code."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import NoReturn

from paperspace_storage_server import __version__
from paperspace_storage_server.commands import COMMANDS, command_of


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage: one line, exit 2."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; the exit code is 0 for done, 2 for wrong usage or settings, 1 for anything else."""
    # Importing makes hundreds of thousands of objects that all stay: the collector finds nothing in them, and takes a
    # tenth of the start for it. It is back on, without them, before anything is served (`run_on_loop`).
    gc.disable()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "serve")
    options = _parser(given[0]).parse_args(given)
    command = command_of(options.command)
    try:
        code = command.run(options)
    except KeyboardInterrupt:
        code = 1
    except Exception as error:
        from paperspace_storage_server.settings import SettingsError

        if not isinstance(error, SettingsError):
            raise
        print(f"paperspace-storage-mcp: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _parser(name: str) -> argparse.ArgumentParser:
    """The parser, with the options of the command of this name only: those of the others need not be imported."""
    parser = _Parser(
        prog="paperspace-storage-mcp",
        description="MCP server for the Paperspace Storage API. Without a command it serves over stdio.",
        epilog="Try it without a key: paperspace-storage-mcp demo",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command, (_, does) in COMMANDS.items():
        one = commands.add_parser(command, help=does, description=does, formatter_class=_Help, allow_abbrev=False)
        if command == name:
            command_of(command).add(one)
    return parser


if __name__ == "__main__":
    main()
