"""Credential profiles: keys that the model names and never sees. From the environment, and where the operator
allows it from the named profiles of `~/.aws/credentials`."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from paperspace_storage_tools.errors import UnknownProfile
from paperspace_storage_tools.ports import Credentials

_VARIABLE = re.compile(r"PAPERSPACE_MCP_CREDENTIAL_(?P<profile>\w+?)_(?P<half>ACCESS_KEY|SECRET_KEY)")


class ProfileError(ValueError):
    """A profile that is not whole; the text names the variable that is missing."""


class Profiles:
    """Named credentials. A name matches whatever its case, with `-` and `_` alike."""

    def __init__(self, profiles: Mapping[str, Credentials]) -> None:
        self._profiles = {_key(name): (name, credentials) for name, credentials in profiles.items()}

    @property
    def names(self) -> list[str]:
        return sorted(name for name, _ in self._profiles.values())

    @property
    def secrets(self) -> list[SecretStr]:
        return [
            secret
            for _, credentials in self._profiles.values()
            for secret in (credentials.access_key, credentials.secret_key)
        ]

    def get(self, name: str) -> Credentials:
        """The profile's keys. Raises `UnknownProfile`, which names those that exist."""
        found = self._profiles.get(_key(name))
        if found is None:
            raise UnknownProfile(self.names)
        return found[1]


def profiles_from_environment(environment: Mapping[str, str]) -> dict[str, Credentials]:
    """`PAPERSPACE_MCP_CREDENTIAL_<PROFILE>_ACCESS_KEY` with `..._SECRET_KEY`.

    Raises:
        ProfileError: one half without the other.
    """
    halves: dict[str, dict[str, SecretStr]] = {}
    for variable, value in environment.items():
        if value and (match := _VARIABLE.fullmatch(variable.upper())):
            halves.setdefault(match["profile"].lower(), {})[match["half"]] = SecretStr(value)
    profiles: dict[str, Credentials] = {}
    for name, half in halves.items():
        for wanted in ("ACCESS_KEY", "SECRET_KEY"):
            if wanted not in half:
                raise ProfileError(f"PAPERSPACE_MCP_CREDENTIAL_{name.upper()}_{wanted}: not set; set it too")
        profiles[name] = Credentials(half["ACCESS_KEY"], half["SECRET_KEY"])
    return profiles


def profiles_from_aws(file: Path, allowed: Sequence[str]) -> dict[str, Credentials]:
    """The allowed named profiles of an AWS credentials file; `*` allows all.

    Raises:
        ProfileError: the file cannot be read, or an allowed profile is not in it or has no key pair.
    """
    parser = configparser.RawConfigParser()
    try:
        with file.open(encoding="utf-8") as lines:
            parser.read_file(lines)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        # The parser's own text quotes the line it stumbled over, which may be a key.
        raise ProfileError(
            f"PAPERSPACE_MCP_AWS_PROFILES: {file} cannot be read ({type(error).__name__}); mend it or unset this"
        ) from None
    profiles: dict[str, Credentials] = {}
    for name in parser.sections() if "*" in allowed else allowed:
        section = dict(parser[name]) if parser.has_section(name) else {}
        access, secret = section.get("aws_access_key_id"), section.get("aws_secret_access_key")
        if access and secret:
            profiles[name] = Credentials(SecretStr(access), SecretStr(secret))
        elif "*" not in allowed:
            raise ProfileError(f"PAPERSPACE_MCP_AWS_PROFILES: {file} has no key pair in profile {name!r}; correct it")
    return profiles


def _key(name: str) -> str:
    return name.casefold().replace("-", "_")
