"""Snapshots and the events they set off."""

from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_server.sandbox import create_app

from .calls import Api, Clock
from .claims import proves

T0 = "2026-02-02T02:40:00.000Z"


def _named(api: Api, name: str) -> Any:
    (found,) = [row for row in api.items("/snapshots", limit=100) if row["name"] == name]
    return found


def _state(live: Api, event: Any) -> tuple[str, str | None, str | None]:
    now = live.get(f"/machine-events/{event['id']}").body
    return now["state"], now["dtStarted"], now["dtFinished"]


@proves("S1")
def test_published_snapshots_have_a_note_a_size_and_a_date(published: Api) -> None:
    machine = _named(published, "Before pip clean-up")["machineId"]
    created = published.post("/snapshots", {"machineId": machine, "name": "mine", "note": "why"})
    assert created.status == 201
    mine = {"machineId": machine, "name": "mine", "note": "why", "storageSize": 46 * 10**9, "dtCreated": T0}
    assert created.body == {"id": created.body["id"], **mine}
    assert published.get("/snapshots", machineId=machine, limit=1).body == [created.body]
    changed = published.put(f"/snapshots/{created.body['id']}", {"note": ""})
    assert changed.body == {**created.body, "note": ""}
    deleted = published.delete(f"/snapshots/{created.body['id']}")
    assert (deleted.status, deleted.body) == (204, None)
    assert published.get(f"/snapshots/{created.body['id']}").code == (404, "NOT_FOUND")


@proves("S2")
def test_live_answers_a_snapshot_with_the_event_to_poll(live: Api) -> None:
    machine = _named(live, "Before pip clean-up")["machineId"]
    created = live.post("/snapshots", {"machineId": machine, "name": "mine"}).body
    assert created == {
        "data": {"id": created["data"]["id"], "machineId": machine, "name": "mine", "isAutoSnapshot": False},
        "event": {
            "id": created["event"]["id"],
            "name": "snapshot-create",
            "state": "new",
            "machineId": machine,
            "error": None,
            "dtCreated": T0,
            "dtStarted": None,
            "dtFinished": None,
        },
    }
    path = f"/snapshots/{created['data']['id']}"
    assert live.get(path).body == created["data"]
    assert live.put(path, {"name": "ours"}).body == {**created["data"], "name": "ours"}
    assert live.post(f"{path}/restore", {}).body["event"]["name"] == "snapshot-restore"


@proves("S2")
def test_live_takes_no_note(live: Api) -> None:
    snapshot = live.items("/snapshots")[0]
    assert live.put(f"/snapshots/{snapshot['id']}", {"note": "x"}).code == (400, "BAD_REQUEST")


@proves("S3")
def test_published_pages_follow_the_last_id_even_when_it_is_deleted(published: Api) -> None:
    everything = [row["id"] for row in published.items("/snapshots")]
    assert len(everything) == 12
    dates = [row["dtCreated"] for row in published.items("/snapshots")]
    assert dates == sorted(dates, reverse=True)
    seen: list[str] = []
    while page := published.items("/snapshots", limit=5, **({"after": seen[-1]} if seen else {})):
        seen += [row["id"] for row in page]
        published.delete(f"/snapshots/{seen[-1]}")
    assert seen == everything


@proves("S3")
@pytest.mark.parametrize(
    "query", [{"after": "ssnothing00"}, {"after": ""}, {"limit": 0}, {"limit": "x"}, {"limit": ""}]
)
def test_published_refuses_a_page_that_cannot_be(published: Api, query: dict[str, str | int]) -> None:
    assert published.get("/snapshots", **query).code == (400, "BAD_REQUEST")


@proves("S4")
def test_a_snapshot_needs_a_machine_of_the_team(api: Api) -> None:
    body = {"machineId": "psnothing00", "name": "x"}
    assert api.post("/snapshots", body).code == (404, "NOT_FOUND")
    assert api.items("/snapshots", machineId="psnothing00") == []


@proves("S5")
def test_names_repeat_and_automatic_snapshots_are_like_others(api: Api, clock: Clock) -> None:
    manual = _named(api, "Before pip clean-up")
    body = {"machineId": manual["machineId"], "name": manual["name"]}
    assert api.post("/snapshots", body).status in (200, 201)
    automatic = next(row for row in api.items("/snapshots") if row["name"].startswith("Automatic"))
    assert api.post(f"/snapshots/{automatic['id']}/restore", {}).status == 200
    clock.advance(10)
    assert api.delete(f"/snapshots/{automatic['id']}").status in (200, 204)


