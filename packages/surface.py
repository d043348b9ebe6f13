"""`python -m packages.surface record COMMAND...` and `compare BEFORE AFTER`: what a change does to what models read."""

from __future__ import annotations

import difflib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

Surface = Mapping[str, Mapping[str, Any]]
"""By kind (tools, prompts ...), then by name or URI."""


async def record(command: Sequence[str]) -> Surface:
    """Everything that a server over stdio lists, as a client of the newest protocol sees it."""
    from mcp import Client, StdioServerParameters

    with tempfile.TemporaryDirectory() as home:
        entry = StdioServerParameters(command=command[0], args=list(command[1:]), env={"HOME": home})
        async with Client(entry) as client:
            tools = {one.name: _plain(one) for one in (await client.list_tools()).tools}
            able = client.server_capabilities
            prompts = {one.name: _plain(one) for one in (await client.list_prompts()).prompts} if able.prompts else {}
            resources: dict[str, Any] = {}
            if able.resources:
                resources = {str(one.uri): _plain(one) for one in (await client.list_resources()).resources}
                templates = (await client.list_resource_templates()).resource_templates
                resources |= {one.uri_template: _plain(one) for one in templates}
            return {
                "instructions": {"instructions": client.instructions or ""},
                "capabilities": {"capabilities": _plain(able)},
                "tools": tools,
                "prompts": prompts,
                "resources": resources,
            }


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def compare(before: Surface, after: Surface) -> str:
    """The difference as Markdown: bytes by kind, then each thing that came, went or changed."""
    kinds = sorted({*before, *after})
    rows = [f"| {kind} | {_size(before, kind)} | {_size(after, kind)} |" for kind in kinds]
    parts = ["### MCP surface", "", "| | bytes before | bytes after |", "| --- | --- | --- |", *rows, ""]
    changes = [change for kind in kinds for change in _changes(kind, before.get(kind, {}), after.get(kind, {}))]
    return "\n".join([*parts, *(changes or ["Nothing changes."])]) + "\n"


def _size(surface: Surface, kind: str) -> int:
    return sum(len(json.dumps(one, separators=(",", ":")).encode()) for one in surface.get(kind, {}).values())


def _changes(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = _lines(before.get(name)), _lines(after.get(name))
        if old != new:
            what = "new" if name not in before else "gone" if name not in after else "changed"
            shown = "\n".join(difflib.unified_diff(old, new, lineterm="", n=2))
            fence = "````" if "```" in shown else "```"
            head = f"<details><summary>{kind}: <code>{name}</code> {what}</summary>"
            yield f"{head}\n\n{fence}diff\n{shown}\n{fence}\n</details>"


def _lines(value: Any) -> list[str]:
    return [] if value is None else json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1 and arguments[0] == "record":
        print(json.dumps(anyio.run(record, arguments[1:]), indent=1, sort_keys=True))
    elif len(arguments) == 3 and arguments[0] == "compare":
        print(compare(*(json.loads(Path(path).read_text(encoding="utf-8")) for path in arguments[1:])))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
