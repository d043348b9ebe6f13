"""What an attacker tried with questions: to blank or forge them, to have a host answer them, to ask about another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp_types import METHOD_NOT_FOUND, ElicitRequestFormParams, ElicitRequestParams, ElicitResult, ErrorData

from paperspace_storage_server.calls.service import Service
from support.guarded import DESTRUCTIVE, ERAS, Era, World, world

pytestmark = pytest.mark.anyio
KEYS = {"accessKey": "AKIA7Q2ZLS0DFP3MCXB0", "secretKey": "hT6/yN2c+Gv0==9aX7bEo4q"}


def answering(reply: ElicitResult | ErrorData, asked: list[str] | None = None) -> ElicitationFnT:
    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        if asked is not None:
            asked.append(params.message)
        return reply

    return answer


YES = ElicitResult(action="accept", content={"confirm": True})
NO = ElicitResult(action="decline")


TEAM = 'Team "sandbox-fori": '


def renamed(name: str, path: str = "/shared-drives/") -> Any:
    def change(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method != "GET" or path not in request.url.path:
            return answer
        return httpx.Response(answer.status_code, json={**answer.json(), "name": name})

    return change


# --- hosts that answer by themselves


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "content", [None, {}, {"confirm": False}, {"confirm": "true"}, {"confirm": 1}, {"yes": True}, {"": True}]
)
async def test_only_the_forms_boolean_set_to_true_is_a_yes(era: Era, content: dict[str, Any] | None) -> None:
    reply = ElicitResult.model_construct(action="accept", content=content)
    async with world("live", era=era, elicit=answering(reply)) as one:
        text = await one.text("delete_shared_drive", {"id": one.ids["drive"], "confirm": one.ids["drive name"]})
        assert "not a clear yes" in text
        assert one.api.writes == []


@pytest.mark.parametrize("era", ERAS)
async def test_the_form_has_exactly_one_required_boolean_and_no_default(era: Era) -> None:
    forms: list[object] = []

    async def look(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        forms.append(params.requested_schema)
        return NO

    async with world("live", era=era, elicit=look) as one:
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
    assert forms == [
        {
            "type": "object",
            "properties": {"confirm": {"type": "boolean", "title": "Yes, do it"}},
            "required": ["confirm"],
        }
    ]


async def test_a_client_that_declares_what_it_does_not_have_is_one_that_cannot_ask() -> None:
    unknown = ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
    async with world("live", era="legacy", elicit=answering(unknown)) as one:
        id, name = one.ids["drive"], one.ids["drive name"]
        assert "needs a confirmation" in await one.text("delete_shared_drive", {"id": id})
        assert "is not confirmed" in await one.text("delete_shared_drive", {"id": id, "confirm": "other"})
        assert one.api.writes == []
        await one.call("delete_shared_drive", {"id": id, "confirm": name})
        assert one.api.writes == [f"DELETE /shared-drives/{id}"]


@pytest.mark.parametrize("era", ERAS)
async def test_where_only_a_person_may_confirm_a_typed_name_is_refused(era: Era) -> None:
    async with world("live", era=era, confirm="person") as one:
        text = await one.text("delete_shared_drive", {"id": one.ids["drive"], "confirm": one.ids["drive name"]})
        assert "takes only a person's own yes (PAPERSPACE_MCP_CONFIRM=person)" in text
        assert one.api.writes == []
    unknown = ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
    async with world("live", era="legacy", confirm="person", elicit=answering(unknown)) as one:
        text = await one.text("delete_shared_drive", {"id": one.ids["drive"], "confirm": one.ids["drive name"]})
        assert "takes only a person's own yes" in text
        assert one.api.writes == []
    async with world("live", era=era, confirm="person", elicit=answering(YES)) as one:
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert one.api.writes == [f"DELETE /shared-drives/{one.ids['drive']}"]


# --- names that imitate

FORGERY = 'tmp-scratch" (sd0999): 1 GB, region ny2, created 2026-11-01T00:00Z?' + "\u00a0" * 120 + 'Delete "'


async def test_a_name_cannot_read_as_another_resource() -> None:
    asked: list[str] = []
    async with world("live", elicit=answering(NO, asked)) as one:
        one.api.after = renamed(FORGERY)
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
    assert asked[0].startswith(
        f'{TEAM}Delete shared drive {one.ids["drive"]} "tmp-scratch\\" (sd0999): 1 GB, region ny2, created '
        '2026-11-01T00:00Z? Delete \\"" ('
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\u201d (sd1) \u201cb", '"a\\u201d (sd1) \\u201cb"'),
        ("a\uff02b", '"a\\uff02b"'),
        ("a\\", '"a\\\\"'),
        ("a\u2003\u3000\u00a0 b", '"a b"'),
        ("x" * 300, '"' + "x" * 119 + '…"'),
    ],
)
async def test_a_name_is_escaped_and_bounded_in_the_question(name: str, shown: str) -> None:
    asked: list[str] = []
    async with world("live", elicit=answering(NO, asked)) as one:
        one.api.after = renamed(name)
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
    assert asked[0].startswith(f"{TEAM}Delete shared drive {one.ids['drive']} {shown} (")


# --- an API that answers about something else


@pytest.mark.parametrize("tool", DESTRUCTIVE)
async def test_a_look_that_shows_another_resource_stops_the_call(tool: str) -> None:
    kind, _ = DESTRUCTIVE[tool]
    asked: list[str] = []

    def other(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == "GET" and request.url.path.endswith(one.ids[kind]):
            return httpx.Response(200, json={**answer.json(), "id": "another"})
        return answer

    async with world("live", elicit=answering(YES, asked)) as one:
        one.api.after = other
        text = await one.text(tool, {"id": one.ids[kind]})
        assert "it names another resource" in text
        assert (asked, one.api.writes) == ([], [])
        assert "it names another resource" in await one.text(f"get_{tool.split('_', 1)[1]}", {"id": one.ids[kind]})


PAGE = b"<html><body>404 Not Found</body></html>"


@pytest.mark.parametrize("page", [PAGE, b"", b'{"message":"no Route matched"}', b"[]", b"null", b'{"code":404}'])
async def test_a_404_that_is_not_the_apis_own_settles_nothing(page: bytes) -> None:
    async with world("live", confirm="never") as one:
        answers = iter([httpx.Response(502), httpx.Response(404, content=page), httpx.Response(404, content=page)])
        one.api.instead = lambda request: next(answers) if request.method == "DELETE" else None
        text = await one.text("delete_shared_drive", {"id": one.ids["drive"]})
        assert '"deleted":true' not in text
        assert "it is still there" in text
        assert one.ids["drive"] in str(await one.api.ask("GET", f"/shared-drives/{one.ids['drive']}"))
        one.api.instead = lambda request: httpx.Response(404, content=page)
        text = await one.text("get_shared_drive", {"id": one.ids["drive"]})
        assert "No shared drive" not in text
        assert "a 404 that is not the API's own" in text


async def test_an_empty_200_whose_look_meets_a_gateways_page_is_unknown() -> None:
    async with world("live", confirm="never") as one:
        looks = iter([None, httpx.Response(404, content=PAGE)])
        one.api.instead = lambda request: (
            httpx.Response(200) if request.method == "DELETE" else next(looks, httpx.Response(404, content=PAGE))
        )
        text = await one.text("delete_shared_drive", {"id": one.ids["drive"]})
        assert text.startswith(f"It is unknown whether the shared drive {one.ids['drive']} was deleted")


# --- what redirects or shrinks is confirmed, too


async def test_a_drive_that_gets_smaller_is_confirmed_and_one_that_grows_is_not() -> None:
    async with world("published") as one:
        id, name = one.ids["drive"], one.ids["drive name"]
        text = await one.text("update_shared_drive", {"id": id, "size": 1})
        assert text.startswith(f'Shrinking shared drive {id} "{name}" (')
        assert "would have 1 GB" in text
        assert one.api.writes == []
        await one.call("update_shared_drive", {"id": id, "size": 1, "confirm": name})
        await one.call("update_shared_drive", {"id": id, "size": 9000})
        assert one.api.writes == [f"PUT /shared-drives/{id}"] * 2


async def _provider(one: World) -> dict[str, Any]:
    """The sample team's provider as an update would leave it alone, but for its keys."""
    provider = await one.api.ask("GET", f"/storage-providers/{one.ids['provider']}")
    place = {
        name: provider["s3Config"][name] for name in ("bucket", "region", "endpoint") if provider["s3Config"].get(name)
    }
    one.api.sent.clear()
    return {"id": provider["id"], "name": provider["name"], "type": "s3", **place, **KEYS}


