"""The README's tables of settings and commands, as the code has them: `python tests/support/settings_tables.py`."""

from __future__ import annotations

from paperspace_storage_server.commands import COMMANDS
from paperspace_storage_server.settings import Described, Group, described


def settings_rows(*groups: Group) -> list[str]:
    """A row for each setting of these groups, in their order."""
    return [_row(one) for group in groups for one in described().values() if one.group == group]


def command_rows() -> list[str]:
    return [f"| `{name}` | {does} |" for name, (_, does) in COMMANDS.items()]


def _row(one: Described) -> str:
    first, *others = (f"`{variable}`" for variable in one.variables)
    variables = f"{first} (also {', '.join(others)})" if others else first
    flag = f"`{one.flag}`" if one.flag else "none: it would show in `ps`"
    choices = "" if one.switch else ", ".join(f"`{choice}`" for choice in one.choices)
    if one.listed and choices:
        meaning = f"{one.meaning} ({choices})"
    else:
        meaning = f"{choices}: {one.meaning}" if choices else one.meaning
    return f"| {variables} | {flag} | {one.default} | {meaning} |"


if __name__ == "__main__":
    main_rows = settings_rows("api", "selection", "guard", "serving", "logs")
    print("\n".join([*main_rows, "", *command_rows(), "", *settings_rows("hosting")]))  # noqa: T201 - its job
