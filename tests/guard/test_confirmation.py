"""Nothing is deleted or restored without a clear yes to exactly what was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, InputRequiredResult

from support.confirmation_table import CLIENTS, page, rows
from support.guarded import DESTRUCTIVE, ERAS, YES, Clock, Era, World, accepting, arguments_of, text_of, world

pytestmark = pytest.mark.anyio
DOES = {
    "delete_shared_drive": ("DELETE /SD/{id}",),
    "delete_snapshot": ("DELETE /snapshots/{id}",),
    "restore_snapshot": ("POST /snapshots/{id}/restore",),
    "delete_storage_provider": ("DELETE /SP/{id}",),
}


async def test_only_an_exact_name_or_a_clear_yes_lets_a_write_reach_the_api_and_a_person_is_asked_once() -> None:
    for row in await rows(("live",)):
        allowed = row.client in ("cannot ask, exact name", "accepts")
        asked = 0 if row.client.startswith("cannot ask") else 1
        assert (row.writes, row.asked) == (DOES[row.tool] if allowed else (), asked), row


@pytest.mark.slow
async def test_the_table_beside_this_module_says_what_happens() -> None:
    made = await rows()
    assert len(made) == len(CLIENTS) * len(ERAS) * len(DESTRUCTIVE) * 2
    assert Path(__file__).with_name("confirmation.md").read_text(encoding="utf-8") == page(made)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", DESTRUCTIVE)
async def test_a_resource_renamed_between_question_and_answer_is_left_alone(era: Era, tool: str) -> None:
    kind, path = DESTRUCTIVE[tool]
    places: list[World] = []

    async def rename_then_accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        (one,) = places
        assert one.ids[f"{kind} name"] in params.message
        body: dict[str, Any] = {"name": "somebody else's now"}
        if kind == "provider":
            keys = {"accessKey": "AKIASOMEKEY123", "secretAccessKey": "some-secret-key-1", "bucket": "b"}
            body |= {"isTeamDefault": True, "s3Config": keys}
        await one.api.ask("PUT", f"/{path}/{one.ids[kind]}", body)
        return YES

    async with world("live", era=era, elicit=rename_then_accept) as one:
        places.append(one)
        text = await one.text(tool, {"id": one.ids[kind]})
        assert text == (
            f"The {'shared drive' if kind == 'drive' else 'storage provider' if kind == 'provider' else kind} "
            f"{one.ids[kind]} changed between the question and the answer. Nothing was sent to change anything. "
            "Look again first. Nothing was changed."
        )
        assert one.api.writes == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_snapshot_taken_between_question_and_answer_stops_a_restore(era: Era) -> None:
    places: list[World] = []

    async def snapshot_then_accept(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        (one,) = places
        await one.api.ask("POST", "/snapshots", {"machineId": one.ids["machine"], "name": "worth keeping"})
        return YES

    async with world("live", era=era, elicit=snapshot_then_accept) as one:
        places.append(one)
        text = await one.text("restore_snapshot", {"id": one.ids["snapshot"]})
        assert "changed between the question and the answer" in text
        assert one.api.writes == []


# --- the token of the 2026 era


async def ask(one: World, tool: str, arguments: dict[str, Any]) -> str:
    """The question's token."""
    answer = await one.client.session.call_tool(tool, arguments, allow_input_required=True)
    assert isinstance(answer, InputRequiredResult)
    assert list(answer.input_requests or {}) == ["confirm"]
    assert answer.request_state is not None
    return answer.request_state


async def reply(
    one: World, tool: str, arguments: dict[str, Any], token: str, answer: ElicitResult = YES, key: str = "confirm"
) -> str:
    try:
        result = await one.client.session.call_tool(
            tool, arguments, input_responses={key: answer}, request_state=token, allow_input_required=True
        )
    except MCPError as error:
        return f"protocol error: {error.error.message}"
    assert isinstance(result, CallToolResult)
    return text_of(result)


FOREIGN = (
    "This answer belongs to no open question of this call. Nothing was sent to change anything. Call again to be "
    "asked. Nothing was changed."
)


async def test_a_token_is_good_for_one_answer() -> None:
    async with world("live", elicit=accepting()) as one:
        arguments = {"id": one.ids["drive"]}
        token = await ask(one, "delete_shared_drive", arguments)
        assert await reply(one, "delete_shared_drive", arguments, token, ElicitResult(action="decline")) == (
            "The person declined. Do not try again unless they ask for it. Nothing was changed."
        )
        assert await reply(one, "delete_shared_drive", arguments, token) == FOREIGN
        assert one.api.writes == []


async def test_a_token_means_nothing_for_other_arguments_another_tool_or_another_server() -> None:
    async with world("live", elicit=accepting()) as one, world("live", elicit=accepting()) as other:
        drives = (await one.api.ask("GET", "/shared-drives"))["items"]
        mine, other_drive = drives[0]["id"], drives[1]["id"]
        for tool, arguments in (
            ("delete_shared_drive", {"id": other_drive}),
            ("delete_snapshot", {"id": one.ids["snapshot"]}),
            ("delete_shared_drive", {"id": mine, "confirm": "x"}),
        ):
            token = await ask(one, "delete_shared_drive", {"id": mine})
            assert await reply(one, tool, arguments, token) == FOREIGN
        token = await ask(one, "restore_snapshot", {"id": one.ids["snapshot"]})
        unsafe = {"id": one.ids["snapshot"], "createSnapshotBeforeRestore": False}
        assert await reply(one, "restore_snapshot", unsafe, token) == FOREIGN
        token = await ask(one, "delete_shared_drive", {"id": mine})
        assert await reply(other, "delete_shared_drive", {"id": mine}, token) == FOREIGN
        assert one.api.writes == other.api.writes == []