async def test_new_keys_alone_need_no_confirmation() -> None:
    async with world("live") as one:
        same = await _provider(one)
        await one.call("update_storage_provider", same)
        assert one.api.sent == [f"GET /storage-providers/{same['id']}", f"PUT /storage-providers/{same['id']}"]


@pytest.mark.parametrize("change", [{"bucket": "evil"}, {"endpoint": "https://evil.example"}, {"region": "eu-west-9"}])
async def test_a_provider_that_would_point_elsewhere_is_confirmed(change: dict[str, str]) -> None:
    asked: list[str] = []
    async with world("live", elicit=answering(NO, asked)) as one:
        same = await _provider(one)
        await one.call("update_storage_provider", {**same, **change})
        (field, new), *_ = change.items()
        assert asked[0].startswith(
            f'{TEAM}Point storage provider {same["id"]} "{same["name"]}" ({field} would be "{new}" (is '
        )
        assert one.api.writes == []


async def test_a_new_team_default_is_confirmed_by_the_name_of_the_one_it_displaces() -> None:
    new = {"name": "mine", "type": "s3", "bucket": "b", **KEYS, "isTeamDefault": True}
    async with world("live") as one:
        id, name = one.ids["provider"], one.ids["provider name"]
        assert (await one.api.ask("GET", f"/storage-providers/{id}"))["isTeamDefault"] is True
        one.api.sent.clear()
        text = await one.text("create_storage_provider", new)
        assert text.startswith(f'Taking the place of storage provider {id} "{name}" (')
        assert "is not confirmed" in await one.text("create_storage_provider", {**new, "confirm": "mine"})
        assert one.api.writes == []
        made = await one.call("create_storage_provider", {**new, "confirm": name})
        assert made.structured_content is not None
        assert made.structured_content["isTeamDefault"] is True


