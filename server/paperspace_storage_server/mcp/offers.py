"""What a server offers beside its tools: resources, prompts and the methods of extensions, each kind in a module of its
own. This one knows none of them: it asks each offer in turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeAlias

from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    ListResourcesResult,
    ListResourceTemplatesResult,
    Resource,
    ResourceTemplate,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context

COMPLETE = "complete"  # the 2026 era asks for it; the SDK leaves it out for older ones
LIST_LIFE = CacheHint(ttl_ms=3_600_000, scope="public")  # what is offered is fixed for the life of the process
HOSTED_LIST_LIFE = CacheHint(ttl_ms=60_000, scope="private")  # an operator may change a team at any time

Selected: TypeAlias = Callable[[Context], Collection[str]]
"""The names of the tools that this caller has: what needs others is neither listed nor served."""


class Offer(Protocol):
    """One kind of resources, with what an extension adds around them."""

    @property
    def life(self) -> CacheHint:
        """How long, and by whom, the contents of one may be kept."""
        ...

    def extend(self, server: Server[Any]) -> None:
        """Declare the extension and register its methods."""
        ...

    def resources(self, context: Context) -> list[Resource]:
        """Those that `resources/list` shows."""
        ...

    def templates(self, context: Context) -> list[ResourceTemplate]:
        """Those that `resources/templates/list` shows."""
        ...

    async def read(self, context: Context, uri: str) -> list[Json] | None:
        """The `contents` of a resource, as the protocol has them; None for one that is not of this kind, or not there
        for this caller."""
        ...


def list_resources(offers: Sequence[Offer], context: Context) -> ListResourcesResult:
    return ListResourcesResult(resources=[one for offer in offers for one in offer.resources(context)])


def list_templates(offers: Sequence[Offer], context: Context) -> ListResourceTemplatesResult:
    return ListResourceTemplatesResult(resource_templates=[one for offer in offers for one in offer.templates(context)])


async def read_resource(offers: Sequence[Offer], context: Context, uri: str, cleaned: Callable[[str], str]) -> Json:
    """`resources/read`. The error names the URI, as the protocol asks.

    Raises:
        MCPError: no offer has it.
    """
    for offer in offers:
        if (contents := await offer.read(context, uri)) is not None:
            return {"resultType": COMPLETE, "contents": contents, **life(offer.life)}
    raise MCPError(INVALID_PARAMS, f"There is no resource {cleaned(uri)[:200]}", {"uri": cleaned(uri)[:2000]})


def life(hint: CacheHint) -> Json:
    """A hint as a result carries it, for methods that the SDK does not know as cacheable."""
    return {"ttlMs": hint.ttl_ms, "cacheScope": hint.scope}


def modern_only(context: Context, method: str) -> None:
    """A method that its extension binds to the 2026 revision does not exist before it.

    Raises:
        MCPError: as for any unknown method.
    """
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(METHOD_NOT_FOUND, "Method not found", method)


def first_page(cursor: str | None) -> None:
    """Our lists have one page, so no cursor is ours.

    Raises:
        MCPError: there is one.
    """
    if cursor is not None:
        raise MCPError(INVALID_PARAMS, "Unknown cursor: this list has one page")
