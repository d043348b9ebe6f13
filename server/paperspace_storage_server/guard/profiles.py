"""Credential profiles: keys that the model names and never sees. From the environment, and where the operator
allows it from the named profiles of `~/.aws/credentials`.

The operator can tie a profile to one endpoint and one bucket: else a model that was talked into it could have
Paperspace use the operator's keys at an endpoint of the attacker's choice.
"""

from __future__ import annotations

import configparser
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from pydantic import SecretStr

from paperspace_storage_tools.errors import ProfilePinned, UnknownProfile
from paperspace_storage_tools.ports import Credentials

_PREFIX = "PAPERSPACE_MCP_CREDENTIAL_"
_PARTS = ("ACCESS_KEY", "SECRET_KEY", "ENDPOINT", "BUCKET")
_VARIABLE = re.compile(rf"{_PREFIX}(?P<profile>\w+?)_(?P<part>{'|'.join(_PARTS)})")


class ProfileError(ValueError):
    """A profile that is not whole, or that another could be taken for; the text names the setting to mend."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A key pair, and where alone it may be used; None is anywhere."""

    credentials: Credentials
    endpoint: str | None = None
    bucket: str | None = None


class Profiles:
    """Named credentials. A name matches whatever its case and width, with `-` and `_` alike.

    Raises:
        ProfileError: two of the names, of one source or of several, mean the same.
    """

    def __init__(self, *sources: Mapping[str, Profile]) -> None:
        _refuse_twins(name for source in sources for name in source)
        self._profiles = {_key(name): (name, profile) for source in sources for name, profile in source.items()}

    @property
    def names(self) -> list[str]:
        return sorted(name for name, _ in self._profiles.values())

    @property
    def secrets(self) -> list[SecretStr]:
        return [
            secret
            for _, profile in self._profiles.values()
            for secret in (profile.credentials.access_key, profile.credentials.secret_key)
        ]

    def get(self, name: str, *, endpoint: str | None, bucket: str | None) -> Credentials:
        """The profile's keys, for use there.

        Raises:
            UnknownProfile: it names those that exist.
            ProfilePinned: the operator has tied the profile to another endpoint or bucket.
        """
        found = self._profiles.get(_key(name))
        if found is None:
            raise UnknownProfile(self.names)
        profile = found[1]
        for argument, pinned, given in (("endpoint", profile.endpoint, endpoint), ("bucket", profile.bucket, bucket)):
            if pinned is not None and given != pinned:
                raise ProfilePinned(argument, pinned)
        return profile.credentials


def profiles_from_environment(environment: Mapping[str, str]) -> dict[str, Profile]:
    """`PAPERSPACE_MCP_CREDENTIAL_<PROFILE>_ACCESS_KEY` with `..._SECRET_KEY`, and `..._ENDPOINT`, `..._BUCKET`.

    Raises:
        ProfileError: one half without the other, or a variable that is none of these: a mistyped limit limits nothing.
    """
    given: dict[str, dict[str, str]] = {}
    for variable, value in environment.items():
        if match := _VARIABLE.fullmatch(variable.upper()):
            if value:
                given.setdefault(match["profile"].lower(), {})[match["part"]] = value
        elif variable.upper().startswith(_PREFIX):
            near = difflib.get_close_matches(variable.upper().rpartition("_")[2], ("ENDPOINT", "BUCKET"))
            raise ProfileError(f"{variable}: must end in _{', _'.join(near or _PARTS)}; correct it")
    profiles: dict[str, Profile] = {}
    for name, parts in given.items():
        for wanted in ("ACCESS_KEY", "SECRET_KEY"):
            if wanted not in parts:
                raise ProfileError(f"{_PREFIX}{name.upper()}_{wanted}: not set; set it too")
        keys = Credentials(SecretStr(parts["ACCESS_KEY"]), SecretStr(parts["SECRET_KEY"]))
        profiles[name] = Profile(keys, parts.get("ENDPOINT"), parts.get("BUCKET"))
    return profiles


def profiles_from_aws(file: Path, allowed: Sequence[str]) -> dict[str, Profile]:
    """The allowed named profiles of an AWS credentials file; `*` allows all.

    Raises:
        ProfileError: the file cannot be read, an allowed profile is not in it or has no key pair, or another profile
            of the file means the same: a tool that names that one would get this one's keys.
    """
    # No section lends its keys to the others: AWS knows no such thing, and a profile would have another's keys.
    parser = configparser.RawConfigParser(default_section="")
    try:
        with file.open(encoding="utf-8") as lines:
            parser.read_file(lines)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        # The parser's own text quotes the line it stumbled over, which may be a key.
        raise ProfileError(
            f"PAPERSPACE_MCP_AWS_PROFILES: {file} cannot be read ({type(error).__name__}); mend it or unset this"
        ) from None
    chosen = list(dict.fromkeys(parser.sections() if "*" in allowed else allowed))
    meant = {_key(name) for name in chosen}
    _refuse_twins((*(name for name in parser.sections() if _key(name) in meant and name not in chosen), *chosen))
    profiles: dict[str, Profile] = {}
    for name in chosen:
        section = dict(parser[name]) if parser.has_section(name) else {}
        access, secret = section.get("aws_access_key_id"), section.get("aws_secret_access_key")
        if access and secret:
            profiles[name] = Profile(
                Credentials(SecretStr(access), SecretStr(secret)), endpoint=section.get("endpoint_url")
            )
        elif "*" not in allowed:
            raise ProfileError(f"PAPERSPACE_MCP_AWS_PROFILES: {file} has no key pair in profile {name!r}; correct it")
    return profiles


def _refuse_twins(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        meant = _key(name)
        if meant in seen:
            raise ProfileError(
                f"credential profiles {seen[meant]!r} and {name!r}: mean the same (case, width, - and _ do not count), "
                "so the one's keys could be sent in the place of the other's; rename one of them"
            )
        seen[meant] = name


def _key(name: str) -> str:
    """What a name means: an environment variable is all capitals and has no dashes."""
    return normalize("NFKC", normalize("NFKC", name).casefold()).strip().replace("-", "_")
