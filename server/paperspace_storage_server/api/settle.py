"""Writes whose answer may get lost: at most one creation, and deletions and changes settled by looking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from paperspace_storage_server.api.perform import Performing, alike
from paperspace_storage_server.wire.messages import Codec, Operation
from paperspace_storage_tools.errors import (
    Failure,
    Kind,
    Malformed,
    OutcomeUnknown,
    Refused,
    ServerTrouble,
    TimedOut,
    Unreachable,
)
from paperspace_storage_tools.models import Page, SharedDrive, Snapshot, StorageProvider

T = TypeVar("T")
ResourceT = TypeVar("ResourceT", SharedDrive, Snapshot, StorageProvider)

_MOST_PAGES = 25  # of 120 items that are read to know what was there before a creation
_LOOKS = (0.0, 1.0, 3.0)  # seconds before each look for what a lost creation may have made


async def create(
    api: Performing,
    make: Callable[[Codec], Operation[ResourceT]],
    page: Callable[[str | None], Awaitable[Page[ResourceT]]],
    asked_for: Callable[[ResourceT], bool],
    *,
    kind: Kind,
    name: str,
    check: str,
) -> ResourceT:
    """Create at most once. `page` lists where the new one would be; `asked_for` compares with the request.

    Where the API's answer is lost, exactly one resource that was not there before, with the fields asked for,
    is the answer; none or several is an honest "unknown".
    """
    if (codec := api.upstream.codec) is not None:
        make(codec)  # refuses what cannot be expressed before anything is asked
    elif alike(make) is None:
        make(await api.codec())  # else a probe that fails for the list would be made again for the write
    async with api.upstream.one_at_a_time(kind, name, api.budget):
        before = await _ids_before(page)
        try:
            made = await api.perform(make)
        except Failure as failure:
            if failure.changed != "unknown":
                raise
            made = await _find_created(api, page, asked_for, before, failure, kind=kind, check=check)
            api.notice(f"The API's answer was lost; this {kind} was found by looking and is new.")
        api.upstream.remember_created(made.id)
        return made


async def _ids_before(page: Callable[[str | None], Awaitable[Page[ResourceT]]]) -> set[str] | None:
    """The ids that are there before a creation; None where they cannot be known."""
    try:
        return {item.id async for item in _all(page)}
    except (ServerTrouble, TimedOut, Unreachable) as failure:
        failure.changed = "nothing"
        raise
    except Refused as failure:
        if failure.status == 401:
            raise
        return None
    except (Malformed, _TooMany):
        return None


async def _find_created(
    api: Performing,
    page: Callable[[str | None], Awaitable[Page[ResourceT]]],
    asked_for: Callable[[ResourceT], bool],
    before: set[str] | None,
    cause: Failure,
    *,
    kind: Kind,
    check: str,
) -> ResourceT:
    unknown = f"It is unknown whether the {kind} was created: {cause.short()}"
    if before is None:
        raise OutcomeUnknown(unknown, check)
    known = before | api.upstream.created.keys()
    looked = False
    for pause in _LOOKS:
        if pause >= api.budget.left():
            break
        await api.upstream.sleep(pause)
        try:
            new = [item async for item in _all(page) if item.id not in known and asked_for(item)]
        except (Failure, _TooMany):
            continue
        looked = True
        if len(new) == 1:
            return new[0]
        if len(new) > 1:
            ids = ", ".join(item.id for item in new[:5])
            raise OutcomeUnknown(f"{unknown} Several new ones fit it: {ids}.", check)
    found = "None that fits was found by looking." if looked else "Looking for it was not possible either."
    raise OutcomeUnknown(f"{unknown} {found}", check)


async def delete(
    api: Performing, make: Callable[[Codec], Operation[T]], look: Callable[[], Awaitable[object]], what: str
) -> T | None:
    """Delete; a lost answer is settled by looking: what is no longer there was deleted."""
    try:
        return await api.perform(make)
    except Failure as failure:
        if failure.changed != "unknown":
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
        if failure.changed != "unknown":
            raise
        try:
            present = await look()
        except Failure:
            raise failure from None
        if not has_it(present):
            raise
        api.notice("The API's answer was lost; the change was found by looking.")
        return present


class _TooMany(Exception):
    """More than `_MOST_PAGES`."""


async def _all(page: Callable[[str | None], Awaitable[Page[ResourceT]]]) -> AsyncIterator[ResourceT]:
    after: str | None = None
    for _ in range(_MOST_PAGES):
        one = await page(after)
        for item in one.items:
            yield item
        after = one.next_page
        if after is None:
            return
    raise _TooMany
