"""A long answer in parts that are read one after the other, so that none of them takes long or much. Pure.

Neither API description bounds an answer. Production's lists come in pages of at most 120 items; the published ones come
whole, and ten thousand snapshots are 2 MiB. What is beyond the bounds here no team has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from paperspace_storage_tools.errors import Malformed

LARGEST_WHOLE = 128 * 1024  # bytes that are read in one go, a few milliseconds; all but long lists are shorter
LARGEST_ERROR = 64 * 1024  # bytes
LARGEST_ITEM = 8 * 1024  # bytes of one item of a long list, and of all beside the items: 1,300 escaped characters
LARGEST_PAGE = 512 * 1024  # bytes of a page, all of which becomes a result
MOST_ITEMS = 10_000
MOST_OF_PAGE = 1_000  # items
_MOST_ISSUES = 1_000  # of an error
_PART = 64 * 1024  # bytes, one or two milliseconds


class Part(NamedTuple):
    """The same answer with some of its items only: `items` of them, after `before` others."""

    before: int
    items: int
    body: bytes


def is_error_sized(body: bytes) -> bool:
    """Whether it can be an error of the API, or an answer that has nothing to tell."""
    return len(body) <= LARGEST_ERROR and body.count(b",") <= _MOST_ISSUES


def parts(body: bytes) -> Iterator[Part]:
    """A long list, bare or in a page's envelope (`items`), in parts. The body is valid JSON if each of them is.

    Raises:
        Malformed: no list of objects, cut off, or beyond the bounds.
    """
    opened = _OPENED.match(body[:LARGEST_ITEM])
    if opened is None:
        raise Malformed("it is long, and no list")
    if opened["page"] and len(body) > LARGEST_PAGE:
        raise Malformed("it is larger than any page")
    most = MOST_OF_PAGE if opened["page"] else MOST_ITEMS
    begin = place = opened.end()
    ends: list[tuple[int, int]] = []  # of each part: the place of the comma or bracket behind it, and items so far
    items = 0
    while True:
        item = _ITEM.match(body, place, place + LARGEST_ITEM)
        if item is None:
            raise Malformed(f"item {items} is cut off, larger than 8 KiB, or no object")
        items += 1
        if items > most:
            raise Malformed(f"it has more than {most:,} items")
        place = item.end()
        last = item["last"] is not None
        if last or place - (ends[-1][0] if ends else begin) > _PART:
            ends.append((place - 1, items))
        if last:
            break
    head, tail = body[:begin], body[place - 1 :]
    if len(tail) > LARGEST_ITEM:
        raise Malformed("it goes on after its items")
    before = 0
    for end, items in ends:
        yield Part(before, items - before, b"%s%s%s" % (head, body[begin:end], tail))
        begin, before = end + 1, items


# JSON to the depth that an item has, matched without ever going back (`++`): nothing in it can make that slow.
_TEXT = rb'"(?:[^"\\]++|\\.)*+"'


def _nested(depth: int) -> bytes:
    inner = rb"(?:%s|%s)" % (_TEXT, _nested(depth - 1)) if depth else _TEXT
    return rb'[{\[][^"{}\[\]]*+(?:%s[^"{}\[\]]*+)*+[}\]]' % inner


_ITEM = re.compile(rb"\s*+(?=\{)%s\s*+(?:,|(?P<last>\]))" % _nested(4), re.DOTALL)
# A list up to its first item: bare, or in a page behind members of any other name.
_OPENED = re.compile(
    rb'\s*+(?:\[|(?P<page>\{(?:\s*+(?!"items"\s*+:\s*+\[)%s\s*+:\s*+(?:%s|%s|[^\s,{}\[\]"]++)\s*+,)*+'
    rb'\s*+"items"\s*+:\s*+\[))' % (_TEXT, _TEXT, _nested(4)),
    re.DOTALL,
)
