"""What a tool says when the API accepted an operation and it then failed, went on, or could not be followed."""

from __future__ import annotations

import pytest

from paperspace_storage_tools.catalogue import CATALOGUE
from support.conversations import CONVERSATIONS, Json
from support.recorded import Exchange, RecordedApi, answer_of, connected, failure_of

pytestmark = pytest.mark.anyio
SNAPSHOT: Json = {"id": "ss1", "machineId": "ps1", "name": "before"}
EVENT: Json = {"id": "me1", "state": "new"}
CREATE = {"machineId": "ps1", "name": "before"}
FOLLOW = "GET", "/machine-events/me1"


def _created(event: Json) -> list[Exchange]:
    return [
        Exchange("GET", "/snapshots?machineId=ps1&limit=120", body={"hasMore": False, "items": []}),
        Exchange("POST", "/snapshots", CREATE, 200, {"data": SNAPSHOT, "event": event}),
    ]


@pytest.mark.parametrize("state", ["error", "cancelled"])
async def test_an_event_that_fails_is_a_failure_that_says_what_was_accepted(state: str) -> None:
    api = RecordedApi([*_created(EVENT), Exchange(*FOLLOW, body={**EVENT, "state": state, "error": "disk\u202e full"})])
    async with connected(api, "live") as client:
        text = failure_of(await client.call_tool("create_snapshot", {**CREATE, "waitSeconds": 5}))
    api.assert_kept_to_script()
    assert text == (
        f"Snapshot ss1 was accepted but its machine event me1 ended as {state}. "
        'The event says: "disk full". Read the present state before trying again.'
    )


async def test_an_event_that_goes_on_comes_back_as_last_seen_with_a_notice() -> None:
    going = Exchange(*FOLLOW, body={**EVENT, "state": "in progress"})
    api = RecordedApi([*_created(EVENT), going, going])
    async with connected(api, "live") as client:
        result = answer_of(await client.call_tool("create_snapshot", {**CREATE, "waitSeconds": 1}))
    api.assert_kept_to_script()
    assert result == {
        **SNAPSHOT,
        "event": {**EVENT, "state": "in progress"},
        "notice": "Not finished: event me1 is in progress. Follow it with get_machine_event.",
    }


async def test_an_event_in_a_state_that_nobody_has_described_goes_on_and_is_no_failure() -> None:
    odd = {**EVENT, "state": 'stuck"\u202e'}
    api = RecordedApi([*_created(odd), Exchange(*FOLLOW, body=odd), Exchange(*FOLLOW, body=odd)])
    async with connected(api, "live") as client:
        result = answer_of(await client.call_tool("create_snapshot", {**CREATE, "waitSeconds": 1}))
    api.assert_kept_to_script()
    assert result == {
        **SNAPSHOT,
        "event": {**EVENT, "state": 'stuck"'},
        "notice": 'Not finished: event me1 is in an unknown state, "stuck\\"". Follow it with get_machine_event. '
        "Hidden or control characters were removed from text.",
    }


async def test_an_event_that_cannot_be_read_is_no_failure_of_what_was_accepted() -> None:
    refused = Exchange(*FOLLOW, status=403, body={"code": "FORBIDDEN", "message": "no"})
    api = RecordedApi([*_created(EVENT), refused])
    async with connected(api, "live") as client:
        result = answer_of(await client.call_tool("create_snapshot", {**CREATE, "waitSeconds": 9}))
    api.assert_kept_to_script()
    assert {name: result[name] for name in SNAPSHOT} == SNAPSHOT
    assert result["event"] == EVENT
    assert "was accepted, but its event could not be followed" in result["notice"]


async def test_without_waiting_no_event_is_read() -> None:
    api = RecordedApi(_created(EVENT))
    async with connected(api, "live") as client:
        assert answer_of(await client.call_tool("create_snapshot", CREATE)) == {**SNAPSHOT, "event": EVENT}
    api.assert_kept_to_script()


def _restore(safe: bool, *rest: Exchange) -> RecordedApi:
    look = [
        Exchange("GET", "/snapshots/ss1", body=SNAPSHOT),
        Exchange("GET", "/snapshots?machineId=ps1", body=[SNAPSHOT]),
    ]
    return RecordedApi(
        [*look, *([Exchange("GET", "/snapshots?machineId=ps1&limit=120", body=[SNAPSHOT])] if safe else []), *rest]
    )


_SAFETY = {"machineId": "ps1", "name": "Before restore of before"}


async def test_a_restore_that_is_refused_names_the_safety_snapshot_that_was_made() -> None:
    api = _restore(
        True,
        Exchange("POST", "/snapshots", _SAFETY, 201, {"id": "ss9", **_SAFETY}),
        Exchange("POST", "/snapshots/ss1/restore", None, 409, {"code": "CONFLICT", "message": "machine is on"}),
    )
    async with connected(api, "published") as client:
        text = failure_of(await client.call_tool("restore_snapshot", {"id": "ss1"}))
    api.assert_kept_to_script()
    assert "409 CONFLICT" in text
    assert text.endswith("The machine was not restored; its safety snapshot ss9 exists.")


