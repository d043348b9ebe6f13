"""The command `install`: this server as an entry of a host's configuration, its policy in the settings file."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings, SettingsError, described

if TYPE_CHECKING:
    from paperspace_storage_server.commands.hosts.plan import Planned, Target

_KEY = "PAPERSPACE_API_KEY"
_SANDBOX = "PAPERSPACE_MCP_SANDBOX"


def add(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--with-key", action="store_true", help="write the API key into the entry (no variable)")
    add_settings(parser, "api", "selection", "guard")
    parser.epilog = (
        "--sandbox goes into the entry. Every other setting given here goes into ~/.paperspace/mcp.toml, where all "
        "hosts and `call` obey it; what --protect and --exclude-tools name is added to what stands there. FILE.bak is "
        "a copy of the file before it was changed."
    )


def add_target(parser: ArgumentParser) -> None:
    """Which entry, for `install` and `uninstall`."""
    from paperspace_storage_server.commands.hosts.table import HOSTS

    parser.add_argument("into", metavar="HOST", choices=tuple(HOSTS), help=f"one of {', '.join(HOSTS)}")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="a project's file of that host instead of the user's (no variable)"
    )
    parser.add_argument("--name", help="the entry's name, paperspace-storage unless there is one (no variable)")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing (no variable)")


def run(options: Namespace) -> int:
    from paperspace_storage_server.commands.hosts.not_done import NotDone

    settings = settings_of(options)
    if options.with_key and options.sandbox:
        raise SettingsError("--with-key: the sandbox takes no key; leave out one of both")
    if options.with_key and settings.origin("team"):
        raise SettingsError(
            f"--with-key: {settings.origin('team')} says which team's key counts; leave out one of both"
        )
    try:
        return _install(options, settings)
    except NotDone as why:
        return refuse(why)


def _install(options: Namespace, settings: Settings) -> int:
    from paperspace_storage_server.commands.hosts.computer import this_computer
    from paperspace_storage_server.commands.hosts.launch import shown, this_installation
    from paperspace_storage_server.commands.hosts.plan import plan_entry, refuse_to_show_a_key, target_of
    from paperspace_storage_server.commands.hosts.settings_file import plan_settings
    from paperspace_storage_server.commands.hosts.table import HOSTS

    host = HOSTS[options.into]
    installation = this_installation(os.environ)
    command = installation.command()
    target = target_of(host, this_computer(), named=options.file, name=options.name)
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    env: dict[str, str | None] = {_SANDBOX: "true" if options.sandbox else None}
    if options.with_key:
        env[_KEY] = _key_for(target, key)
        refuse_to_show_a_key(target)
    entry = plan_entry(target, command, env, key)
    fields = [name for name, value in vars(options).items() if name in described() and value is not None]
    fields = [name for name in fields if name != "sandbox"]
    rules = plan_settings(settings, fields) if fields else None
    if options.dry_run:
        show([*([rules.planned] if rules else []), entry])
        return 0
    if rules is not None:  # first: no entry may ever start without it
        if rules.planned.changes:
            rules.planned.write()
        print(f"{rules.planned.file} says {rules.said}")
    if not entry.changes:
        print(f"{host.title}: {target.name} in {entry.file} is as it should be")
        return 0
    backup = entry.write()
    print(f"{host.title}: {target.name} {'changed in' if target.entry else 'added to'} {entry.file}")
    print(f"It starts: {shown(command)}")
    if backup is not None:
        print(f"The file before: {backup}")
    print(host.afterwards.format(title=host.title))
    if installation.temporary is not None:
        print(
            f"This installation stands in a folder for temporary files ({installation.temporary}): the entry lasts as "
            "long as that.",
            file=sys.stderr,
        )
    launch = target.entry.launch if target.entry is not None else None
    held = options.with_key or (launch is not None and _KEY in launch.env)
    if not settings.sandbox and not held:
        _warn(settings.origin("api_key"))
    return 0


def _key_for(target: Target, key: str | None) -> str:
    from paperspace_storage_server.commands.hosts.not_done import NotDone

    if target.scope == "project":
        raise SettingsError(
            "--with-key: no key is written into a project's file, which others get to see; leave it out"
        )
    if key is None:
        raise NotDone(f"--with-key: there is no key to write; set {_KEY} for this command, or run `pspace login`")
    return key


def _warn(origin: str | None) -> None:
    """Where the host will find no key, though this terminal may have one."""
    if origin is None:
        print("There is no API key yet: run `pspace login`, then restart the host.", file=sys.stderr)
    elif origin.startswith("PAPERSPACE_"):
        print(
            f"The key comes from {origin}, which the host may not hand on: run `pspace login`, or this again with "
            "--with-key.",
            file=sys.stderr,
        )


def show(planned: list[Planned]) -> None:
    """What would become of each file."""
    for one in planned:
        if one.changes:
            print(one.difference())
    if not any(one.changes for one in planned):
        print("Nothing would change.")


def refuse(refused: Exception) -> int:
    """One line; the exit code of what could not be done."""
    print(f"paperspace-storage-mcp: {refused}", file=sys.stderr)
    return 1