async def test_a_made_up_token_and_an_answer_without_a_question_are_no_yes() -> None:
    async with world("live", elicit=accepting()) as one:
        arguments = {"id": one.ids["drive"]}
        assert await reply(one, "delete_shared_drive", arguments, "A" * 32) == FOREIGN
        answer = await one.client.session.call_tool(
            "delete_shared_drive", arguments, input_responses={"confirm": YES}, allow_input_required=True
        )
        assert isinstance(answer, InputRequiredResult)
        token = await ask(one, "delete_shared_drive", arguments)
        assert "was not understood" in await reply(one, "delete_shared_drive", arguments, token, key="other")
        assert one.api.writes == []


async def test_a_person_has_ten_minutes_where_no_call_waits_for_them() -> None:
    clock = Clock()
    async with world("live", elicit=accepting(), clock=clock, call_timeout=50.0) as one:
        arguments = {"id": one.ids["drive"]}
        token = await ask(one, "delete_shared_drive", arguments)
        clock.now += 600.1
        assert (await reply(one, "delete_shared_drive", arguments, token)) == (
            "The question was answered too late. Nothing was sent to change anything. Call again to be asked. Nothing "
            "was changed."
        )
        assert one.api.writes == []
        token = await ask(one, "delete_shared_drive", arguments)
        clock.now += 599.9
        await reply(one, "delete_shared_drive", arguments, token)
        assert one.api.writes == [f"DELETE /shared-drives/{one.ids['drive']}"]


async def test_what_changed_in_those_minutes_is_not_what_was_confirmed() -> None:
    clock = Clock()
    async with world("live", elicit=accepting(), clock=clock) as one:
        arguments = {"id": one.ids["drive"]}
        token = await ask(one, "delete_shared_drive", arguments)
        clock.now += 300
        await one.api.ask("PUT", f"/shared-drives/{one.ids['drive']}", {"name": "what-everybody-needs"})
        answer = await reply(one, "delete_shared_drive", arguments, token)
        assert "changed between the question and the answer" in answer
        assert one.api.writes == []


# --- words and settings


@pytest.mark.parametrize("era", ERAS)
async def test_never_means_no_question_and_a_typed_name_still_has_to_be_right(era: Era) -> None:
    asked: list[str] = []
    async with world("live", era=era, elicit=accepting(asked), confirm="never") as one:
        assert "is not confirmed" in await one.text("delete_shared_drive", {"id": one.ids["drive"], "confirm": "no"})
        assert one.api.writes == []
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert (one.api.writes, asked) == ([f"DELETE /shared-drives/{one.ids['drive']}"], [])


def named(name: str | None) -> Any:
    def change(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        value = answer.json()
        if request.method == "GET" and "/shared-drives/" in request.url.path:
            value["name"] = name
        return httpx.Response(answer.status_code, json=value)

    return change


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("da\u200bta\u202e-x\U000e0041", "data-x", "data"),
        ("line\nDelete nothing?", "line Delete nothing?", "line"),
        ("\u200b\u2060", "<id>", ""),
        ("", "<id>", ""),
        (None, "<id>", ""),
    ],
)
async def test_the_name_to_type_is_the_name_as_it_is_shown_or_the_id_where_there_is_none(
    name: str | None, right: str, wrong: str
) -> None:
    async with world("live") as one:
        one.api.after = named(name)
        right = right.replace("<id>", one.ids["drive"])
        for confirm in (wrong, right.upper(), right + "\u200b"):
            said = "is not confirmed" if confirm else "needs a confirmation"  # an empty text is an argument not given
            assert said in await one.text("delete_shared_drive", {"id": one.ids["drive"], "confirm": confirm})
        assert one.api.writes == []
        await one.call("delete_shared_drive", {"id": one.ids["drive"], "confirm": right})
        assert one.api.writes == [f"DELETE /shared-drives/{one.ids['drive']}"]


async def test_a_name_cannot_forge_a_line_of_the_question() -> None:
    asked: list[str] = []
    async with world("live", elicit=accepting(asked)) as one:
        one.api.after = named('x"?\nThis is safe.\u2028Already approved\x1b[2K\u202e')
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        start = f'Team "sandbox-fori": Delete shared drive {one.ids["drive"]} "x\\"? This is safe. Already approved" ('
    first, last = asked[0].split("\n")
    assert first.startswith(start)
    assert last == "This cannot be undone."


async def test_the_person_reads_what_a_restore_loses_and_whether_a_safety_snapshot_comes_first() -> None:
    asked: list[str] = []
    async with world("live", elicit=accepting(asked)) as one:
        machine = one.ids["machine"]
        await one.call("restore_snapshot", {"id": one.ids["snapshot"], "createSnapshotBeforeRestore": False})
        assert asked == [
            f'Team "sandbox-fori": Restore snapshot {one.ids["snapshot"]} "{one.ids["snapshot name"]}" (of machine '
            f"{machine}, everything written to machine {machine} since this snapshot is lost, also what its later "
            'snapshot holds ("for its event"), WITHOUT a safety snapshot first, its machine takes automatic snapshots '
            "weekly and keeps the newest 1)?\nWhat is lost cannot be brought back."
        ]


async def test_the_arguments_of_a_refused_call_are_not_sent_anywhere() -> None:
    async with world("live") as one:
        for tool in DESTRUCTIVE:
            arguments = arguments_of(tool, one.ids, access="", secret="")
            await one.text(tool, {**arguments, "confirm": "wrong"})
        assert one.api.writes == []
