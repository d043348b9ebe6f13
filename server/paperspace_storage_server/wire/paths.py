"""The path of a request without the ids in it, as spans and metrics name it. Pure; both dialects have the same
paths."""

from __future__ import annotations

from typing import Final

_COLLECTIONS: Final = frozenset(
    {"shared-drives", "snapshots", "storage-providers", "machine-events", "machines", "private-networks", "auth"}
)
_WHOLE: Final = frozenset({"/storage-providers/utilization", "/auth/session"})
_ACTS: Final = frozenset({"restore"})


def template_of(path: str) -> str:
    """`/snapshots/{id}/restore` of `/snapshots/s1abc/restore`. A segment that is not known here is never shown."""
    if path in _WHOLE:
        return path
    first, *others = path.strip("/").split("/")
    shown = [first if first in _COLLECTIONS else "{other}"]
    if others:
        shown += ["{id}", *(one if one in _ACTS else "{id}" for one in others[1:])]
    return "/" + "/".join(shown)
