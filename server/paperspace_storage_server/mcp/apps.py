"""The page that hosts show beside a tool's result: the extension `io.modelcontextprotocol/ui`, one `ui://` resource.

After `specification/2026-01-26/apps` of modelcontextprotocol/ext-apps. Which tools name the page stands in their
listing (`_meta.ui`), whatever a client declares: one that knows nothing of it passes over it.
"""

from __future__ import annotations

from typing import Any, Final

from mcp.server import Server
from mcp_types import Resource, ResourceTemplate

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.mcp.caller import Context
from paperspace_storage_server.mcp.offers import LIST_LIFE, Selected
from paperspace_storage_tools.page import SHOWS, URI

EXTENSION: Final = "io.modelcontextprotocol/ui"
MIME_TYPE: Final = "text/html;profile=mcp-app"
_META: Final[dict[str, Any]] = {"ui": {"csp": {}, "prefersBorder": True}}  # no place on the network, none at all


class Apps:
    """`offers.Offer` of the one page, where the caller has a tool whose result it shows."""

    life = LIST_LIFE

    def __init__(self, selected: Selected) -> None:
        self._selected = selected

    def extend(self, server: Server[Any]) -> None:
        server.extensions[EXTENSION] = {}

    def templates(self, context: Context) -> list[ResourceTemplate]:
        return []

    def resources(self, context: Context) -> list[Resource]:
        if not self._served(context):
            return []
        from paperspace_storage_tools.page import html

        return [
            Resource(
                uri=URI,
                name="storage.html",
                title="Paperspace storage",
                description="Shows utilization, shared drives and snapshots by machine, inside a host.",
                mime_type=MIME_TYPE,
                size=len(html().encode()),
                _meta=_META,
            )
        ]

    async def read(self, context: Context, uri: str) -> list[Json] | None:
        if uri != URI or not self._served(context):
            return None
        from paperspace_storage_tools.page import html

        return [{"uri": URI, "mimeType": MIME_TYPE, "text": html(), "_meta": _META}]

    def _served(self, context: Context) -> bool:
        return not SHOWS.isdisjoint(self._selected(context))
