"""The tools as `tools/list` answers them.

Making the schemas takes 40 ms at every start, so they are made once and kept in `listing.json`, which a
test compares with what `make` gives. After a change: `python -m paperspace_storage_tools.listing`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paperspace_storage_tools.tool import AnyTool

FILE = Path(__file__).with_name("listing.json")
Entry = dict[str, Any]


def entries(tools: Iterable[AnyTool], denied: frozenset[str] = frozenset()) -> list[Entry]:
    """The entries of these tools, without the arguments in `denied`."""
    kept: dict[str, Entry] = {one["name"]: one for one in json.loads(FILE.read_text(encoding="utf-8"))}
    return [_without(kept[tool.name], denied) for tool in tools]


def make(tool: AnyTool) -> Entry:
    """One entry, from the tool's arguments and result."""
    from paperspace_storage_tools.schema import input_schema, output_schema

    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": input_schema(tool.arguments),
        "outputSchema": output_schema(tool.result, brief=tool.brief),
        "annotations": {
            "readOnlyHint": not tool.writes,
            "destructiveHint": tool.overwrites,
            "idempotentHint": tool.repeatable,
            "openWorldHint": True,
        },
        **_page(tool),
    }


def _page(tool: AnyTool) -> Entry:
    """Which page shows the tool's result; and that no page may call what writes: the model asks for that, or nobody."""
    from paperspace_storage_tools import page

    if tool.writes:
        return {"_meta": {"ui": {"visibility": ["model"]}}}
    return {"_meta": {"ui": {"resourceUri": page.URI}}} if tool.name in page.SHOWS else {}


def write() -> None:
    """Make the file anew."""
    from paperspace_storage_tools.catalogue import CATALOGUE

    made = [make(tool) for tool in CATALOGUE]
    FILE.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _without(entry: Entry, denied: frozenset[str]) -> Entry:
    schema = entry["inputSchema"]
    if not denied & schema["properties"].keys():
        return entry
    kept = {name: value for name, value in schema["properties"].items() if name not in denied}
    return {**entry, "inputSchema": {**schema, "properties": kept}}


if __name__ == "__main__":
    from paperspace_storage_tools.skills import tables

    write()
    tables.write()  # the skills' pages are made from the same definitions
