"""The command `uninstall`: a host's configuration without this server's entry."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from paperspace_storage_server.commands.install import add_target, refuse, show


def add(parser: ArgumentParser) -> None:
    add_target(parser)
    parser.epilog = "Settings stay in ~/.paperspace/mcp.toml. FILE.bak is a copy of the file before it was changed."


def run(options: Namespace) -> int:
    from paperspace_storage_server.commands.hosts.computer import this_computer
    from paperspace_storage_server.commands.hosts.not_done import NotDone
    from paperspace_storage_server.commands.hosts.plan import plan_removal, target_of
    from paperspace_storage_server.commands.hosts.table import HOSTS

    host = HOSTS[options.into]
    try:
        target = target_of(host, this_computer(), named=options.file, name=options.name)
        planned = plan_removal(target, None)
        if options.dry_run:
            show([planned])
        elif not planned.changes:
            print(f"{host.title}: there is no entry of this server in {planned.file}")
        else:
            backup = planned.write()
            print(f"{host.title}: {target.name} taken out of {planned.file}")
            print(f"The file before: {backup}")
    except NotDone as why:
        return refuse(why)
    return 0
