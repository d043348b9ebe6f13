"""What every form of configuration file can do: be read as plain values, and be changed in one place. It knows no
host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"


class Damaged(Exception):
    """Why a text is not what it should be, and where, without what stands in it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value put at a path of names; None takes away what stands there."""

    path: tuple[str, ...]
    value: Plain


class Form(Protocol):
    """A form of text. Neither method guesses: what is not understood whole is `Damaged`."""

    def read(self, text: str) -> Plain:
        """Its values. Raises `Damaged`."""
        ...

    def change(self, text: str, changes: Sequence[Change]) -> str:
        """The text with these changes and nothing else. Raises `Damaged`."""
        ...

    def hide(self, text: str, shown: frozenset[str], key: str | None) -> str:
        """The text as it may be shown: strings but names and those in `shown`, and comments, are hidden, the key is
        named as such. Lines stay lines where the text is not hidden."""
        ...


def changed(plain: Plain, changes: Sequence[Change]) -> Plain:
    """What the values must be after these changes: what a changed text is compared with."""
    for change in changes:
        plain = _changed(plain, change.path, change.value)
    return plain


def _changed(plain: Plain, path: tuple[str, ...], value: Plain) -> Plain:
    if not path:
        return value
    members = dict(plain) if isinstance(plain, dict) else {}
    name, rest = path[0], path[1:]
    if rest and (value is not None or name in members):
        members[name] = _changed(members.get(name), rest, value)
    elif value is not None:
        members[name] = value
    else:
        members.pop(name, None)
    return members


def edit(form: Form, text: str, changes: Sequence[Change]) -> str:
    """The text with these changes, read again to see that nothing else became of it.

    Raises:
        Damaged: it cannot be read, or cannot be changed without changing more.
    """
    wanted = changed(form.read(text), changes)
    after = form.change(text, changes)
    try:
        same = _filled(form.read(after)) == _filled(wanted)
    except Damaged:
        same = False
    if not same:
        raise Damaged("written in a way that cannot be changed without touching the rest; change it by hand")
    return after


def _filled(plain: Plain) -> Plain:
    """Without tables that hold nothing: a table in TOML goes with the last that is in it."""
    if not isinstance(plain, dict):
        return plain
    members = {name: _filled(one) for name, one in plain.items()}
    return {name: one for name, one in members.items() if one != {}}
