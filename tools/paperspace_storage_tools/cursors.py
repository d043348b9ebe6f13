"""Where a list goes on: at a cursor of the API's, or after one item of the page that it leads to. Knows no API.

The API's cursors are opaque, and lead to the beginning of a page. A list that is filtered here may stop in the middle
of one: then the cursor that is handed out holds the API's own and the id of the item after which to go on. Such a
cursor begins with a mark, so one of the API's that begins alike, or that could not be handed back as it is (too odd
to pass the checks of an argument), is wrapped too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote, unquote

from paperspace_storage_tools.errors import Malformed
from paperspace_storage_tools.text import has_forbidden

LONGEST_CURSOR = 4000
"""Characters, of what is handed out and of what is taken back."""

_MARK = "~"
_KEPT = "=+/"  # that base64 is made of; a colon is none of them


@dataclass(frozen=True, slots=True)
class Place:
    """`cursor` is the API's, None for its first page; `last` the id of the item after which that page goes on."""

    cursor: str | None = None
    last: str | None = None


def write(place: Place) -> str:
    """The place as a `nextPage`.

    Raises:
        Malformed: the API's cursor is too long to be handed on.
    """
    cursor = place.cursor or ""
    if place.last is None and _passes(cursor):
        return cursor
    body = f"{quote(place.last or '', safe=_KEPT)}:{quote(cursor, safe=_KEPT)}"
    text = f"{_MARK}{_check(body)}:{body}"
    if len(text) > LONGEST_CURSOR:
        raise Malformed("its cursor is too long to be handed on")
    return text


def read(text: str) -> Place:
    """The place that an `after` means.

    Raises:
        ValueError: a cursor of ours that is not as it was handed out.
    """
    if not text.startswith(_MARK):
        return Place(text)
    check, _, body = text.removeprefix(_MARK).partition(":")
    last, colon, cursor = body.partition(":")
    if not colon or check != _check(body):
        raise ValueError("a nextPage exactly as a list gave it")
    return Place(unquote(cursor) or None, unquote(last) or None)


def _passes(cursor: str) -> bool:
    """Whether it can be handed out as it is, and comes back as the same."""
    if not cursor.strip() or cursor.startswith(_MARK) or has_forbidden(cursor):
        return False
    return len(cursor) <= LONGEST_CURSOR


def _check(body: str) -> str:
    """Not a seal against anyone: it tells a cursor of ours from one that a model has shortened or made up."""
    return hashlib.sha256(body.encode()).hexdigest()[:6]
