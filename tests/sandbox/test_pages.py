"""The live dialect's pages, orders, filters and cursors."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .calls import Api, Clock, open_api
from .claims import proves


def _walk(live: Api, path: str, **query: str | int) -> list[Any]:
    """Every item of every page."""
    items: list[Any] = []
    page = live.get(path, **query).body
    while True:
        items += page["items"]
        assert page["hasMore"] == (page["nextPage"] is not None)
        if not page["hasMore"]:
            return items
        page = live.get(path, **query, after=page["nextPage"]).body


LISTS = ["/shared-drives", "/snapshots", "/machine-events", "/storage-providers", "/machines", "/private-networks"]


def _cursor(*place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@proves("L1")
@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 120])
def test_every_list_gives_everything_in_pages_newest_first(live: Api, path: str, limit: int) -> None:
    everything = live.get(path, limit=120).body
    assert everything["hasMore"] is False
    assert _walk(live, path, limit=limit) == everything["items"]
    assert _walk(live, path, limit=limit, order="desc", orderBy="dtCreated") == everything["items"]
    assert _walk(live, path, limit=limit, order="asc") == everything["items"][::-1]


@proves("L1")
@pytest.mark.parametrize("path", ["/shared-drives", "/snapshots", "/machines", "/private-networks"])
def test_what_has_a_name_can_be_ordered_by_it(live: Api, path: str) -> None:
    names = [row["name"] for row in _walk(live, path, limit=3, orderBy="name", order="asc")]
    assert names == sorted(names)
    assert [row["name"] for row in _walk(live, path, limit=3, orderBy="name")] == names[::-1]


@proves("L1")
@pytest.mark.parametrize("limit", ["0", "121", "-1", "", "x", "1.5", "1_0", " 1", "٣", "9" * 5000])
def test_a_limit_is_a_whole_number_up_to_120(live: Api, limit: str) -> None:
    assert live.get("/snapshots", limit=limit).code == (400, "BAD_REQUEST")


@proves("L1")
def test_an_order_that_a_list_does_not_have_is_refused(live: Api) -> None:
    answer = live.get("/machine-events", orderBy="name", order="up")
    assert answer.code == (400, "BAD_REQUEST")
    assert answer.issues == ["orderBy must be one of dtCreated", "order must be one of desc, asc"]


@proves("L2")
def test_a_page_has_twenty_items_unless_told(live: Api) -> None:
    machine = live.items("/snapshots")[0]["machineId"]
    for number in range(12):
        live.post("/snapshots", {"machineId": machine, "name": f"number {number}"})
    first = live.get("/snapshots").body
    assert (len(first["items"]), first["hasMore"]) == (20, True)
    last = live.get("/snapshots", after=first["nextPage"]).body
    assert (len(last["items"]), last["hasMore"], last["nextPage"]) == (4, False, None)


@proves("L3")
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%%%",
        "é",
        "ssabcdefghi",
        "A" * 9000,
        _cursor(),
        _cursor("created", True, "x", 1),
        _cursor("created", True, 1, "x"),
        _cursor("created", True, 10**30, 1),
        _cursor("created", True, 1.5, 1),
        _cursor("created", True, True, 1),
        _cursor("created", 1, 1, 1),
        _cursor("created", False, 1, 1),
        _cursor("name", True, "x", 1),
        _cursor("created; DROP TABLE drives", True, 1, 1),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ],
)
def test_a_cursor_that_is_not_of_this_list_is_refused(live: Api, cursor: str) -> None:
    answer = live.get("/shared-drives", after=cursor)
    assert (answer.code, len(answer.issues)) == ((400, "BAD_REQUEST"), 1)


@proves("L3")
@pytest.mark.parametrize("key", [7, None, "\0", "\ud800", ["x"]])
def test_a_cursor_by_name_holds_a_name(live: Api, key: object) -> None:
    answer = live.get("/shared-drives", orderBy="name", after=_cursor("name", True, key, 1))
    assert answer.code == (400, "BAD_REQUEST")


@proves("L4")
@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    limit=st.integers(1, 7),
    order=st.sampled_from(["asc", "desc"]),
    by=st.sampled_from(["dtCreated", "name"]),
    inserted=st.lists(st.sampled_from(["aaa", "mmm", "zzz"]), max_size=12),
    removed=st.sets(st.integers(0, 11), max_size=6),
    pause=st.sampled_from([0.0, 1.0]),
)
def test_pages_give_every_row_once_while_rows_come_and_go(
    limit: int, order: str, by: str, inserted: list[str], removed: set[int], pause: float
) -> None:
    clock = Clock()
    live = open_api("live", clock, event_seconds=0)
    there = live.items("/snapshots")
    gone = {there[place]["id"] for place in removed}
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": limit, "order": order, "orderBy": by}
    while True:
        page = live.get("/snapshots", **query).body
        seen += [row["id"] for row in page["items"]]
        if not page["hasMore"]:
            break
        query["after"] = page["nextPage"]
        clock.advance(pause)
        if inserted:
            live.post("/snapshots", {"machineId": there[0]["machineId"], "name": inserted.pop()})
        if removed:
            live.delete(f"/snapshots/{there[removed.pop()]['id']}")
    live.app.state.close()
    assert len(seen) == len(set(seen))
    assert {row["id"] for row in there} - gone <= set(seen)


@proves("L4")
@pytest.mark.parametrize("by", ["dtCreated", "name"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_rows_of_one_moment_and_one_name_are_told_apart(live: Api, by: str, order: str) -> None:
    machine = live.items("/snapshots")[0]["machineId"]
    made = [live.post("/snapshots", {"machineId": machine, "name": "same"}).body["data"]["id"] for _ in range(9)]
    seen = [row["id"] for row in _walk(live, "/snapshots", limit=2, orderBy=by, order=order)]
    assert len(seen) == len(set(seen)) == 21
    assert set(made) <= set(seen)


@proves("L5")
def test_filters_select_exact_matches(live: Api) -> None:
    drives = live.items("/shared-drives")
    assert live.items("/shared-drives", region="ca1") == [row for row in drives if row["region"] == "ca1"]
    assert [row["name"] for row in live.items("/shared-drives", name="datasets")] == ["datasets"]
    for nothing in ("data", "DATASETS", "", "%", "\0"):
        assert live.items("/shared-drives", name=nothing) == []
    assert live.items("/shared-drives", name="datasets", region="ca1") == []
    snapshots = live.items("/snapshots")
    machine = snapshots[0]["machineId"]
    assert live.items("/snapshots", machineId=machine) == [row for row in snapshots if row["machineId"] == machine]
    assert _walk(live, "/snapshots", machineId=machine, limit=1) == live.items("/snapshots", machineId=machine)
    assert {row["machineId"] for row in live.items("/machine-events", machineId=machine)} == {machine}
