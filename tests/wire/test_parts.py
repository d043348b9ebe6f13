"""A long answer is read in parts: what comes of it is what reading it at once gives, and nothing can make it slow."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from paperspace_storage_server.wire import parts as module
from paperspace_storage_server.wire.live import Live
from paperspace_storage_server.wire.messages import Answer
from paperspace_storage_server.wire.parts import parts
from paperspace_storage_server.wire.published import Published
from paperspace_storage_tools.errors import Malformed
from paperspace_storage_tools.models import Snapshot
from paperspace_storage_tools.ports import SnapshotQuery

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
ITEMS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), min_size=1, max_size=12)
FRAMES = st.dictionaries(st.sampled_from(["hasMore", "nextPage", "x", '"items"', "{"]), VALUES, max_size=3)


@given(items=ITEMS, frame=FRAMES | st.none(), behind=FRAMES, indent=st.sampled_from([None, 0, 2]))
def test_the_parts_of_a_list_hold_all_its_items_in_order(
    items: list[object], frame: dict[str, object] | None, behind: dict[str, object], indent: int | None
) -> None:
    whole = items if frame is None else {**frame, "items": items, **{f"{name}_": one for name, one in behind.items()}}
    body = json.dumps(whole, indent=indent, ensure_ascii=len(items) % 2 == 0).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PART", 40)
        found = list(parts(body))
    read = [json.loads(part.body) for part in found]
    lists = read if frame is None else [one["items"] for one in read]
    assert [item for one in lists for item in one] == items
    assert [len(one) for one in lists] == [part.items for part in found]
    assert [part.before for part in found] == [sum(map(len, lists[:place])) for place in range(len(lists))]
    if frame is not None:
        assert [{**one, "items": items} for one in read] == [json.loads(body)] * len(read)


@given(body=st.binary(max_size=60) | st.text('[]{},:"\\ax1 \n', max_size=60).map(str.encode))
def test_what_is_no_json_as_a_whole_is_none_in_parts(body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PART", 5)
        try:
            [from_json(part.body) for part in parts(body)]
        except (Malformed, ValueError):
            return
    from_json(body)


def _snapshots(count: int, **more: object) -> list[dict[str, object]]:
    return [{"id": f"ss{number}", "machineId": "ps1", "name": f"n{number}", **more} for number in range(count)]


def _published(body: bytes, query: SnapshotQuery | None = None) -> tuple[list[Snapshot], str | None]:
    operation = Published().list_snapshots(query or SnapshotQuery())
    page = operation.decode(Answer(200, "application/json", body)).value
    return page.items, page.next_page


def _live(body: bytes) -> tuple[list[Snapshot], str | None]:
    page = Live().list_snapshots(SnapshotQuery()).decode(Answer(200, "application/json", body)).value
    return page.items, page.next_page


def test_a_page_is_cut_out_of_a_list_of_ten_thousand() -> None:
    body = json.dumps(_snapshots(10_000)).encode()
    items, next_page = _published(body)
    assert ([item.id for item in items], next_page) == ([f"ss{number}" for number in range(100)], "ss99")
    ordered = SnapshotQuery(order_by="name", order="desc", limit=2, after="ss9998")
    items, next_page = _published(body, ordered)
    assert ([item.name for item in items], next_page) == (["n9997", "n9996"], "ss9996")


def test_a_long_page_in_its_envelope_is_read_whole() -> None:
    body = json.dumps({"hasMore": True, "items": _snapshots(120, x="y" * 2000), "nextPage": "c"}).encode()
    assert len(body) > module.LARGEST_WHOLE
    items, next_page = _live(body)
    assert ([item.id for item in items], next_page) == ([f"ss{number}" for number in range(120)], "c")


@pytest.mark.parametrize(("count", "taken"), [(1_000, True), (1_001, False)])
def test_a_page_has_at_most_a_thousand_items(count: int, taken: bool) -> None:
    body = b'{"hasMore":false,"items":[' + b",".join([b'{"id":"a"}'] * count) + b"]}"
    assert len(body) < module.LARGEST_WHOLE
    if taken:
        assert len(_live(body)[0]) == count
        return
    with pytest.raises(Malformed) as caught:
        _live(body)
    assert caught.value.what == "it has more than 1,000 items"


LONG = b'"' + b"x" * module.LARGEST_WHOLE + b'"'
MANY = b",".join([b'{"id":"a"}'] * 20_000)
SOME = json.dumps(_snapshots(1_000, x="y" * 150)).encode()[1:-1]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (json.dumps(_snapshots(10_001)).encode(), "it has more than 10,000 items"),
        (b"[" + b"{}," * 1_300_000 + b"{}]", "it has more than 10,000 items"),
        (json.dumps([*_snapshots(9_000), {"name": "no id"}]).encode(), "9000.id is not of the promised shape"),
        (json.dumps([*_snapshots(9_000), 5]).encode(), "item 9000 is cut off, larger than 8 KiB, or no object"),
        (b"[" + LONG + b"]", "item 0 is cut off, larger than 8 KiB, or no object"),
        (b'[{"id":' + LONG + b"}]", "item 0 is cut off, larger than 8 KiB, or no object"),
        (b"[" * 4_000_000, "item 0 is cut off, larger than 8 KiB, or no object"),
        (b'[{"id":"' + b'\\"' * 2_000_000, "item 0 is cut off, larger than 8 KiB, or no object"),
        (json.dumps(_snapshots(9_000)).encode()[:-1], "item 8999 is cut off, larger than 8 KiB, or no object"),
        (json.dumps(_snapshots(9_000)).encode() + b"]", "it is cut off or not JSON"),
        (b" " * 200_000 + b"[]", "it is long, and no list"),
        (b'{"id":' + LONG + b"}", "it is long, and no list"),
        (b'{"id":"a","a":{},"x":' + LONG + b',"items":[]}', "it is long, and no list"),
        (LONG, "it is long, and no list"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_a_long_answer_that_is_no_list_of_the_api_is_named(body: bytes, what: str) -> None:
    with pytest.raises(Malformed) as caught:
        _published(body)
    assert caught.value.what == what


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"hasMore":false,"items":[' + MANY + b"]}", "it has more than 1,000 items"),
        (b'{"hasMore":false,"items":[' + SOME + b'],"x":' + LONG + b"}", "it goes on after its items"),
        (b'{"hasMore":false,"items":[' + MANY * 6 + b"]}", "it is larger than any page"),
        (b'{"hasMore":false,"items":[' + SOME + b'],"\\u0069tems":[]}', "its items are named twice"),
        (b'{"hasMore":false,"items":[' + SOME + b'],"success":false}', 'status 200, and its "success" is not true'),
        (b'{"hasMore":false,"items":[' + SOME + b"],}", "it is cut off or not JSON"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_a_long_page_that_is_none_of_the_api_is_named(body: bytes, what: str) -> None:
    with pytest.raises(Malformed) as caught:
        _live(body)
    assert caught.value.what == what