@proves("S6", "S7")
def test_a_restore_saves_the_machine_first_when_asked(live: Api, clock: Clock) -> None:
    baseline = _named(live, "Blender 4.2 baseline")
    restored = live.post(f"/snapshots/{baseline['id']}/restore", {"createSnapshotBeforeRestore": True}).body
    assert restored["data"] == baseline
    safety = live.items("/snapshots")[0]
    assert safety == {
        "id": safety["id"],
        "machineId": baseline["machineId"],
        "name": "Before restore of Blender 4.2 baseline",
        "isAutoSnapshot": True,
    }
    restore, save = live.items("/machine-events", machineId=baseline["machineId"])[:2]
    assert (restore["name"], save["name"]) == ("snapshot-restore", "snapshot-create")
    clock.advance(2)
    assert [row["state"] for row in live.items("/machine-events")[:2]] == ["in progress", "done"]


@proves("S7")
@pytest.mark.parametrize("body", [{}, {"createSnapshotBeforeRestore": False}])
def test_a_restore_saves_nothing_unless_asked(live: Api, body: dict[str, bool]) -> None:
    before = live.items("/snapshots")
    assert live.post(f"/snapshots/{before[0]['id']}/restore", body).status == 200
    assert live.items("/snapshots") == before


@proves("S7")
def test_the_name_of_a_safety_snapshot_fits(live: Api) -> None:
    snapshot = live.items("/snapshots")[0]
    live.put(f"/snapshots/{snapshot['id']}", {"name": "x" * 255})
    live.post(f"/snapshots/{snapshot['id']}/restore", {"createSnapshotBeforeRestore": True})
    assert live.items("/snapshots")[0]["name"] == ("Before restore of " + "x" * 255)[:255]


@proves("S8", "E2")
def test_a_snapshot_comes_at_once_and_goes_when_its_event_is_done(live: Api, clock: Clock) -> None:
    machine = live.items("/snapshots")[0]["machineId"]
    created = live.post("/snapshots", {"machineId": machine, "name": "brief"}).body
    assert live.items("/snapshots")[0] == created["data"]
    path = f"/snapshots/{created['data']['id']}"
    clock.advance(10)
    event = live.delete(path).body["event"]
    assert (event["name"], event["state"]) == ("snapshot-delete", "new")
    clock.advance(9.999)
    assert live.get(path).status == 200
    clock.advance(0.001)
    assert live.get(path).code == (404, "NOT_FOUND")
    assert created["data"] not in live.items("/snapshots")
    assert _state(live, event)[0] == "done"


@proves("S9")
def test_one_delete_or_restore_of_a_machine_at_a_time(live: Api, clock: Clock) -> None:
    trainer = _named(live, "Before CUDA 12.8 upgrade")
    other = _named(live, "Clean Ubuntu 22.04 with drivers")
    elsewhere = _named(live, "Blender 4.2 baseline")
    assert live.post(f"/snapshots/{trainer['id']}/restore", {}).status == 200
    assert live.post(f"/snapshots/{other['id']}/restore", {}).code == (409, "CONFLICT")
    assert live.delete(f"/snapshots/{other['id']}").code == (409, "CONFLICT")
    assert live.post("/snapshots", {"machineId": trainer["machineId"], "name": "x"}).status == 200
    assert live.delete(f"/snapshots/{elsewhere['id']}").status == 200
    assert live.delete(f"/snapshots/{elsewhere['id']}").code == (409, "CONFLICT")
    clock.advance(10)
    assert live.delete(f"/snapshots/{other['id']}").status == 200


@proves("S10")
def test_published_is_done_when_it_answers(published: Api) -> None:
    trainer = _named(published, "Before CUDA 12.8 upgrade")
    for _ in range(2):
        restored = published.call("POST", f"/snapshots/{trainer['id']}/restore", b"not { even JSON")
        assert (restored.status, restored.body) == (200, {})
    assert published.delete(f"/snapshots/{trainer['id']}").status == 204
    assert published.get(f"/snapshots/{trainer['id']}").code == (404, "NOT_FOUND")


