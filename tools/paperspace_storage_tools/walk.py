"""Lists that may be longer than a page: one page, what fits a filter of ours, or all of it. Knows no API, no tool.

A filter that the API lacks is applied here, over as many pages as the call's budget allows, one after the other, for
each cursor comes with the page before. Where the budget ends first, the cursor goes on exactly where it ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from paperspace_storage_tools import cursors
from paperspace_storage_tools.arguments import LARGEST_PAGE
from paperspace_storage_tools.cursors import Place
from paperspace_storage_tools.errors import Failure, Malformed, RateLimited, ServerTrouble, TimedOut, Unreachable
from paperspace_storage_tools.globs import is_glob, matcher
from paperspace_storage_tools.models import Page
from paperspace_storage_tools.ports import Call

USUAL = 20
"""Items of a filtered page where the caller names no limit, as many as production gives."""

_RESERVE = 1.0  # seconds of the call's budget kept for the answer itself
_MARGIN = 1.5  # how much longer than the longest so far another page may take
_MOST_PAGES = 500  # 60,000 items: more would be no team's, but an API's that never ends


class _Item(Protocol):
    @property
    def id(self) -> str: ...


ItemT = TypeVar("ItemT", bound=_Item)
Fetch = Callable[[str | None, int | None], Awaitable[Page[ItemT]]]
"""One page of the API's list: of the cursor, with as many items as the limit says."""
Keep = Callable[[ItemT], bool]


class Walk(Generic[ItemT]):
    """A list read from `place` on, page by page. After it ended, `rest` is where it stopped before the list's end."""

    def __init__(self, call: Call, fetch: Fetch[ItemT], place: Place, *, quiet: bool = False) -> None:
        """`quiet`: why it stopped early is nobody's concern."""
        self._quiet = quiet
        self._call = call
        self._fetch = fetch
        self._place = place
        self.here = place
        self.rest: Place | None = None

    async def items(self) -> AsyncGenerator[ItemT]:
        """Every item, in the list's order. While one is out, `here` is the place at which it comes first.

        Raises:
            Failure: of the first page; a later one that cannot be had ends the walk as the budget does.
            Malformed: the API's cursors lead in a circle.
        """
        cursor, last = self._place.cursor, self._place.last
        seen = {cursor}
        longest = 0.0
        for _ in range(_MOST_PAGES):
            left = self._call.left()
            if len(seen) > 1 and left < max(_RESERVE, longest * _MARGIN):
                self._stop(cursor, "The time of this call was over before the list: go on with nextPage.")
                return
            try:
                page = await self._fetch(cursor, LARGEST_PAGE)
            except (RateLimited, ServerTrouble, TimedOut, Unreachable) as failure:
                if len(seen) == 1:
                    raise
                self._stop(cursor, f"The list was not read to its end: {failure.short()} Go on with nextPage.")
                return
            longest = max(longest, left - self._call.left())
            for before, item in self._from(page.items, last):
                self.here = Place(cursor, before)
                yield item
            last = None
            if page.next_page is None:
                if page.has_more:
                    raise Malformed("it says that there is more, and gives no cursor")
                return
            cursor = page.next_page
            if cursor in seen:
                raise Malformed("its cursors lead in a circle")
            seen.add(cursor)
        self._stop(cursor, f"The list was read for {_MOST_PAGES} pages: go on with nextPage.")

    def _from(self, items: list[ItemT], last: str | None) -> list[tuple[str | None, ItemT]]:
        """The items after the one with the id `last`, each with the id of the one before."""
        ids = [item.id for item in items]
        start = 0
        if last is not None:
            if last in ids:
                start = ids.index(last) + 1
            else:
                # It was deleted meanwhile, or moved to the next page: better again than never.
                self._call.notice("The item at which the last page ended is gone, so some may be listed again.")
        befores = [None, *ids[:-1]] if ids else []
        return list(zip(befores, items, strict=True))[start:]

    def _stop(self, cursor: str | None, why: str) -> None:
        self.rest = Place(cursor)
        if not self._quiet:
            self._call.notice(why)


class _InPlace(_Item, Protocol):
    @property
    def name(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...


def in_place(name: str | None, region: str | None) -> Keep[_InPlace] | None:
    """The filter that is left to us where the API takes exact names and regions: globs. None where none is left."""
    if not is_glob(name) and not is_glob(region):
        return None
    named, placed = matcher(name or "*"), matcher(region or "*")
    return lambda item: (not is_glob(name) or named(item.name)) and (not is_glob(region) or placed(item.region))


async def page_of(
    call: Call,
    fetch: Fetch[ItemT],
    *,
    after: str | None,
    limit: int | None,
    keep: Keep[ItemT] | None = None,
    count: bool = False,
) -> Page[ItemT]:
    """One page of the items that `keep` keeps; `total` where this call has seen the whole list.

    Without a filter it is one request; with `count`, the rest of a list from its beginning is read too, to say how
    many there are. With a filter that is always so.

    Raises:
        Failure: of the first request.
    """
    place = cursors.read(after) if after is not None else Place()
    if keep is None and place.last is None:
        page = await fetch(place.cursor, limit)
        rest = Place(page.next_page) if page.next_page is not None else None
        total = None
        if after is None and not page.has_more:
            total = len(page.items)
        elif after is None and count and rest is not None:
            others = await _count(call, fetch, rest)
            total = len(page.items) + others if others is not None else None
        return _page(page.items, page.has_more, rest, total)
    walk = Walk(call, fetch, place)
    most, kept, fitting = limit or USUAL, list[ItemT](), 0
    following: Place | None = None
    items = walk.items()
    async for item in items:
        if keep is not None and not keep(item):
            continue
        fitting += 1
        if fitting <= most:
            kept.append(item)
        elif following is None:
            following = walk.here
            if after is not None:
                break
    await items.aclose()
    whole = after is None and walk.rest is None
    rest = following or walk.rest
    return _page(kept, rest is not None, rest, fitting if whole else None)


async def _count(call: Call, fetch: Fetch[ItemT], rest: Place) -> int | None:
    """How many items follow; None where that cannot be known now: nobody asked, so nothing is said of it."""
    walk = Walk(call, fetch, rest, quiet=True)
    number = 0
    try:
        async for _ in walk.items():
            number += 1
    except Failure:
        return None
    return number if walk.rest is None else None


def _page(items: list[ItemT], has_more: bool, rest: Place | None, total: int | None) -> Page[ItemT]:
    next_page = cursors.write(rest) if rest is not None else None
    return Page(items=items, has_more=has_more, next_page=next_page, total=total)
