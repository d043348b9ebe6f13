"""Deletions and changes whose answer may get lost: they are settled by looking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from paperspace_storage_server.api.perform import Performing
from paperspace_storage_server.wire.messages import Codec, Operation
from paperspace_storage_tools.errors import Failure, OutcomeUnknown, Refused

T = TypeVar("T")


async def delete(
    api: Performing, make: Callable[[Codec], Operation[T]], look: Callable[[], Awaitable[object]], what: str
) -> T | None:
    """Delete; a lost answer is settled by looking: what is no longer there was deleted."""
    try:
        return await api.perform(make)
    except Failure as failure:
        if not failure.in_doubt:
            raise
        if isinstance(failure, Refused) and failure.status == 404:
            return None  # a repeat found it gone: an earlier try has deleted it
        cause = failure
    try:
        await look()
    except Refused as refused:
        if refused.status == 404:
            return None
    except Failure:
        pass
    else:
        raise OutcomeUnknown(
            f"The deletion of the {what} was sent, its answer was lost, and it is still there: {cause.short()}",
            "It may be under way: look again in a minute, and delete again if it is still there.",
        )
    raise OutcomeUnknown(
        f"It is unknown whether the {what} was deleted: {cause.short()}", "Look for it before trying again."
    )


async def update(
    api: Performing,
    make: Callable[[Codec], Operation[T]],
    look: Callable[[], Awaitable[T]],
    has_it: Callable[[T], bool],
) -> T:
    """Change; where the answer is lost, the resource with the change in it is the answer."""
    try:
        return await api.perform(make)
    except Failure as failure:
        if not failure.in_doubt:
            raise
        try:
            present = await look()
        except Failure:
            raise failure from None
        if not has_it(present):
            raise
        api.notice("The API's answer was lost; the change was found by looking.")
        return present
