"""What one tool is: its name, what a model reads about it, its arguments, its result, its function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from paperspace_storage_tools.arguments import Arguments
from paperspace_storage_tools.models import Model
from paperspace_storage_tools.ports import Call

ToolKind: TypeAlias = Literal["read", "write", "destructive"]
Toolset: TypeAlias = Literal["shared-drives", "snapshots", "storage-providers", "utilization", "lookups"]
ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[ArgumentsT]):
    """One tool. `overwrites`: what was there may be lost; `repeatable`: once more changes nothing. Hosts are told.

    `brief`: its `list_` tool spells the same resource out, so its own output schema names what is always there.
    """

    name: str
    title: str
    description: str
    kind: ToolKind
    toolset: Toolset
    arguments: type[ArgumentsT]
    result: type[Model]
    run: Callable[[Call, ArgumentsT], Awaitable[Model]]
    overwrites: bool = False
    repeatable: bool = False
    brief: bool = False

    @property
    def writes(self) -> bool:
        return self.kind != "read"

    @property
    def answers_with_resource(self) -> bool:
        """A create or update: it answers with the resource that it made or changed."""
        return self.kind == "write"


AnyTool: TypeAlias = Tool[Any]  # the arguments' type is private to each tool; the catalogue holds them all
