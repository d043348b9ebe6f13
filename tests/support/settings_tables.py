"""The README's tables of settings and commands, as the code has them.

`PYTHONPATH=server:tools:tests python tests/support/settings_tables.py` writes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path

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


def tables() -> dict[str, list[str]]:
    """The rows of each section's table."""
    return {
        "Commands": command_rows(),
        "Settings": settings_rows("api", "selection", "guard", "serving", "logs"),
        "Serving several people": settings_rows("hosting"),
    }


if __name__ == "__main__":
    readme = Path(__file__).parents[2] / "README.md"
    text = readme.read_text(encoding="utf-8")
    for section, rows in tables().items():
        table = re.compile(rf"(\n## {section}\n.*?\n\|[^\n]*\n\| ---[^\n]*\n)(?:\|[^\n]*\n)*", re.DOTALL)
        if found := table.search(text):
            text = found[1].join([text[: found.start()], "".join(f"{row}\n" for row in rows) + text[found.end() :]])
    readme.write_text(text, encoding="utf-8")