async def test_no_restore_is_sent_when_its_safety_snapshot_is_refused() -> None:
    api = _restore(True, Exchange("POST", "/snapshots", _SAFETY, 403, {"code": "FORBIDDEN", "message": "no"}))
    async with connected(api, "published") as client:
        text = failure_of(await client.call_tool("restore_snapshot", {"id": "ss1"}))
    api.assert_kept_to_script()
    assert text.endswith("Nothing was changed.")


async def test_a_declined_safety_snapshot_is_not_made() -> None:
    api = _restore(False, Exchange("POST", "/snapshots/ss1/restore", body={}))
    async with connected(api, "published") as client:
        result = answer_of(
            await client.call_tool("restore_snapshot", {"id": "ss1", "create_snapshot_before_restore": False})
        )
    api.assert_kept_to_script()
    assert result == {"id": "ss1", "machineId": "ps1", "status": "initiated"}


@pytest.mark.parametrize("tool", [tool.name for tool in CATALOGUE])
async def test_an_unknown_argument_stops_every_tool_before_anything_is_sent(tool: str) -> None:
    given = next(one.arguments for one in CONVERSATIONS if one.tool == tool)
    api = RecordedApi([])
    async with connected(api, "auto") as client:
        text = failure_of(await client.call_tool(tool, {**given, "zzz": "VALUE-NOT-TO-BE-REPEATED"}))
    assert api.seen == []
    assert text.startswith(f"{tool}: unknown argument `zzz`")
    assert text.endswith("nothing was sent.")
    assert "VALUE-NOT-TO-BE-REPEATED" not in text


@pytest.mark.parametrize("typed", [{}, {"confirm": "before"}])
async def test_a_restore_is_not_sent_where_the_promised_safety_snapshot_cannot_be_made(typed: Json) -> None:
    api = RecordedApi([Exchange("GET", "/snapshots/ss1", body={"id": "ss1", "name": "before", "note": "no machine"})])
    async with connected(api, "published") as client:
        text = failure_of(await client.call_tool("restore_snapshot", {"id": "ss1", **typed}))
    api.assert_kept_to_script()
    assert text == (
        "The API does not say which machine snapshot ss1 belongs to, so no safety snapshot can be made of it first. "
        "Ask the person whether to restore without one (createSnapshotBeforeRestore false). Nothing was changed."
    )


async def test_a_restore_without_a_safety_snapshot_needs_no_machine_in_the_answer() -> None:
    look = Exchange("GET", "/snapshots/ss1", body={"id": "ss1", "name": "before", "note": "no machine"})
    api = RecordedApi([look, Exchange("POST", "/snapshots/ss1/restore", status=200, body={})])
    async with connected(api, "published") as client:
        result = answer_of(
            await client.call_tool(
                "restore_snapshot", {"id": "ss1", "confirm": "before", "createSnapshotBeforeRestore": False}
            )
        )
    api.assert_kept_to_script()
    assert result == {"id": "ss1", "status": "initiated"}


# --- which one the safety snapshot is


def _safely(*after: Json, listed: list[Json] | None = None) -> list[Exchange]:
    there = [SNAPSHOT] if listed is None else listed
    page = "/snapshots?machineId=ps1&limit={}&orderBy=dtCreated&order=desc"
    return [
        Exchange("GET", "/snapshots/ss1", body=SNAPSHOT),
        Exchange("GET", page.format(100), body={"hasMore": False, "items": there}),
        Exchange("POST", "/snapshots/ss1/restore", {"createSnapshotBeforeRestore": True}, 200, {"data": SNAPSHOT}),
        Exchange("GET", page.format(20), body={"hasMore": False, "items": [*after]}),
    ]


AUTO: Json = {"id": "ss9", "machineId": "ps1", "name": "auto", "isAutoSnapshot": True}
OLD: Json = {"id": "ss8", "machineId": "ps1", "name": "old", "isAutoSnapshot": True}
MINE: Json = {"id": "ss7", "machineId": "ps1", "name": "mine", "isAutoSnapshot": False}


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (_safely(AUTO, SNAPSHOT), "ss9"),
        (_safely(MINE, AUTO, SNAPSHOT), "ss9"),  # somebody makes one of their own at that moment
        (_safely(AUTO, OLD, SNAPSHOT, listed=[OLD, SNAPSHOT]), "ss9"),
        (_safely(SNAPSHOT), None),
        (_safely(MINE, SNAPSHOT), None),
        (_safely(AUTO, OLD, SNAPSHOT), None),  # two new ones
        (_safely(AUTO, MINE, listed=[OLD]), None),  # not in its machine's list: nobody knows what is new
    ],
)
async def test_the_safety_snapshot_is_the_one_new_automatic_one(script: list[Exchange], found: str | None) -> None:
    api = RecordedApi(script)
    async with connected(api, "live") as client:
        result = answer_of(await client.call_tool("restore_snapshot", {"id": "ss1"}))
    api.assert_kept_to_script()
    assert result.get("safetySnapshot", {}).get("id") == found
    assert result["notice"].startswith("The API marks" if found else "The API makes the safety snapshot itself")