async def test_a_protected_team_default_is_not_displaced() -> None:
    new = {"name": "mine", "type": "s3", "bucket": "b", **KEYS}
    async with world("live", confirm="never") as known:
        name = known.ids["provider name"]
    async with world("live", confirm="never", protect=[name]) as one:
        text = await one.text("create_storage_provider", {**new, "isTeamDefault": True})
        assert "so it cannot be displaced as the team's default." in text
        other = await one.call("create_storage_provider", new)
        assert other.structured_content is not None
        again = {**new, "id": other.structured_content["id"], "isTeamDefault": True}
        assert "cannot be displaced as the team's default" in await one.text("update_storage_provider", again)
        assert one.api.writes == ["POST /storage-providers"]


# --- which team it is


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(403, json={"code": "FORBIDDEN", "message": "no"}), httpx.Response(200, json={"team": 1})],
)
async def test_a_question_goes_without_the_team_where_the_api_does_not_say_it(answer: httpx.Response) -> None:
    asked: list[str] = []
    async with world("live", max_attempts=1, elicit=answering(NO, asked)) as one:
        one.api.instead = lambda request: answer if "session" in request.url.path else None
        for _ in range(2):
            await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert all(text.startswith("Delete shared drive") for text in asked)
        assert one.api.sent.count("GET /auth/session") == 1


async def test_the_published_api_is_not_asked_for_the_team_and_a_name_the_operator_gave_comes_first() -> None:
    asked: list[str] = []
    async with world("published", elicit=answering(NO, asked)) as one:
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert asked[0].startswith("Delete shared drive")
        assert [sent for sent in one.api.sent if "session" in sent] == []

    def called_ours(service: Service) -> None:
        service.team = replace(service.team, name='our"s')

    async with world("live", elicit=answering(NO, asked), prepare=called_ours) as one:
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert asked[1].startswith('Team "our\\"s": Delete shared drive')
        assert [sent for sent in one.api.sent if "session" in sent] == []


async def test_the_team_is_asked_for_once_and_only_where_a_person_is() -> None:
    asked: list[str] = []
    async with world("live", elicit=answering(NO, asked)) as one:
        for _ in range(3):
            await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert one.api.sent.count("GET /auth/session") == 1
    async with world("live") as one:
        await one.call("delete_shared_drive", {"id": one.ids["drive"]})
        assert "GET /auth/session" not in one.api.sent
