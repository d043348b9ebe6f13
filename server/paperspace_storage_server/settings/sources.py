"""Where settings stand: flags, variables, the settings file, files that hold secrets. They are read here and not
understood; nothing here repeats a value."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from paperspace_storage_server.settings.describe import PREFIX, TWIN, Described
from paperspace_storage_server.settings.errors import SettingsError

CREDENTIAL = PREFIX + "CREDENTIAL_"
_LARGEST = 64 * 1024  # bytes of any file that is read here
_DEEP = re.compile(rb"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){40}""")
"""A key of forty parts: what tomllib takes for one grows with the square of its length."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value, not yet checked, and where it stands: a flag, a variable, a file."""

    value: object = field(repr=False)  # it may be a secret
    origin: str


class Unreadable(Exception):
    """Why a file cannot be read, without what is in it."""


def home() -> Path:
    """Where the `pspace` CLI and this server keep their files.

    Raises:
        SettingsError: this user has no home directory, so nobody can say whether there is a settings file.
    """
    try:
        return Path.home() / ".paperspace"
    except RuntimeError:
        raise SettingsError("HOME: not set, and this user has no home directory; set it") from None


def read_plain(file: Path) -> bytes:
    """The content of a plain file, links followed; a pipe would block the start for as long as nobody writes.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: it is no plain file, too large, or not this user's to read.
    """
    try:
        opened = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise Unreadable("it is no plain file")
            content = bytearray()
            while len(content) <= _LARGEST and (part := os.read(opened, _LARGEST)):
                content += part
        finally:
            os.close(opened)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise Unreadable(type(error).__name__) from None
    if len(content) > _LARGEST:
        raise Unreadable("it is larger than 64 KiB")
    return bytes(content)


def read_toml(file: Path) -> dict[str, object]:
    """Its tables; none where there is no such file. Raises `Unreadable`."""
    try:
        content = read_plain(file)
    except FileNotFoundError:
        return {}
    if _DEEP.search(content):
        raise Unreadable("it is nested too deeply")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Unreadable(type(error).__name__) from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def from_flags(flags: Mapping[str, object], settings: Mapping[str, Described]) -> dict[str, Given]:
    """Those that were given. Raises `SettingsError`, for one that does not exist."""
    given = {name: value for name, value in flags.items() if value is not None}
    for name in given:
        if name not in settings:
            raise SettingsError(_no_such(name, settings))
    return {name: Given(value, settings[name].flag or name) for name, value in given.items()}


def from_file(file: Path, settings: Mapping[str, Described]) -> dict[str, Given]:
    """Those of the settings file, under the flags' names, with dashes or underscores.

    Raises:
        SettingsError: the file cannot be read, names no setting, or says one twice.
    """
    try:
        written = read_toml(file)
    except Unreadable as error:
        raise SettingsError(f"{file}: cannot be read as TOML ({error}); mend or remove it") from None
    names = {name: (name, False) for name in settings}
    names |= {name + TWIN.lower(): (name, True) for name, one in settings.items() if one.secret}
    given: dict[str, tuple[str, Given]] = {}
    for spelled, value in written.items():
        if spelled.replace("-", "_") not in names:
            raise SettingsError(f"{_no_such(spelled, names)}; it stands in {file}")
        name, is_file = names[spelled.replace("-", "_")]
        if name in given:
            raise SettingsError(f"{file}: says {given[name][0]} and {spelled}, which are one setting; keep one")
        given[name] = (spelled, Given(_secret_in(value, spelled) if is_file else value, str(file)))
    return {name: one for name, (_, one) in given.items()}


def from_environment(environment: Mapping[str, str], settings: Mapping[str, Described]) -> dict[str, Given]:
    """Those of the environment; an empty variable is unset. Where a setting has several names, the first counts.

    Raises:
        SettingsError: a variable that is no setting, or a setting under two spellings.
    """
    read = variables(environment)
    given: dict[str, Given] = {}
    for name, one in settings.items():
        for variable in one.variables:
            value = _one_of(read, variable, variable + TWIN if one.secret else None)
            if value is not None and name not in given:
                given[name] = value
    known = {variable for one in settings.values() for variable in one.variables}
    known |= {variable + TWIN for one in settings.values() if one.secret for variable in one.variables}
    for variable, spelled in _spellings(environment).items():
        # A mistyped PAPERSPACE_MCP_READONLY must not leave the writing tools on in silence.
        if variable.startswith(PREFIX) and not variable.startswith(CREDENTIAL) and variable not in known:
            raise SettingsError(_no_such(spelled, known))
    return given


def credentials_from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the credential profiles, with the content of each `..._FILE` in the place of its path.

    Raises:
        SettingsError: one under two spellings, or a file that cannot be read.
    """
    read = {variable: one for variable, one in variables(environment).items() if variable.startswith(CREDENTIAL)}
    plain = dict.fromkeys(name.removesuffix(TWIN) if _is_key_file(name) else name for name in read)
    found = {variable: _one_of(read, variable, variable + TWIN) for variable in plain}
    return {variable: str(one.value) for variable, one in found.items() if one is not None}


def variables(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Ours that are not empty, in capitals: as they are spelled, and their values.

    Raises:
        SettingsError: one under two spellings.
    """
    return {name: (spelled, environment[spelled]) for name, spelled in _spellings(environment, empty=False).items()}


def _spellings(environment: Mapping[str, str], *, empty: bool = True) -> dict[str, str]:
    found: dict[str, str] = {}
    for spelled, value in environment.items():
        name = spelled.upper()
        if not name.startswith("PAPERSPACE_") or not (value or empty):
            continue
        if name in found and not empty:
            raise SettingsError(f"{found[name]} and {spelled}: one setting under two spellings; unset one")
        found[name] = spelled
    return found


def _one_of(read: Mapping[str, tuple[str, str]], variable: str, twin: str | None) -> Given | None:
    plain, file = read.get(variable), read.get(twin) if twin else None
    if plain and file:
        raise SettingsError(f"{plain[0]} and {file[0]}: one setting twice; unset one")
    if file:
        return Given(_secret_in(file[1], file[0]), file[0])
    return Given(plain[1], plain[0]) if plain else None


def _secret_in(path: object, name: str) -> str:
    """The secret in a file. Its path is not repeated: whoever confuses the two writes the secret there."""
    try:
        return read_plain(Path(cast("str", path))).decode("utf-8").strip()
    except (FileNotFoundError, Unreadable, UnicodeDecodeError, TypeError) as error:
        why = str(error) if isinstance(error, Unreadable) else type(error).__name__
        raise SettingsError(f"{name}: expected the path of a file that holds the secret ({why})") from None


def _is_key_file(variable: str) -> bool:
    return variable.endswith(("_ACCESS_KEY" + TWIN, "_SECRET_KEY" + TWIN))


def _no_such(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.upper() if name.upper() == name else name, list(known), 1, cutoff=0.4)
    return f"{name}: no such setting{f'; did you mean {near[0]}?' if near else ''}"
