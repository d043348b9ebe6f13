"""Lists that no page holds: filters of ours over many pages, totals, summaries, and cursors that go on exactly."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client

from paperspace_storage_server.sandbox import create_app
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.listing import entries
from paperspace_storage_tools.models import Page, Snapshot, SnapshotList
from paperspace_storage_tools.ports import Call
from paperspace_storage_tools.snapshot_summary import summarise
from paperspace_storage_tools.walk import page_of
from support.recorded import Exchange, RecordedApi, answer_of, connected, failure_of
from support.schemas import conform

pytestmark = pytest.mark.anyio
NOW = 1_770_000_000.0
MORE = "The time of this call was over before the list: go on with nextPage."


@asynccontextmanager
async def large_team() -> AsyncGenerator[Client]:
    app = create_app("live", clock=lambda: NOW, large=True)
    try:
        async with connected(app, "live", confirm="never") as client:
            yield client
    finally:
        app.state.close()


async def _everything(client: Client, tool: str, **arguments: Any) -> list[Any]:
    """Every item, page by page as the API gives them."""
    items: list[Any] = []
    while True:
        page = answer_of(await client.call_tool(tool, {"limit": 120, **arguments}))
        items += page["items"]
        if not page["hasMore"]:
            return items
        arguments["after"] = page["nextPage"]


async def _walked(client: Client, tool: str, **arguments: Any) -> tuple[list[Any], list[int | None]]:
    items: list[Any] = []
    totals: list[int | None] = []
    while True:
        page = answer_of(await client.call_tool(tool, arguments))
        items += page["items"]
        totals.append(page.get("total"))
        assert page["hasMore"] == ("nextPage" in page)
        if not page["hasMore"]:
            return items, totals
        arguments["after"] = page["nextPage"]


FILTERS: list[tuple[str, dict[str, Any], Callable[[Any], bool]]] = [
    ("list_snapshots", {"automatic": True}, lambda one: one["isAutoSnapshot"]),
    ("list_snapshots", {"automatic": False, "name": "Clean*"}, lambda one: one["name"].startswith("Clean")),
    ("list_snapshots", {"name": "*2"}, lambda one: one["name"].endswith("2")),
    ("list_snapshots", {"name": "nothing*"}, lambda one: False),
    ("list_shared_drives", {"name": "*-logs-*"}, lambda one: "-logs-" in one["name"]),
    ("list_shared_drives", {"name": "atlas-*", "region": "ca1"}, lambda one: False),
    ("list_shared_drives", {"region": "*2"}, lambda one: one["region"] == "ny2"),
    ("list_storage_providers", {"name": "*r*-artifacts"}, lambda one: "r" in one["name"].split("-")[0]),
    ("list_machines", {"name": "*-serve"}, lambda one: one["name"].endswith("-serve")),
    ("list_machines", {"region": "*1"}, lambda one: one["region"].endswith("1")),
    ("list_private_networks", {"name": "*-ny2"}, lambda one: one["name"].endswith("-ny2")),
    ("list_private_networks", {"region": "*1"}, lambda one: one["region"].endswith("1")),
]


def test_every_filter_of_every_list_is_tried_on_a_list_that_no_page_holds() -> None:
    filters = {
        (entry["name"], argument)
        for entry in entries(CATALOGUE)
        for argument, schema in entry["inputSchema"]["properties"].items()
        if schema.get("description") == "exact or glob" or argument == "automatic"
    }
    tried = {(tool, argument) for tool, arguments, _ in FILTERS for argument in arguments}
    assert tried == filters


@pytest.mark.parametrize(
    ("tool", "arguments", "fits"), FILTERS, ids=[f"{tool} {arguments}" for tool, arguments, _ in FILTERS]
)
@pytest.mark.parametrize("limit", [None, 1, 50])
async def test_a_filter_finds_every_item_once_in_order_and_says_how_many(
    tool: str, arguments: dict[str, Any], fits: Callable[[Any], bool], limit: int | None
) -> None:
    async with large_team() as client:
        wanted = [one for one in await _everything(client, tool) if fits(one)]
        if limit == 1:
            page = answer_of(await client.call_tool(tool, {**arguments, "limit": 1}))
            assert page["items"] == wanted[:1]
            assert page["total"] == len(wanted)
            assert page["hasMore"] == (len(wanted) > 1)
            return
        paged = {**arguments, **({"limit": limit} if limit else {})}
        items, totals = await _walked(client, tool, **paged)
    assert items == wanted
    assert totals[0] == len(wanted)
    assert set(totals[1:]) <= {None}


async def test_a_short_page_of_a_list_that_nobody_filters_says_how_many_there_are() -> None:
    async with large_team() as client:
        drives = answer_of(await client.call_tool("list_shared_drives", {"region": "ams1", "limit": 1}))
        assert (len(drives["items"]), drives["hasMore"], drives["total"]) == (1, True, 38)
        machines = answer_of(await client.call_tool("list_machines", {"limit": 2}))
        assert (len(machines["items"]), machines["total"]) == (2, 11)
        snapshots = answer_of(await client.call_tool("list_snapshots", {"limit": 2}))
        assert "total" not in snapshots  # the summary counts those
        rest = answer_of(await client.call_tool("list_machines", {"limit": 2, "after": machines["nextPage"]}))
        assert "total" not in rest


async def test_what_cannot_be_counted_now_is_not_spoken_of() -> None:
    api = RecordedApi(
        [
            Exchange("GET", "/machines?limit=1", body=_page(0, 1, "c1")),
            Exchange("GET", "/machines?after=c1&limit=120", status=503, body={"code": "X", "message": "later"}),
        ]
    )
    async with connected(api, "live") as client:
        page = answer_of(await client.call_tool("list_machines", {"limit": 1}))
    api.assert_kept_to_script()
    assert page == {"items": [{"id": "ss0", "name": "n0"}], "hasMore": True, "nextPage": "c1"}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 9),
    order=st.sampled_from(["asc", "desc"]),
    gone=st.lists(st.integers(0, 8), max_size=3),
    data=st.data(),
)
def test_a_page_goes_on_without_a_gap_while_what_was_seen_is_deleted(
    limit: int, order: str, gone: list[int], data: st.DataObject
) -> None:
    async def check() -> None:
        app = create_app("live", clock=lambda: NOW, event_seconds=0, large=True)
        async with connected(app, "live", confirm="never") as client:
            (machine,) = answer_of(await client.call_tool("list_machines", {"name": "ember-serve"}))["items"]
            asked = {"machineId": machine["id"], "name": "*e*", "order": order, "limit": limit}
            wanted = [one["id"] for one in (await _walked(client, "list_snapshots", **{**asked, "limit": 120}))[0]]
            seen: list[str] = []
            while True:
                page = answer_of(await client.call_tool("list_snapshots", asked))
                ids = [one["id"] for one in page["items"]]
                seen += ids
                for place in gone:
                    if place < len(ids):
                        await client.call_tool("delete_snapshot", {"id": ids[place]})
                if not page["hasMore"]:
                    break
                asked["after"] = page["nextPage"]
        app.state.close()
        assert set(wanted) <= set(seen)
        if not gone:
            assert seen == wanted

    anyio.run(check)


async def test_a_summary_counts_every_snapshot_by_machine() -> None:
    async with large_team() as client:
        everything = await _everything(client, "list_snapshots")
        schema = next(one for one in (await client.list_tools()).tools if one.name == "list_snapshots").output_schema
        summary = answer_of(await client.call_tool("list_snapshots", {"summary": True, "order": "asc"}))
        conform(summary, schema or {})
        only = answer_of(
            await client.call_tool("list_snapshots", {"summary": True, "machineId": everything[0]["machineId"]})
        )
        few = answer_of(await client.call_tool("list_snapshots", {"summary": True, "automatic": True, "limit": 2}))
    expected: dict[str, Any] = {}
    for one in everything:
        name = {"id": one["id"], "name": one["name"]}
        line = expected.setdefault(
            one["machineId"], {"machineId": one["machineId"], "snapshots": 0, "automatic": 0, "newest": name}
        )
        line["snapshots"] += 1
        line["automatic"] += one["isAutoSnapshot"]
        line["oldest"] = name
    assert summary["total"] == 2000
    assert set(summary) == {"machines", "total"}
    assert sorted(summary["machines"], key=str) == sorted(expected.values(), key=str)
    counts = [line["snapshots"] for line in summary["machines"]]
    assert counts == sorted(counts, reverse=True)
    assert only == {"machines": [expected[everything[0]["machineId"]]], "total": only["machines"][0]["snapshots"]}
    assert len(few["machines"]) == 2
    assert all(line["snapshots"] == line["automatic"] for line in few["machines"])
    assert few["total"] == sum(one["isAutoSnapshot"] for one in everything)
    rest = sum(1 for line in expected.values() if line["automatic"]) - 2
    assert few["notice"].startswith(f"{rest} more machines with ")


def _page(first: int, last: int, cursor: str | None) -> dict[str, Any]:
    items = [
        {"id": f"ss{number}", "machineId": f"ps{number % 2}", "name": f"n{number}", "isAutoSnapshot": number % 3 == 0}
        for number in range(first, last)
    ]
    return {"items": items, "hasMore": cursor is not None, "nextPage": cursor}


@dataclass
class _Slow:
    """A call of 50 s over a list whose every page takes so long; what `tools.walk` needs of a `Call`."""

    page_seconds: float
    spent: float = 0.0
    asked: list[str | None] = field(default_factory=list[str | None])
    notices: list[str] = field(default_factory=list[str])

    def left(self) -> float:
        return 50.0 - self.spent

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)

    async def fetch(self, after: str | None, limit: int | None) -> Page[Snapshot]:
        assert limit == 120
        self.asked.append(after)
        self.spent += self.page_seconds
        number = len(self.asked)
        page = _page(number * 6 - 6, number * 6, f"c{number}")
        return msgspec.convert(page, Page[Snapshot])


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (
            False,
            {
                "items": [{"id": f"ss{n}", "machineId": f"ps{n % 2}", "name": f"n{n}", "isAutoSnapshot": True}
                          for n in (0, 3, 6, 9)],
                "hasMore": True,
                "nextPage": "c2",
                "notice": MORE,
            },
        ),
        (
            True,
            {
                "machines": [
                    {
                        "machineId": "ps0", "snapshots": 2, "automatic": 2,
                        "newest": {"id": "ss0", "name": "n0"}, "oldest": {"id": "ss6", "name": "n6"},
                    },
                    {
                        "machineId": "ps1", "snapshots": 2, "automatic": 2,
                        "newest": {"id": "ss3", "name": "n3"}, "oldest": {"id": "ss9", "name": "n9"},
                    },
                ],
                "hasMore": True,
                "nextPage": "c2",
                "notice": f"{MORE} This counts the list so far, not all of it.",
            },
        ),
    ],
)  # fmt: skip
async def test_where_the_budget_ends_first_the_cursor_goes_on_there_and_no_total_is_claimed(
    summary: bool, expected: dict[str, Any]
) -> None:
    slow = _Slow(15.0)
    call = cast("Call", slow)
    made: Page[Snapshot] | SnapshotList
    if summary:
        made = await summarise(call, slow.fetch, after=None, most=None, keep=lambda one: bool(one.is_auto_snapshot))
    else:
        made = await page_of(call, slow.fetch, after=None, limit=None, keep=lambda one: bool(one.is_auto_snapshot))
    assert slow.asked == [None, "c1"]  # a third page might not come in the 20 s that are left
    assert {**msgspec.to_builtins(made), "notice": " ".join(slow.notices)} == expected


async def test_a_list_that_never_ends_is_left_in_time() -> None:
    slow = _Slow(0.0)
    page = await page_of(cast("Call", slow), slow.fetch, after=None, limit=None, keep=lambda one: False)
    assert (page.items, page.next_page, page.total) == ([], "c500", None)
    assert slow.notices == ["The list was read for 500 pages: go on with nextPage."]


async def test_a_later_page_that_cannot_be_had_ends_the_list_with_a_cursor() -> None:
    api = RecordedApi(
        [
            Exchange("GET", "/snapshots?limit=120", body=_page(0, 6, "c1")),
            Exchange("GET", "/snapshots?after=c1&limit=120", status=503, body={"code": "X", "message": "later"}),
        ]
    )
    async with connected(api, "live") as client:
        result = answer_of(await client.call_tool("list_snapshots", {"name": "n5"}))
    api.assert_kept_to_script()
    assert [one["id"] for one in result["items"]] == ["ss5"]
    assert (result["hasMore"], result["nextPage"], "total" in result) == (True, "c1", False)
    assert result["notice"].startswith("The list was not read to its end: The API failed (503).")


async def test_a_stop_in_the_middle_of_a_page_goes_on_after_what_was_given_or_from_the_page_s_beginning() -> None:
    first = [
        Exchange("GET", "/snapshots?after=c0&limit=120", body=_page(0, 6, "c1")),
        Exchange("GET", "/snapshots?after=c1&limit=120", body=_page(6, 12, None)),
    ]
    asked = {"name": "n*", "limit": 8, "after": "c0"}
    api = RecordedApi(first)
    async with connected(api, "live") as client:
        page = answer_of(await client.call_tool("list_snapshots", asked))
    api.assert_kept_to_script()
    assert [one["id"] for one in page["items"]] == [f"ss{number}" for number in range(8)]
    assert page["nextPage"].endswith(":ss7:c1")
    for start, ids, notice in (
        (6, range(8, 12), None),
        (8, range(8, 12), "The item at which the last page ended is gone, so some may be listed again."),
    ):
        api = RecordedApi([Exchange("GET", "/snapshots?after=c1&limit=120", body=_page(start, 12, None))])
        async with connected(api, "live") as client:
            rest = answer_of(await client.call_tool("list_snapshots", {**asked, "after": page["nextPage"]}))
        api.assert_kept_to_script()
        assert [one["id"] for one in rest["items"]] == [f"ss{number}" for number in ids]
        assert rest.get("notice") == notice
        assert "total" not in rest


async def test_a_cursor_of_a_filtered_list_works_without_the_filter_too() -> None:
    api = RecordedApi([Exchange("GET", "/snapshots?limit=120", body=_page(0, 6, None))] * 2)
    async with connected(api, "live") as client:
        page = answer_of(await client.call_tool("list_snapshots", {"name": "n*", "limit": 3}))
        rest = answer_of(await client.call_tool("list_snapshots", {"after": page["nextPage"]}))
    assert [one["id"] for one in rest["items"]] == ["ss3", "ss4", "ss5"]


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ([_page(0, 3, "c1"), _page(3, 6, "c1")], "its cursors lead in a circle"),
        ([_page(0, 3, "c1"), {**_page(3, 6, None), "hasMore": True}], "there is more, and gives no cursor"),
    ],
)
async def test_a_list_that_cannot_end_is_malformed(pages: list[dict[str, Any]], says: str) -> None:
    targets = ["/snapshots?limit=120", "/snapshots?after=c1&limit=120"]
    api = RecordedApi([Exchange("GET", target, body=page) for target, page in zip(targets, pages, strict=True)])
    async with connected(api, "live") as client:
        assert says in failure_of(await client.call_tool("list_snapshots", {"automatic": False}))


async def test_a_page_that_says_there_is_more_claims_no_total() -> None:
    api = RecordedApi([Exchange("GET", "/snapshots", body={**_page(0, 2, None), "hasMore": True})])
    async with connected(api, "live") as client:
        page = answer_of(await client.call_tool("list_snapshots", {}))
    assert (page["hasMore"], "nextPage" in page, "total" in page) == (True, False, False)


async def test_a_cursor_that_is_too_odd_to_come_back_is_wrapped() -> None:
    api = RecordedApi(
        [
            Exchange("GET", "/snapshots?limit=1", body=_page(0, 1, "~odd\u200b")),
            Exchange("GET", "/snapshots?after=~odd%E2%80%8B&limit=1", body=_page(1, 2, None)),
        ]
    )
    async with connected(api, "live") as client:
        page = answer_of(await client.call_tool("list_snapshots", {"limit": 1}))
        rest = answer_of(await client.call_tool("list_snapshots", {"limit": 1, "after": page["nextPage"]}))
    api.assert_kept_to_script()
    assert "notice" not in page
    assert [one["id"] for one in rest["items"]] == ["ss1"]
