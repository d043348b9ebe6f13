"""The command `tools`: the catalogue as a person or a script reads it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pydantic_core import to_json

from paperspace_storage_server.calls.service import listing, select
from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the whole tools/list answer (no variable)")
    add_settings(parser, "selection")


def run(options: Namespace) -> int:
    print_catalogue(settings_of(options), as_json=options.json)
    return 0


def print_catalogue(settings: Settings, *, as_json: bool) -> None:
    """Each tool, its kind, its toolset, its bytes in `tools/list`; or that whole answer as JSON."""
    listed = listing(settings)
    whole = to_json({"tools": listed})
    if as_json:
        print(whole.decode())
        return
    print(f"{'tool':<26}{'kind':<13}{'toolset':<19}{'bytes':>6}")
    tools = {tool.name: tool for tool in select(settings)}
    for one in listed:
        tool = tools[str(one["name"])]
        print(f"{tool.name:<26}{tool.kind:<13}{tool.toolset:<19}{len(to_json(one)):>6,}")
    seen = [{key: one[key] for key in ("name", "description", "inputSchema")} for one in listed]
    print(
        f"{len(listed)} tools; tools/list is {len(whole):,} bytes, of which a model sees about {len(to_json(seen)):,} "
        "(names, descriptions, input schemas)"
    )
