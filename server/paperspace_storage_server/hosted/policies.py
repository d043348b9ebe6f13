"""What a team may have done: of its policy and the process's own settings the stricter counts, point by point."""

from __future__ import annotations

from typing import Final, cast, get_args

from paperspace_storage_server.settings import Settings
from paperspace_storage_server.settings.fields import Limit
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_tools.tool import Toolset

_STRICTNESS: Final = ("never", "auto", "person")


class NothingLeft(Exception):
    """Policy and settings have no toolset in common: an empty list would mean all of them."""


def narrowed(settings: Settings, policy: Policy | None) -> Settings:
    """The settings that hold for a team.

    Raises:
        NothingLeft: no tool would exist.
    """
    if policy is None:
        return settings
    toolsets = settings.toolsets
    if policy.toolsets is not None:
        toolsets = [one for one in toolsets or cast("list[Toolset]", get_args(Toolset)) if one in policy.toolsets]
        if not toolsets:
            raise NothingLeft
    return settings.model_copy(
        update={
            "read_only": settings.read_only or bool(policy.read_only),
            "toolsets": toolsets,
            "protect": list(dict.fromkeys([*settings.protect, *(policy.protect or [])])),
            "max_destructive": stricter(settings.max_destructive, policy.max_destructive),
            "confirm": max(settings.confirm, policy.confirm or "never", key=_STRICTNESS.index),
        }
    )


def stricter(one: Limit | None, other: Limit | None) -> Limit | None:
    """A limit that breaks neither. Where neither is the stricter (50 an hour, 10 a minute) it is stricter than both."""
    if one is None or other is None:
        return one or other
    return Limit(min(one.count, other.count), max(one.seconds, other.seconds))
