"""What a person may mean while they type an argument of a prompt or of a resource's address.

Every answer comes from one list per kind, of one page at most and kept for half a minute: a keystroke costs no request.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
)

from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.http.budget import Clock
from paperspace_storage_server.mcp.caller import Context, reading
from paperspace_storage_server.mcp.offers import Selected
from paperspace_storage_server.mcp.resources import KINDS
from paperspace_storage_tools.arguments import LARGEST_PAGE

KEPT: Final = 30.0  # seconds
MOST: Final = 100  # values, as the protocol allows

_LISTS: Final[dict[str, tuple[str, ...]]] = {
    "machineId": ("list_machines", "list_snapshots"),
    "snapshotId": ("list_snapshots",),
    "provider": ("list_storage_providers",),
    "paperspace://shared-drives/{id}": ("list_shared_drives",),
    "paperspace://snapshots/{id}": ("list_snapshots",),
    "paperspace://storage-providers/{id}": ("list_storage_providers",),
}
"""Which lists know the values of an argument; the first that the caller has and that answers is used."""


@dataclass(slots=True)
class _Lists:
    """One team's lists, by tool, each with the time it was read at."""

    read: dict[str, tuple[float, list[dict[str, Any]]]] = field(
        default_factory=dict[str, tuple[float, list[dict[str, Any]]]]
    )


class Completions:
    """`completion/complete` for the callers of `service_of`, who have the tools of `selected`."""

    def __init__(
        self, service_of: Callable[[Context], Service], selected: Selected, *, clock: Clock = time.monotonic
    ) -> None:
        self._service_of = service_of
        self._selected = selected
        self._clock = clock
        self._kept: WeakKeyDictionary[Service, _Lists] = WeakKeyDictionary()

    async def complete(self, context: Context, params: CompleteRequestParams) -> CompleteResult:
        """Values that begin with what was typed, or whose name does; in the list's order.

        Raises:
            MCPError: no such prompt, template or argument.
        """
        key = self._key(context, params)
        typed = params.argument.value.casefold()
        of_machine = (params.context.arguments or {}).get("machineId") if params.context else None
        values: dict[str, None] = {}
        for tool in _LISTS.get(key, ()):
            for value, *names in _values(tool, key, await self._list(context, tool), of_machine):
                if any(name.casefold().startswith(typed) for name in (value, *names)):
                    values[value] = None
            if values:
                break
        found = list(values)
        return CompleteResult(completion=Completion(values=found[:MOST], total=len(found), has_more=len(found) > MOST))

    def _key(self, context: Context, params: CompleteRequestParams) -> str:
        """What `_LISTS` knows the argument by."""
        argument = params.argument.name
        if isinstance(params.ref, PromptReference):
            from paperspace_storage_tools.skills.prompts import prompts

            for prompt in prompts(self._selected(context)):
                if prompt.name == params.ref.name:
                    if argument in [one.name for one in prompt.arguments]:
                        return argument
                    raise MCPError(INVALID_PARAMS, f"{prompt.name} has no argument {_named(argument)}")
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {_named(params.ref.name)}")
        for kind in KINDS:
            if kind.uri == params.ref.uri and kind.variable is not None and kind.tool in self._selected(context):
                if argument == kind.variable:
                    return kind.uri if kind.uri in _LISTS else argument
                raise MCPError(INVALID_PARAMS, f"{kind.uri} has no variable {_named(argument)}")
        raise MCPError(INVALID_PARAMS, f"Unknown resource template: {_named(params.ref.uri)}")

    async def _list(self, context: Context, tool: str) -> list[dict[str, Any]]:
        """The first page of a list, as it was read at most `KEPT` seconds ago; empty where it cannot be read."""
        service = self._service_of(context)
        if tool not in service.tools:
            return []
        lists = self._kept.setdefault(service, _Lists())
        at, items = lists.read.get(tool, (-KEPT, []))
        if self._clock() - at < KEPT:
            return items
        outcome = await service.call(service.tools[tool], {"limit": LARGEST_PAGE}, reading(context))
        found = cast("list[dict[str, Any]]", (outcome.structured or {}).get("items", []))
        lists.read[tool] = (self._clock(), found)  # a failure, too: the next keystroke must not meet it again
        return found


def _named(text: str) -> str:
    """What the client called it, bounded and without what acts on a terminal, as JSON writes it."""
    return json.dumps(text[:200])


def _values(tool: str, key: str, items: list[dict[str, Any]], of_machine: str | None) -> Iterator[tuple[str, ...]]:
    """Each value, and the names it is known by."""
    for item in items:
        if key == "machineId" and tool == "list_snapshots":
            if "machineId" in item:
                yield (item["machineId"],)
            continue
        if key == "snapshotId" and of_machine is not None and item.get("machineId") != of_machine:
            continue
        names = (item["id"], *([item["name"]] if item.get("name") else []))
        yield names[::-1] if key == "provider" else names  # people know a provider by its name
