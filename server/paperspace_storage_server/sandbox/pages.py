"""The live dialect's pages and their opaque cursors; knows no operation.

A cursor holds the list's order and the sort key of the last row seen, and nothing secret. It names a
place, not a row: rows that come or go meanwhile make no other row appear twice or not at all.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Literal, cast

from .fields import Query, storable
from .store import AnyRow, Row, Window

MOST = 120
USUAL = 20

Column = Literal["created", "name", "state"]
_COLUMNS: Mapping[str, Column] = {"dtCreated": "created", "name": "name", "state": "state"}
_LARGEST = 2**63 - 1
_LONGEST_CURSOR = 4096


def window(query: Query, orders: tuple[str, ...] = ("dtCreated",)) -> Window:
    """Reads after, limit, order and orderBy, one of `orders`, the first unless told.

    One row more than the limit is asked for, to learn of the next page.
    """
    limit = query.whole("limit", 1, MOST) or USUAL
    by = _COLUMNS.get(query.choice("orderBy", orders), "created")
    descending = query.choice("order", ("desc", "asc")) == "desc"
    after, cursor = None, query.text("after")
    if cursor is not None:
        after = _place(cursor, by, descending)
        if after is None:
            query.issue("after", "is not a cursor of this list in this order")
    return Window(by, descending, after, limit + 1)


def page(rows: list[AnyRow], window: Window, spell: Callable[[AnyRow], Mapping[str, object]]) -> Mapping[str, object]:
    """The envelope: the rows but the surplus one, and a cursor where there was one."""
    limit = (window.limit or USUAL + 1) - 1
    shown, more = rows[:limit], len(rows) > limit
    return {
        "hasMore": more,
        "items": [spell(row) for row in shown],
        "nextPage": _cursor(shown[-1], window) if more else None,
    }


def _cursor(row: Row, window: Window) -> str:
    place = [window.by, window.descending, getattr(row, window.by), row.seq]
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def _place(cursor: str, by: str, descending: bool) -> tuple[int | str, int] | None:
    if len(cursor) > _LONGEST_CURSOR:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        parsed: object = json.loads(text)
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(parsed, list):
        return None
    place = cast("list[object]", parsed)
    if len(place) != 4 or place[0] != by or place[1] is not descending:
        return None
    key, seq = place[2], place[3]
    if not _is_integer(seq) or not (_is_integer(key) if by == "created" else _is_text(key)):
        return None
    return cast("tuple[int | str, int]", (key, seq))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and storable(value)
