"""Machines, their automatic snapshots, private networks, whose key it is, and the API's own description."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_server.sandbox import app, create_app

from .calls import Api, Clock, open_api
from .claims import proves
from .described import read

DAY = 24 * 3600


def _machine(live: Api, name: str) -> Any:
    (found,) = live.items("/machines", name=name)
    return found


def _automatic(live: Api, machine: str) -> list[str]:
    return [row["name"] for row in live.items("/snapshots", machineId=machine, limit=120) if row["isAutoSnapshot"]]


@proves("M1", "M2")
def test_a_machine_says_where_it_is_and_which_automatic_snapshots_it_takes(live: Api) -> None:
    trainer = _machine(live, "llm-trainer")
    (network,) = live.items("/private-networks", region="ny2")
    assert trainer == {
        "id": trainer["id"],
        "name": "llm-trainer",
        "state": "ready",
        "region": "ny2",
        "machineType": "A100-80G",
        "networkId": network["id"],
        "os": "Ubuntu 22.04",
        "autoSnapshotEnabled": True,
        "autoSnapshotFrequency": "weekly",
        "autoSnapshotSaveCount": 2,
        "restorePointEnabled": False,
        "restorePointSnapshotId": None,
        "storageUsed": 184 * 10**9,
        "storageTotal": 500 * 10**9,
        "dtCreated": "2025-07-17T02:40:00.000Z",
    }
    renderer = _machine(live, "render-01")
    assert [renderer[name] for name in ("state", "autoSnapshotEnabled", "autoSnapshotFrequency")] == [
        "off",
        False,
        None,
    ]
    assert {row["machineId"] for row in live.items("/snapshots")} == {row["id"] for row in live.items("/machines")}


@proves("M1", "L5")
def test_machines_and_networks_are_filtered_and_ordered(live: Api) -> None:
    names = [row["name"] for row in live.items("/machines", orderBy="state", order="asc")]
    assert names == ["render-01", "llm-trainer", "notebook-box", "eu-inference"]
    assert [row["name"] for row in live.items("/machines", region="ams1")] == ["eu-inference"]
    assert live.items("/machines", region="ams1", name="llm-trainer") == []
    by_state = live.get("/machines", orderBy="state", order="asc", limit=1).body
    rest = live.get("/machines", orderBy="state", order="asc", after=by_state["nextPage"]).body
    assert [row["name"] for row in rest["items"]] == names[1:]
    assert live.get("/machines", after=by_state["nextPage"]).code == (400, "BAD_REQUEST")
    assert live.get("/private-networks", orderBy="state").code == (400, "BAD_REQUEST")


@proves("M3")
def test_a_private_network_says_where_it_is(live: Api) -> None:
    (network,) = live.items("/private-networks", name="render-ca1")
    assert network == {
        "id": network["id"],
        "name": "render-ca1",
        "region": "ca1",
        "network": "10.72.0.0",
        "netmask": "255.255.0.0",
        "dtCreated": "2025-06-17T02:40:00.000Z",
    }
    drives = live.items("/shared-drives", region="ca1")
    assert {row["networkId"] for row in drives} == {network["id"]}


@proves("M4")
def test_a_key_can_ask_whose_it_is(live: Api) -> None:
    mine, other = live.get("/auth/session").body, live.with_key("another-key").get("/auth/session").body
    team = mine["team"]["id"]
    assert mine == {"team": {"id": team, "namespace": f"sandbox-{team[-4:]}", "isPrivate": True}}
    assert other["team"]["id"] != team


@proves("M5", "M6")
def test_automatic_snapshots_come_with_the_time_and_push_out_the_oldest(live: Api, clock: Clock) -> None:
    trainer = _machine(live, "llm-trainer")["id"]
    assert _automatic(live, trainer) == ["Automatic snapshot 2026-02-01", "Automatic snapshot 2026-01-25"]
    by_hand = [row for row in live.items("/snapshots", machineId=trainer) if not row["isAutoSnapshot"]]
    clock.now = 1_770_000_000 // DAY * DAY + 6 * DAY + 3 * 3600 - 1
    assert _automatic(live, trainer) == ["Automatic snapshot 2026-02-01", "Automatic snapshot 2026-01-25"]
    clock.advance(1)
    assert _automatic(live, trainer) == ["Automatic snapshot 2026-02-08", "Automatic snapshot 2026-02-01"]
    event = live.items("/machine-events", machineId=trainer)[0]
    assert (event["name"], event["dtCreated"]) == ("snapshot-create", "2026-02-08T03:00:00.000Z")
    clock.advance(70 * DAY)  # nobody asked for ten weeks: what would have been removed meanwhile is not made
    assert _automatic(live, trainer) == ["Automatic snapshot 2026-04-19", "Automatic snapshot 2026-04-12"]
    assert [row for row in live.items("/snapshots", machineId=trainer) if not row["isAutoSnapshot"]] == by_hand
    assert len(live.items("/machine-events", machineId=trainer, limit=120)) == 4 + 3


@proves("M6")
def test_a_safety_snapshot_counts_as_an_automatic_one(live: Api, clock: Clock) -> None:
    box = _machine(live, "notebook-box")["id"]
    (only,) = _automatic(live, box)
    snapshot = next(row for row in live.items("/snapshots", machineId=box) if not row["isAutoSnapshot"])
    live.post(f"/snapshots/{snapshot['id']}/restore", {"createSnapshotBeforeRestore": True})
    assert _automatic(live, box) == [f"Before restore of {snapshot['name']}", only]
    clock.advance(7 * DAY)
    assert _automatic(live, box) == ["Automatic snapshot 2026-02-07"]


@proves("M5")
def test_a_machine_without_automatic_snapshots_takes_none(live: Api, clock: Clock) -> None:
    renderer = _machine(live, "render-01")["id"]
    before = live.items("/snapshots", machineId=renderer)
    clock.advance(365 * DAY)
    assert live.items("/snapshots", machineId=renderer) == before


@proves("M5")
def test_automatic_snapshots_come_in_the_published_dialect_too(published: Api, clock: Clock) -> None:
    before = published.items("/snapshots")
    clock.advance(7 * DAY)
    came = [row for row in published.items("/snapshots") if row not in before]
    assert sorted(row["name"] for row in came) == [f"Automatic snapshot 2026-02-0{day}" for day in (5, 7, 8)]


@proves("M7")
def test_the_api_describes_itself_to_anyone(live: Api) -> None:
    """The file is the description as JSON: after a change of that, run this test once with UPDATE_SNAPSHOTS=1."""
    file = Path(app.__file__).with_name("live.openapi.json")
    described = read("live")
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    assert live.with_key(None).get("/openapi.json").body == described


@proves("M8")
@pytest.mark.parametrize("path", ["/machines", "/private-networks", "/auth/session", "/openapi.json"])
def test_published_knows_snapshots_of_machines_and_not_the_machines(published: Api, path: str) -> None:
    assert published.get(path).code == (404, "NOT_FOUND")


def _all(live: Api, path: str) -> list[Any]:
    items: list[Any] = []
    query: dict[str, str | int] = {"limit": 120}
    while True:
        page = live.get(path, **query).body
        items += page["items"]
        if not page["hasMore"]:
            return items
        query["after"] = page["nextPage"]


def test_a_large_team_is_the_same_every_time_and_fits_together(clock: Clock) -> None:
    first, again = (open_api("live", clock, large=True) for _ in range(2))
    lists = {path: _all(first, path) for path in ("/shared-drives", "/snapshots", "/machines", "/storage-providers")}
    assert {path: len(rows) for path, rows in lists.items()} == {
        "/shared-drives": 150,
        "/snapshots": 2000,
        "/machines": 11,
        "/storage-providers": 8,
    }
    for path, rows in lists.items():
        assert len({row["id"] for row in rows}) == len(rows)
        assert _all(again, path) == rows
    assert len({(row["name"], row["region"]) for row in lists["/shared-drives"]}) == 150
    with_snapshots = {row["id"] for row in lists["/machines"] if row["name"] != "fjord-notebook"}
    assert {row["machineId"] for row in lists["/snapshots"]} == with_snapshots
    for machine in lists["/machines"]:
        mine = [row for row in lists["/snapshots"] if row["machineId"] == machine["id"]]
        assert sum(row["isAutoSnapshot"] for row in mine) == (machine["autoSnapshotSaveCount"] or 0)
        assert machine["storageUsed"] <= machine["storageTotal"]
    assert first.get("/storage-providers/utilization").body["remainingFreeStorage"] == "0"
    clock.advance(11 * 3600)
    assert _all(first, "/snapshots") == lists["/snapshots"]
    clock.advance(2 * 3600)
    assert len(_all(first, "/snapshots")) == 2000
    assert _all(first, "/snapshots") != lists["/snapshots"]
    for api in (first, again):
        api.app.state.close()


def test_a_team_that_is_there_stays_as_it_is(tmp_path: Path, clock: Clock) -> None:
    sample = Api(create_app("live", db=tmp_path / "db", clock=clock), "live")
    drives = sample.items("/shared-drives")
    sample.app.state.close()
    large = Api(create_app("live", db=tmp_path / "db", clock=clock, large=True), "live")
    assert large.items("/shared-drives") == drives
    assert len(_all(large.with_key("a-new-key"), "/shared-drives")) == 150
    large.app.state.close()
