"""Who calls a hosted server, and what they may do: all that a surface is told of them. Knows no token, no protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

from paperspace_storage_tools.tool import AnyTool

Scope: TypeAlias = Literal["storage:read", "storage:write", "storage:destroy"]
SCOPES: Final[tuple[Scope, ...]] = ("storage:read", "storage:write", "storage:destroy")
"""Each implies those before it."""
PRINCIPAL: Final = "paperspace.principal"
"""Where the gate leaves a request's `Principal`: in the `state` of its ASGI scope."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller of one team. `key` tells all callers apart, whatever they call themselves, and is what logs show."""

    key: str
    team: str
    scopes: frozenset[Scope]

    def lacks(self, needed: Scope) -> list[Scope]:
        """What is missing for `needed`, all of it; nothing where it is covered."""
        return [scope for scope in SCOPES[: SCOPES.index(needed) + 1] if scope not in self.scopes]


def principal_in(scope: Mapping[str, object]) -> Principal | None:
    """Who made the request of this ASGI scope; None where nobody had to say."""
    state = scope.get("state")
    found: object = cast("dict[str, object]", state).get(PRINCIPAL) if isinstance(state, dict) else None
    return found if isinstance(found, Principal) else None


def with_implied(scopes: Iterable[str]) -> frozenset[Scope]:
    """Those of the words that are scopes of ours, and what they imply."""
    words = set(scopes)
    highest = max((place for place, scope in enumerate(SCOPES) if scope in words), default=-1)
    return frozenset(SCOPES[: highest + 1])


def scope_of(tool: AnyTool) -> Scope:
    """What a caller needs for this tool. To point a storage provider elsewhere can lose as much as a deletion."""
    match tool.kind, tool.toolset, tool.overwrites:
        case ("destructive", _, _) | (_, "storage-providers", True):
            return "storage:destroy"
        case ("write", _, _):
            return "storage:write"
        case _:
            return "storage:read"
