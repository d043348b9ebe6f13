"""The flags that are settings, for every command that takes some of them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from paperspace_storage_server.settings import Settings, load_settings


def settings_of(options: Namespace) -> Settings:
    """The settings, with those of a command's options that are settings. Raises `SettingsError`."""
    return load_settings({name: value for name, value in vars(options).items() if name in Settings.model_fields})


def add_switch(parser: ArgumentParser, flag: str, help: str) -> None:
    """On, or not said: there is no flag that lifts a read-only which the environment asks for."""
    parser.add_argument(flag, action="store_true", default=None, help=help)


def add_selection(parser: ArgumentParser) -> None:
    """What decides which tools exist, and with which arguments."""
    add = parser.add_argument
    add_switch(parser, "--read-only", "only the reading tools exist [PAPERSPACE_MCP_READ_ONLY]")
    add("--toolsets", metavar="NAMES", help="shared-drives,snapshots,... default all [PAPERSPACE_MCP_TOOLSETS]")
    add("--tools", metavar="NAMES", help="tools to keep [PAPERSPACE_MCP_TOOLS]")
    add("--exclude-tools", metavar="NAMES", help="tools to drop [PAPERSPACE_MCP_EXCLUDE_TOOLS]")
    add("--secret-arguments", metavar="HOW", help="allow (default) or deny [PAPERSPACE_MCP_SECRET_ARGUMENTS]")