@proves("S11")
def test_a_restore_brings_the_size_of_the_disk_back(published: Api) -> None:
    trainer = _named(published, "Clean Ubuntu 22.04 with drivers")
    body = {"machineId": trainer["machineId"], "name": "now"}
    assert published.post("/snapshots", body).body["storageSize"] == 184 * 10**9
    published.post(f"/snapshots/{trainer['id']}/restore", {})
    assert published.post("/snapshots", body).body["storageSize"] == trainer["storageSize"] == 21 * 10**9


@proves("S11")
def test_a_restore_in_live_sets_the_same_disk(tmp_path: Path, clock: Clock) -> None:
    live = Api(create_app("live", db=tmp_path / "db", clock=clock), "live")
    trainer = _named(live, "Clean Ubuntu 22.04 with drivers")
    live.post(f"/snapshots/{trainer['id']}/restore", {"createSnapshotBeforeRestore": True})
    live.app.state.close()
    published = Api(create_app("published", db=tmp_path / "db", clock=clock), "published")
    new = published.post("/snapshots", {"machineId": trainer["machineId"], "name": "now"}).body
    assert new["storageSize"] == 21 * 10**9
    assert _named(published, f"Before restore of {trainer['name']}")["storageSize"] == 184 * 10**9
    published.app.state.close()


@proves("S12")
@pytest.mark.parametrize("body", [b"", b"null", b'{"createSnapshotBeforeRestore": null}', b'{"x": true}'])
def test_live_refuses_a_restore_without_a_fitting_body(live: Api, body: bytes) -> None:
    snapshot = live.items("/snapshots")[0]
    assert live.call("POST", f"/snapshots/{snapshot['id']}/restore", body).code == (400, "BAD_REQUEST")


@proves("E1", "E2")
def test_an_event_is_new_then_in_progress_then_done(live: Api, clock: Clock) -> None:
    snapshot = live.items("/snapshots")[0]
    event = live.post(f"/snapshots/{snapshot['id']}/restore", {}).body["event"]
    started, finished = "2026-02-02T02:40:02.000Z", "2026-02-02T02:40:10.000Z"
    assert _state(live, event) == ("new", None, None)
    clock.advance(1.999)
    assert _state(live, event) == ("new", None, None)
    clock.advance(0.001)
    assert _state(live, event) == ("in progress", started, None)
    clock.advance(7.999)
    assert _state(live, event) == ("in progress", started, None)
    clock.advance(0.001)
    assert _state(live, event) == ("done", started, finished)
    assert live.items("/machine-events")[0] == live.get(f"/machine-events/{event['id']}").body


@proves("E1")
def test_the_events_of_a_snapshot_named_sandbox_fail_end_in_an_error(live: Api, clock: Clock) -> None:
    machine = live.items("/snapshots")[0]["machineId"]
    created = live.post("/snapshots", {"machineId": machine, "name": "sandbox-fail"}).body
    path = f"/snapshots/{created['data']['id']}"
    events = [created["event"]]
    clock.advance(10)
    events.append(live.post(f"{path}/restore", {"createSnapshotBeforeRestore": True}).body["event"])
    clock.advance(10)
    events.append(live.delete(path).body["event"])
    clock.advance(10)
    for event in events:
        ended = live.get(f"/machine-events/{event['id']}").body
        assert ended["state"] == "error"
        assert ended["error"] == "The sandbox let this event fail, because of the snapshot's name."
        assert ended["dtStarted"] < ended["dtFinished"]
    assert live.get(path).status == 200
    states = [event["state"] for event in live.items("/machine-events", machineId=machine)[:4]]
    assert states == ["error", "error", "done", "error"]


@proves("E3")
def test_published_has_no_machine_events(published: Api) -> None:
    assert published.get("/machine-events").code == (404, "NOT_FOUND")
    assert published.get("/machine-events/me123456789").code == (404, "NOT_FOUND")


def test_the_name_sandbox_fail_means_nothing_in_published(published: Api) -> None:
    machine = published.items("/snapshots")[0]["machineId"]
    created = published.post("/snapshots", {"machineId": machine, "name": "sandbox-fail"})
    assert published.delete(f"/snapshots/{created.body['id']}").status == 204
    assert published.get(f"/snapshots/{created.body['id']}").code == (404, "NOT_FOUND")
