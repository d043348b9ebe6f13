"""Which dialect an answer is in, told by its shape alone."""

from __future__ import annotations

from typing import Final, cast

from paperspace_storage_server.wire.messages import Answer, Dialect, Request
from paperspace_storage_server.wire.parsing import parsed
from paperspace_storage_server.wire.parts import LARGEST_ITEM, LARGEST_WHOLE

PROBE: Final = Request("GET", "/snapshots", (("limit", "1"),))
"""The harmless question: both dialects take it, it has no side effect, its answer holds no secret, and even an
empty list tells the dialects apart (an array, or an object with items)."""

_LIVE_ONLY = frozenset(
    {"networkId", "mountPoint", "password", "isAutoSnapshot", "s3Config", "datasetUsage", "data", "event", "hasMore"}
)
_PUBLISHED_ONLY = frozenset({"privateNetworkId", "note", "storageSize", "type", "datasets", "sharedStorage"})


def recognise(answer: Answer) -> Dialect | None:
    """The dialect of a successful answer, or None where its shape does not tell."""
    if not 200 <= answer.status < 300:
        return None
    by_status: Dialect | None = "published" if answer.status in (201, 204) else None  # production answers 200 only
    if not answer.body.strip():
        return by_status
    begins = answer.body[:LARGEST_ITEM].lstrip()
    if begins.startswith(b"["):
        return "published"  # whoever reads the list sees whether it is one
    if len(answer.body) > LARGEST_WHOLE:
        return "live" if begins.startswith(b"{") else None  # a page
    try:
        value = parsed(answer.body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, object]", value).keys()
    match bool(fields & _LIVE_ONLY), bool(fields & _PUBLISHED_ONLY):
        case True, False:
            return "live"
        case False, True:
            return "published"
        case _:
            return by_status
