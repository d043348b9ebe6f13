"""The team's storage as resources: `paperspace://...`, each what a reading tool answers, through the same guard."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, Annotations, Resource, ResourceTemplate
from pydantic_core import to_json

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context, reading
from paperspace_storage_tools.arguments import LARGEST_PAGE
from paperspace_storage_tools.errors import InvalidArguments, Refused

SCHEME: Final = "paperspace://"
_JSON: Final = "application/json"
_MOST_PAGES = 100  # of a machine's snapshots
_FOR_BOTH = Annotations(audience=["user", "assistant"])


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind of resource: its URI or template, and the tool whose result it is. `variable` is the tool's argument."""

    uri: str
    name: str
    title: str
    description: str
    tool: str
    variable: str | None = None
    whole: bool = False
    """The tool lists page by page, and the resource is all of it."""

    def matches(self, uri: str) -> dict[str, Any] | None:
        """The tool's arguments, where this URI is of this kind."""
        if self.variable is None:
            return {} if uri == self.uri else None
        pattern = re.escape(self.uri).replace(re.escape(f"{{{self.variable}}}"), "([^/?#]+)")
        match = re.fullmatch(pattern, uri)
        return None if match is None else {self.variable: unquote(match[1])}


KINDS: Final = (
    ResourceKind(
        f"{SCHEME}utilization",
        "utilization",
        "Storage utilization",
        "Bytes the team stores.",
        "get_storage_utilization",
    ),
    ResourceKind(
        f"{SCHEME}shared-drives/{{id}}", "shared-drive", "Shared drive", "One drive.", "get_shared_drive", "id"
    ),
    ResourceKind(f"{SCHEME}snapshots/{{id}}", "snapshot", "Snapshot", "One snapshot.", "get_snapshot", "id"),
    ResourceKind(
        f"{SCHEME}storage-providers/{{id}}",
        "storage-provider",
        "Storage provider",
        "One object store, without its keys.",
        "get_storage_provider",
        "id",
    ),
    ResourceKind(
        f"{SCHEME}machines/{{machineId}}/snapshots",
        "machine-snapshots",
        "Snapshots of a machine",
        "All snapshots of one machine, newest first.",
        "list_snapshots",
        "machineId",
        whole=True,
    ),
)


class TeamResources:
    """`offers.Offer` of the kinds whose tool the caller has."""

    life = CacheHint(ttl_ms=0, scope="private")  # what is stored changes, and is one team's

    def __init__(self, service_of: Callable[[Context], Service]) -> None:
        self._service_of = service_of

    def extend(self, server: Server[Any]) -> None:
        return None

    def resources(self, context: Context) -> list[Resource]:
        return [
            Resource(
                uri=one.uri,
                name=one.name,
                title=one.title,
                description=one.description,
                mime_type=_JSON,
                annotations=_FOR_BOTH,
            )
            for one in self._served(context)
            if one.variable is None
        ]

    def templates(self, context: Context) -> list[ResourceTemplate]:
        return [
            ResourceTemplate(
                uri_template=one.uri,
                name=one.name,
                title=one.title,
                description=one.description,
                mime_type=_JSON,
                annotations=_FOR_BOTH,
            )
            for one in self._served(context)
            if one.variable is not None
        ]

    async def read(self, context: Context, uri: str) -> list[Json] | None:
        for kind in self._served(context):
            if (arguments := kind.matches(uri)) is not None:
                return await self._contents(context, uri, kind, arguments)
        return None

    def _served(self, context: Context) -> list[ResourceKind]:
        tools = self._service_of(context).tools
        return [one for one in KINDS if one.tool in tools]

    async def _contents(
        self, context: Context, uri: str, kind: ResourceKind, arguments: dict[str, Any]
    ) -> list[Json] | None:
        service = self._service_of(context)
        tool, caller = service.tools[kind.tool], reading(context)
        if not kind.whole:
            outcome = await service.call(tool, arguments, caller)
            return None if _is_not_there(outcome) else [_content(uri, outcome.text)]
        items: list[object] = []
        for _ in range(_MOST_PAGES):
            outcome = await service.call(tool, {**arguments, "limit": LARGEST_PAGE}, caller)
            if _is_not_there(outcome) or outcome.structured is None:
                return None
            items += cast("list[object]", outcome.structured["items"])
            if "nextPage" not in outcome.structured:
                return [_content(uri, to_json({"items": items, "hasMore": False}).decode())]
            arguments["after"] = outcome.structured["nextPage"]
        raise MCPError(INTERNAL_ERROR, f"This machine has more than {len(items)} snapshots: list them with a tool.")


def _is_not_there(outcome: Outcome) -> bool:
    """Whether the API has no such resource, or none can have that id.

    Raises:
        MCPError: it could not be read.
    """
    failure = outcome.failure
    if failure is None:
        return False
    if isinstance(failure, InvalidArguments) or (isinstance(failure, Refused) and failure.status == 404):
        return True
    code = INVALID_PARAMS if isinstance(failure, Refused) and failure.status in (400, 422) else INTERNAL_ERROR
    raise MCPError(code, outcome.text)


def _content(uri: str, text: str) -> Json:
    return {"uri": uri, "mimeType": _JSON, "text": text}
