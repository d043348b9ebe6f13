"""The generated part of the skills: `references/tools.md`, what each tool takes and answers, from the catalogue.

`python -m paperspace_storage_tools.listing` makes them with the rest; after a change of the tools that a skill's text
names, `python -m paperspace_storage_tools.skills.tables`. A test compares the files with what this makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.listing import make
from paperspace_storage_tools.schema import output_schema
from paperspace_storage_tools.skills import ENTRY, NAMES
from paperspace_storage_tools.tool import AnyTool

FOLDER = Path(__file__).parent
TABLE = "references/tools.md"
_KINDS = {"read": "reads", "write": "writes", "destructive": "destroys: confirmed first"}
_HEAD = """# Tools: arguments and results

Made from the tools' own definitions. Over MCP these are the arguments of the tool; in a shell
`paperspace-storage-mcp call TOOL name=value ...`, or one JSON object in the place of `name=value`, does the same and
prints the result as JSON. An unknown argument is an error. An empty one counts as not given. A result lacks what the
API did not give.
"""


def table(name: str) -> str:
    """The page of one skill: the tools that its `SKILL.md` names; for the general skill, all."""
    text = (FOLDER / name / ENTRY).read_text(encoding="utf-8")
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text))
    tools = [tool for tool in CATALOGUE if tool.name in named or name == NAMES[0]]
    return "\n".join([_HEAD, *(line for tool in tools for line in _section(tool))])


def _section(tool: AnyTool) -> Iterator[str]:
    entry = make(tool)
    yield f"## {tool.name} ({_KINDS[tool.kind]})\n"
    yield f"{tool.description}\n"
    properties: dict[str, dict[str, Any]] = entry["inputSchema"]["properties"]
    if properties:
        required = entry["inputSchema"].get("required", [])
        yield "| argument | value | meaning |\n| --- | --- | --- |"
        for name in sorted(properties, key=lambda name: (name not in required, list(properties).index(name))):
            schema = properties[name]
            mark = "" if name in required else "?"
            yield f"| `{name}`{mark} | {_value(schema)} | {_cell(schema.get('description', ''))} |"
        yield ""
    yield f"Answers {_fields(output_schema(tool.result))}.\n"


def _value(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    least, most = schema.get("minimum"), schema.get("maximum")
    if schema["type"] == "integer" and most is not None:
        return f"whole number, {least} to {most}"
    return {"integer": "whole number", "boolean": "`true` or `false`", "string": "text"}[schema["type"]]


def _fields(schema: dict[str, Any]) -> str:
    words: list[str] = []
    for name, one in schema["properties"].items():
        inner = one.get("items", {}).get("properties")
        words.append(f"`{name}`" + (f" (each: {', '.join(f'`{field}`' for field in inner)})" if inner else ""))
    return ", ".join(words)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def write() -> None:
    """Make every page anew."""
    for name in NAMES:
        path = FOLDER / name / TABLE
        path.parent.mkdir(exist_ok=True)
        path.write_text(table(name), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
