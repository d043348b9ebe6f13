"""The keys that the `pspace` CLI saved: another program's files, whose mistakes are not ours to stop for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from paperspace_storage_server.settings.sources import Unreadable, home, read_toml


@dataclass(frozen=True, slots=True)
class Saved:
    """`team` is the current one; `trouble` says why nothing could be read."""

    team: str | None
    keys: dict[str, SecretStr]
    trouble: str | None = None

    def key(self, team: str | None) -> SecretStr | None:
        return self.keys.get(team) if team is not None else None


def saved_by_pspace() -> Saved:
    """What `pspace login` left behind, if anything. Raises `SettingsError` without a home directory."""
    folder = home()
    try:
        team = read_toml(folder / "config.toml").get("team")
        keys = read_toml(folder / "credentials.toml").get("keys")
    except Unreadable as error:
        return Saved(None, {}, str(error))
    named = cast("dict[str, object]", keys) if isinstance(keys, dict) else {}
    usable = {name: SecretStr(key) for name, key in named.items() if isinstance(key, str) and is_key(key)}
    return Saved(team if isinstance(team, str) else None, usable)


def is_key(key: str) -> bool:
    """Whether it can be sent in a header as it is."""
    return key.isascii() and key.isprintable() and key != "" and " " not in key
