"""Tasks for operations on snapshots: sealed ids, the event's outcome as the tool's result, for who declares them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client import ClientRequestContext
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    ElicitRequestParams,
    ElicitResult,
    Request,
    RequestParams,
    Result,
)

from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.mcp.tasks import EXTENSION, TTL
from paperspace_storage_server.state.seal import Sealer
from support.guarded import API_KEY, Era, World, world
from support.hosted_server import HostedWorld, hosted_world

pytestmark = pytest.mark.anyio
EVENT: dict[str, Any] = {
    "id": "me1",
    "name": "snapshot-delete",
    "state": "in progress",
    "dtStarted": "2026-11-24T10:00:00Z",
}
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tasks/get", {}),
    ("tasks/cancel", {}),
    ("tasks/update", {"inputResponses": {}}),
)
DECLARED = (advertise(EXTENSION),)


class _Given(RequestParams, extra="allow"):
    """Parameters as they are given."""


class _Wire(Result, extra="allow"):
    """Whatever came, as it came."""


async def send(one: World, method: str, **params: Any) -> dict[str, Any]:
    request = Request[Any, str](method=method, params=_Given.model_validate(params))
    result = await one.client.session.send_request(request, _Wire)
    return result.model_dump(mode="json", by_alias=True, exclude={"meta"}, exclude_none=True)


async def refusal(one: World, method: str, **params: Any) -> tuple[int, str, Any]:
    with pytest.raises(MCPError) as raised:
        await send(one, method, **params)
    return raised.value.error.code, raised.value.error.message, raised.value.error.data


@asynccontextmanager
async def going_on(
    *,
    declared: bool = True,
    era: Era = "auto",
    sealer: Sealer | None = None,
    team: str = "",
    **more: Any,
) -> AsyncGenerator[tuple[World, dict[str, Any]]]:
    """A server whose API's events are as the second value says, and a client that declares the extension."""
    event = dict(EVENT)

    def instead(request: httpx.Request) -> httpx.Response | None:
        if "/machine-events/" in request.url.path:
            return httpx.Response(200, json=event)
        return None

    def after(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method in ("POST", "DELETE") and "event" in answer.json():
            return httpx.Response(answer.status_code, json={**answer.json(), "event": event})
        return answer

    def prepare(service: Service) -> None:
        service.team.upstream.team = team
        if sealer is not None:
            service.process = replace(service.process, sealer=lambda: sealer)

    settings: dict[str, Any] = {"confirm": "never", **more}
    extensions = DECLARED if declared else None
    async with world("live", era=era, extensions=extensions, prepare=prepare, **settings) as one:
        one.api.instead, one.api.after = instead, after
        yield one, event


async def started(one: World, tool: str = "delete_snapshot", **arguments: Any) -> dict[str, Any]:
    given = arguments or {"id": one.ids["snapshot"]}
    return await send(one, "tools/call", name=tool, arguments=given)


async def test_an_operation_that_goes_on_is_a_task_until_its_event_is_done() -> None:
    async with going_on() as (one, event):
        made = await started(one)
        assert {name: made[name] for name in made if name not in ("taskId", "createdAt")} == {
            "resultType": "task",
            "status": "working",
            "statusMessage": f"Deletion of snapshot {one.ids['snapshot']}: in progress. The API cannot cancel it.",
            "lastUpdatedAt": "2026-11-24T10:00:00.000Z",
            "ttlMs": 86_400_000,
            "pollIntervalMs": 2000,
        }
        working = await send(one, "tasks/get", taskId=made["taskId"])
        assert working == {**made, "resultType": "complete"}
        event |= {"state": "done", "dtFinished": "2026-11-24T10:05:00Z"}
        done = await send(one, "tasks/get", taskId=made["taskId"])
        result = done.pop("result")
        assert (done["status"], done["resultType"], done["lastUpdatedAt"]) == (
            "completed",
            "complete",
            "2026-11-24T10:05:00.000Z",
        )
        assert result["isError"] is False
        assert result["structuredContent"] == {
            "id": one.ids["snapshot"],
            "name": one.ids["snapshot name"],
            "deleted": True,
            "event": {**EVENT, "state": "done", "dtFinished": "2026-11-24T10:05Z", "dtStarted": "2026-11-24T10:00Z"},
        }
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


@pytest.mark.parametrize("state", ["error", "cancelled"])
async def test_an_event_that_fails_makes_a_completed_task_whose_result_is_an_error(state: str) -> None:
    async with going_on() as (one, event):
        made = await started(one, "create_snapshot", machineId=one.ids["machine"], name="before")
        event |= {"state": state, "error": f"disk \u202efull {API_KEY}"}
        done = await send(one, "tasks/get", taskId=made["taskId"])
        assert (done["status"], done["result"]["isError"]) == ("completed", True)
        text = done["result"]["content"][0]["text"]
        assert f"was accepted but its machine event me1 ended as {state}." in text
        assert 'The event says: "disk full [secret]".' in text
        assert API_KEY not in json.dumps(done)


async def test_an_event_in_a_state_that_nobody_has_described_is_a_task_that_goes_on() -> None:
    async with going_on() as (one, event):
        event["state"] = "queued"
        made = await started(one)
        working = await send(one, "tasks/get", taskId=made["taskId"])
        text = f"Deletion of snapshot {one.ids['snapshot']}: queued. The API cannot cancel it."
        assert [(task["status"], task["statusMessage"]) for task in (made, working)] == [("working", text)] * 2


async def test_a_restore_is_done_when_its_event_is() -> None:
    async with going_on() as (one, event):
        made = await started(one, "restore_snapshot", id=one.ids["snapshot"])
        event["state"] = "done"
        done = await send(one, "tasks/get", taskId=made["taskId"])
        assert done["result"]["structuredContent"]["status"] == "done"


async def test_who_does_not_declare_it_gets_no_task_and_cannot_ask_about_one() -> None:
    async with going_on() as (one, _), going_on(declared=False) as (other, _):
        made = await started(one)
        assert (await started(other, waitSeconds=0, id=other.ids["snapshot"]))["resultType"] == "complete"
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        for method, more in METHODS:
            code, _, found = await refusal(other, method, taskId=made["taskId"], **more)
            assert (code, found) == (MISSING_REQUIRED_CLIENT_CAPABILITY, needed)


async def test_there_is_no_task_for_who_does_not_want_to_wait_nor_for_what_is_finished_nor_for_other_tools() -> None:
    async with going_on() as (one, event):
        assert (await started(one, id=one.ids["snapshot"], waitSeconds=0))["resultType"] == "complete"
        assert (await started(one, "list_snapshots", limit=1))["resultType"] == "complete"
        event["state"] = "done"
        made = await started(one, "create_snapshot", machineId=one.ids["machine"], name="n", waitSeconds=30)
        assert (made["resultType"], made["structuredContent"]["event"]["state"]) == ("complete", "done")


async def test_the_older_era_and_the_published_dialect_have_no_tasks() -> None:
    async with going_on(era="legacy") as (one, _):
        made = await one.call("delete_snapshot", {"id": one.ids["snapshot"]})  # declared all the same
        assert made.structured_content is not None
        assert made.structured_content["event"]["state"] == "in progress"
        code, _, _ = await refusal(one, "tasks/get", taskId="x")
        assert code == METHOD_NOT_FOUND
    async with world("published", extensions=DECLARED, confirm="never") as one:
        assert (await started(one))["resultType"] == "complete"
        code, _, _ = await refusal(one, "tasks/get", taskId="x")
        assert code == METHOD_NOT_FOUND


async def test_a_task_is_cancelled_in_name_only_and_asks_for_nothing() -> None:
    async with going_on() as (one, _):
        made = await started(one)
        sent = len(one.api.sent)
        assert await send(one, "tasks/cancel", taskId=made["taskId"]) == {"resultType": "complete"}
        answers = {"confirm": {"action": "accept"}}
        assert await send(one, "tasks/update", taskId=made["taskId"], inputResponses=answers) == {
            "resultType": "complete"
        }
        assert len(one.api.sent) == sent
        assert (await send(one, "tasks/get", taskId=made["taskId"]))["status"] == "working"


async def test_an_id_that_was_changed_made_up_or_is_another_teams_is_not_found() -> None:
    async with going_on() as (one, _), going_on(team="other") as (other, _):
        made = await started(one)
        id = made["taskId"]
        forged = [id[:-2] + ("AA" if id[-2:] != "AA" else "BB"), id + "A", id[1:], "", "x" * 100_000, "☂", f"{id}="]
        for wrong in forged:
            for method, more in METHODS:
                code, message, _ = await refusal(one, method, taskId=wrong, **more)
                assert (code, message) == (INVALID_PARAMS, "Failed to retrieve task: Task not found")
        code, message, _ = await refusal(other, "tasks/get", taskId=id)
        assert (code, message) == (INVALID_PARAMS, "Failed to retrieve task: Task not found")


async def test_another_process_with_the_same_key_answers_and_another_team_behind_that_key_does_not() -> None:
    keys = [bytes(32)]
    async with going_on(sealer=Sealer(keys)) as (one, _), going_on(sealer=Sealer(keys)) as (restarted, event):
        made = await started(one)
        event["state"] = "done"
        assert (await send(restarted, "tasks/get", taskId=made["taskId"]))["status"] == "completed"
    async with going_on(sealer=Sealer(keys), team="other") as (theirs, _):
        code, message, _ = await refusal(theirs, "tasks/get", taskId=made["taskId"])
        assert (code, message) == (INVALID_PARAMS, "Failed to retrieve task: Task not found")


async def test_a_task_is_forgotten_after_a_day() -> None:
    now = [1_000_000.0]
    async with going_on(sealer=Sealer([bytes(32)], clock=lambda: now[0])) as (one, _):
        made = await started(one)
        now[0] += TTL
        code, message, _ = await refusal(one, "tasks/get", taskId=made["taskId"])
        assert (code, message) == (INVALID_PARAMS, "Failed to retrieve task: Task has expired")


async def test_an_event_that_cannot_be_read_leaves_the_task_working_and_one_that_is_gone_ends_it() -> None:
    async with going_on(max_attempts=1) as (one, _):
        made = await started(one)
        one.api.instead = lambda request: httpx.Response(503)
        working = await send(one, "tasks/get", taskId=made["taskId"])
        assert working["status"] == "working"
        assert "its state cannot be read now. The API failed (503)." in working["statusMessage"]
        one.api.instead = lambda request: httpx.Response(404, json={"code": "NOT_FOUND", "message": "no"})
        gone = await send(one, "tasks/get", taskId=made["taskId"])
        assert (gone["status"], gone["result"]["isError"]) == ("completed", True)
        assert "the API no longer knows its event me1" in gone["result"]["content"][0]["text"]


async def test_the_person_is_asked_before_there_is_a_task() -> None:
    asked: list[str] = []

    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with going_on(elicit=answer, confirm="auto") as (one, _):
        question = await started(one)
        assert question["resultType"] == "input_required"
        assert one.api.writes == []
        made = await send(
            one,
            "tools/call",
            name="delete_snapshot",
            arguments={"id": one.ids["snapshot"]},
            requestState=question["requestState"],
            inputResponses={"confirm": {"action": "accept", "content": {"confirm": True}}},
        )
        assert made["resultType"] == "task"
        assert one.api.writes == [f"DELETE /snapshots/{one.ids['snapshot']}"]


async def test_a_server_without_get_machine_event_makes_no_tasks() -> None:
    async with going_on(exclude_tools=["get_machine_event"]) as (one, _):
        assert (await started(one))["resultType"] == "complete"


async def _over_http(one: HostedWorld, method: str, header: str | None, **params: Any) -> dict[str, Any]:
    """The answer to a client that declares tasks, whose `Mcp-Name` is `header`."""
    token = one.token()
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}})
    headers = {} if header is None else {"Mcp-Name": header}
    answer = await one.rpc("modern", token, method, body=body, headers=headers)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if "jsonrpc" in line]
    message: dict[str, Any] = json.loads(lines[-1])
    return {"status": answer.status_code, **message}


async def test_over_http_a_header_that_names_another_task_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEP-2663: `Mcp-Name` is the task's id; SEP-2243: a header that disagrees with the body is an error."""
    async with hosted_world(tmp_path, monkeypatch) as one:
        machines = await _over_http(one, "tools/call", "list_machines", name="list_machines", arguments={"limit": 1})
        (machine,) = machines["result"]["structuredContent"]["items"]
        given = {"machineId": machine["id"], "name": "n"}
        made = await _over_http(one, "tools/call", "create_snapshot", name="create_snapshot", arguments=given)
        id = made["result"]["taskId"]
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            more: dict[str, Any] = {"inputResponses": {}} if method == "tasks/update" else {}
            refused = await _over_http(one, method, "another", taskId=id, **more)
            assert (refused["status"], refused["error"]["code"]) == (400, HEADER_MISMATCH)
            assert "taskId" in refused["error"]["message"]
            for header in (id, None):
                assert (await _over_http(one, method, header, taskId=id, **more))["status"] == 200
