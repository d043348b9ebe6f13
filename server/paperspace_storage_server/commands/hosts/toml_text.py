"""TOML, edited where it stands. It knows texts, not files and not hosts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import MutableMapping, Sequence
from typing import Final, cast

from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain

_TOKENS: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\r\n]*', re.DOTALL
)
_NAME: Final = re.compile(r"[ \t]*[.=]")
_DEEP: Final = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++\s*+\.\s*+){40}""")
"""What tomllib takes for a key of many parts grows with the square of its length."""

_Table = MutableMapping[str, object]


class Toml:
    """The form of TOML 1.0."""

    def read(self, text: str) -> Plain:
        """See `Form`. Dates are read as text."""
        if _DEEP.search(text):
            raise Damaged("nested too deeply")
        try:
            return _plain(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"line \d+, column \d+|end of document(?=\))", str(error))
            raise Damaged(f"{where[0] if where else 'somewhere'}: no TOML") from None
        except RecursionError:
            raise Damaged("nested too deeply") from None

    def change(self, text: str, changes: Sequence[Change]) -> str:
        """See `Form`."""
        for change in changes:
            text = _one(text, change)
        return text

    def hide(self, text: str, shown: frozenset[str], key: str | None) -> str:
        """See `Form`."""

        def hidden(found: re.Match[str]) -> str:
            token = found[0]
            if token.startswith("#"):
                return "# [hidden]"
            string = str(tomllib.loads(f"x = {token}")["x"])
            if string == key:
                return '"[key]"'
            return token if string in shown or _NAME.match(text, found.end()) else '"[hidden]"'

        return _TOKENS.sub(hidden, text)


def _one(text: str, change: Change) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import InlineTable

    try:
        document = tomlkit.parse(text)
        table = cast("_Table", document)
        for depth, name in enumerate(change.path[:-1]):
            inner = table.get(name)
            if inner is None and change.value is None:
                return text
            if inner is None and isinstance(change.value, dict) and depth == len(change.path) - 2:
                return text + _appended(text, change)
            if inner is None:
                inner = table[name] = tomlkit.inline_table() if depth else tomlkit.table(is_super_table=True)
                inner = table[name]
            if not isinstance(inner, MutableMapping):
                raise Damaged(f"{'.'.join(change.path[: depth + 1])} is no table")
            table = cast("_Table", inner)
        name = change.path[-1]
        if (
            isinstance(change.value, dict)
            and name not in table
            and len(change.path) > 1
            and not isinstance(table, InlineTable)
        ):
            return text + _appended(text, change)
        if change.value is not None:
            table[name] = change.value
        elif name in table:
            del table[name]
        after = document.as_string()
    except (TOMLKitError, RecursionError, AttributeError, KeyError, TypeError, ValueError):
        # tomlkit does not know every way in which tables may be spread over a file
        raise Damaged("written in a way that cannot be changed without touching the rest; change it by hand") from None
    ends = text.endswith(("\n\n", "\r\n\r\n"))
    return after if ends or change.value is not None else _without_last_empty_line(after)


def _appended(text: str, change: Change) -> str:
    """The table as text for the end of the file: nothing before it is written anew."""
    import tomlkit

    line = "\r\n" if "\r\n" in text else "\n"
    table = cast("dict[str, Plain]", change.value)
    name = ".".join(tomlkit.key(part).as_string() for part in change.path)
    lines = [f"[{name}]", *(f"{tomlkit.key(one).as_string()} = {_written(value)}" for one, value in table.items())]
    gap = "" if not text else line if text.endswith("\n") else line * 2
    return gap + line.join(lines) + line


def _written(value: Plain) -> str:
    import tomlkit

    if isinstance(value, dict):
        members = (f"{tomlkit.key(name).as_string()} = {_written(one)}" for name, one in value.items())
        return "{ " + ", ".join(members) + " }"
    return tomlkit.item(value).as_string()


def _without_last_empty_line(text: str) -> str:
    for line in ("\r\n", "\n"):
        if text.endswith(line * 2):
            return text.removesuffix(line)
    return text


def _plain(value: object) -> Plain:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[object]", value)]
    return value if isinstance(value, bool | int | float | str) else str(value)
