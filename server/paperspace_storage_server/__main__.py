"""The command line, nothing else: which command, its options, its exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from paperspace_storage_server import __version__
from paperspace_storage_server.commands import COMMANDS, Command, command_of
from paperspace_storage_server.guard.stream import unwaiting
from paperspace_storage_server.process.console import show_anything

PROGRAM = "paperspace-storage-mcp"


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
    sys.stderr = unwaiting(sys.stderr)
    show_anything(sys.stdout)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "serve")
    name = given[0]
    if name not in COMMANDS:
        _overview().parse_args(given)  # help, the version, or a wrong command: it does not come back
    command = command_of(name)
    options = _parse(command, name, given[1:])
    try:
        code = command.run(options)
    except KeyboardInterrupt:
        code = 1
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # settings' errors alone, whose room is imported only where there was an error
        from paperspace_storage_server.settings import SettingsError

        if not isinstance(error, SettingsError):
            raise
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _overview() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="MCP server for the Paperspace Storage API. Without a command it serves over stdio.",
        epilog="Try it without a key: paperspace-storage-mcp demo",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, does) in COMMANDS.items():
        commands.add_parser(name, help=does)
    return parser


def _parse(command: Command, name: str, given: list[str]) -> argparse.Namespace:
    """The command's own options; those of the others are not even imported."""
    parser = _Parser(prog=f"{PROGRAM} {name}", description=COMMANDS[name][1], formatter_class=_Help, allow_abbrev=False)
    parser.set_defaults(command=name)
    command.add(parser)
    try:
        options, unknown = parser.parse_known_intermixed_args(given)
    except TypeError:  # said of a command that has commands of its own
        options, unknown = parser.parse_known_args(given)
    if unknown:
        # What follows a flag may be a secret: whoever tries `--api-key` must not find the key in a log.
        flags = [one.partition("=")[0] for one in unknown if one.startswith("-")]
        parser.error(f"no such option: {', '.join(flags)}" if flags else "too many arguments")
    return options


if __name__ == "__main__":
    main()
