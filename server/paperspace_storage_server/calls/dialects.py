"""What a fixed dialect cannot do, by tool and argument: it is not listed. Knows no wire format, and refuses nothing.

The codecs refuse it, with the reason, for whoever sends it all the same; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from paperspace_storage_server.wire.messages import DialectSetting
from paperspace_storage_tools.listing import Entry
from paperspace_storage_tools.tool import AnyTool

_PROVIDER_TOOLS = ("create_storage_provider", "update_storage_provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacks:
    """`arguments` by tool; `choices` are those that remain, by tool and argument; `descriptions` by tool, where the
    usual one promises more."""

    tools: frozenset[str] = frozenset()
    arguments: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    choices: Mapping[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])
    descriptions: Mapping[str, str] = field(default_factory=dict[str, str])


LACKS: Final[Mapping[DialectSetting, Lacks]] = {
    "auto": Lacks(),
    "live": Lacks(
        arguments={
            "update_shared_drive": frozenset({"size"}),
            "create_snapshot": frozenset({"note"}),
            "update_snapshot": frozenset({"note"}),
        },
        choices={(tool, "type"): ["s3"] for tool in _PROVIDER_TOOLS},
        descriptions={
            "update_shared_drive": "Rename a drive.",
            "update_snapshot": "Change a snapshot's name.",
        },
    ),
    "published": Lacks(
        tools=frozenset({"get_machine_event", "list_machines", "list_private_networks"}),
        arguments={
            "list_snapshots": frozenset({"automatic"}),
            **dict.fromkeys(_PROVIDER_TOOLS, frozenset({"endpoint", "isTeamDefault"})),
        },
    ),
}


def spoken(tools: Iterable[AnyTool], dialect: DialectSetting) -> list[AnyTool]:
    """Those that exist in the dialect."""
    return [tool for tool in tools if tool.name not in LACKS[dialect].tools]


def as_spoken(entry: Entry, dialect: DialectSetting) -> Entry:
    """A tool's entry in the listing, with what the dialect can do."""
    lacks, name = LACKS[dialect], entry["name"]
    schema = entry["inputSchema"]
    arguments = {
        argument: {**one, "enum": lacks.choices[name, argument]} if (name, argument) in lacks.choices else one
        for argument, one in schema["properties"].items()
        if argument not in lacks.arguments.get(name, ())
    }
    description = lacks.descriptions.get(name, entry["description"])
    return {**entry, "description": description, "inputSchema": {**schema, "properties": arguments}}
