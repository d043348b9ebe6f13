"""Settings given to `install`, put into the settings file: every host and `call` obey that one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paperspace_storage_server.commands.hosts.files import check_backup, read
from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain, edit
from paperspace_storage_server.commands.hosts.not_done import NotDone
from paperspace_storage_server.commands.hosts.plan import Planned, strings
from paperspace_storage_server.commands.hosts.toml_text import Toml
from paperspace_storage_server.settings import Settings, home

_ADDED_TO: Final = ("protect", "exclude_tools")
"""What one host's `install` protects stays protected when another host is installed."""


@dataclass(frozen=True, slots=True)
class PlannedSettings:
    """The settings file before and after, and what it then says of the settings that were given."""

    planned: Planned
    said: str


def plan_settings(settings: Settings, fields: Iterable[str]) -> PlannedSettings:
    """The settings file with these settings.

    Raises:
        NotDone: the file cannot be read, or cannot be changed without changing more.
    """
    file, form = home() / "mcp.toml", Toml()
    before = read(file)
    try:
        there = form.read(before.text or "")
    except Damaged as damaged:
        raise NotDone(f"{file}: damaged ({damaged}); left as it is. Mend it, then run this again") from None
    table = there if isinstance(there, dict) else {}
    spelled = {name.replace("-", "_"): name for name in table}
    said: dict[str, Plain] = {}
    changes: list[Change] = []
    for field in fields:
        name = spelled.get(field, field.replace("_", "-"))
        value = _plain(getattr(settings, field))
        if field in _ADDED_TO and isinstance(value, list):
            standing = _words(table.get(name))
            value = [*standing, *(word for word in value if word not in standing)]
        said[name] = value
        if table.get(name) != value:
            changes.append(Change((name,), value))
    shown = frozenset(string for value in said.values() for string in strings(value))
    if not changes:
        return PlannedSettings(Planned(before, before.text or "", form, shown), _said(said))
    check_backup(file)
    try:
        after = edit(form, before.text or "", changes)
    except Damaged as damaged:
        raise NotDone(f"{file}: {damaged}; left as it is") from None
    return PlannedSettings(Planned(before, after, form, shown), _said(said))


def _said(said: Mapping[str, Plain]) -> str:
    return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in said.items())


def _plain(value: object) -> Plain:
    """As TOML has it. A path is made absolute: a host starts servers in folders of its own."""
    if value is None:
        return "unlimited"
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, list):
        return [str(word) for word in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # a setting's list is of words
    return value if isinstance(value, bool | int | float) else str(value)


def _words(plain: Plain) -> list[Plain]:
    if isinstance(plain, str):
        return [word.strip() for word in plain.split(",") if word.strip()]
    return plain if isinstance(plain, list) else []
