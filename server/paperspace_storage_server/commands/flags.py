"""The flags that are settings, for every command that takes some of them: made from the settings, repeating nothing."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from paperspace_storage_server.settings import Described, Group, Settings, described, load_settings

_TITLES: Final[dict[Group, str]] = {
    "api": "the API",
    "selection": "which tools exist",
    "guard": "what they may do",
    "serving": "how they are served",
    "hosting": "serving several people",
    "logs": "what is logged",
}
_FILE: Final = "Every setting can stand in ~/.paperspace/mcp.toml too, under its flag's name."
_SECRETS: Final = (
    "{} Secrets have no flag, which would show in `ps`: {}; each has a twin in ..._FILE that names a file which holds "
    "it. Credential profiles: PAPERSPACE_MCP_CREDENTIAL_<PROFILE>_ACCESS_KEY and ..._SECRET_KEY (or ..._FILE), and "
    "..._ENDPOINT, ..._BUCKET."
)


def add_settings(parser: ArgumentParser, *groups: Group) -> None:
    """A flag for each setting of these groups, and where their secrets come from."""
    settings = sorted(
        (one for one in described().values() if one.group in groups), key=lambda one: groups.index(one.group)
    )
    for group in groups:
        titled = parser.add_argument_group(_TITLES[group])
        for one in settings:
            help = _help(one).replace("%", "%%")
            if one.group != group or one.flag is None:
                continue
            if one.switch:
                # On, or not said: there is no flag that lifts a read-only which the environment asks for.
                titled.add_argument(one.flag, action="store_true", default=None, help=help)
            else:
                titled.add_argument(one.flag, metavar=one.value, help=help)
    secrets = [f"{' or '.join(one.variables)} (default {one.default})" for one in settings if one.secret]
    parser.epilog = _SECRETS.format(_FILE, ", ".join(secrets)) if secrets else _FILE


def settings_of(options: Namespace) -> Settings:
    """The settings, with those of a command's options that are settings. Raises `SettingsError`."""
    return load_settings({name: value for name, value in vars(options).items() if name in described()})


def _help(one: Described) -> str:
    choices = f" ({', '.join(one.choices)})" if one.choices and one.listed else ""
    return f"{one.meaning}{choices}; default {one.default.replace('`', '')} [{one.variables[0]}]"
