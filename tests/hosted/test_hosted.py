"""The hosted server as an outsider and as members of two teams meet it, in both eras of MCP and over REST."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_server.hosted.watched import LOOK_EVERY
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.store import Store
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import StoreUnavailable
from support.hosted_server import ERAS, KEYS, TEAMS, Era, hosted_world, result, structured

pytestmark = pytest.mark.anyio
METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


@pytest.mark.parametrize("era", ERAS)
async def test_members_call_tools_for_their_own_team(era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        anna, ben = world.token("anna"), world.token("ben")
        home = structured(await world.call(era, anna, "list_shared_drives"))["items"][0]
        made = structured(
            await world.call(
                era, anna, "create_shared_drive", name="annas", size=250,
                region=home["region"], privateNetworkId=home["privateNetworkId"],
            )
        )  # fmt: skip
        assert structured(await world.call(era, anna, "get_shared_drive", id=made["id"]))["name"] == "annas"
        theirs = structured(await world.call(era, ben, "list_shared_drives"))["items"]
        assert made["id"] not in json.dumps(theirs)
        refused = result(await world.call(era, ben, "get_shared_drive", id=made["id"]))["result"]
        assert refused["isError"] is True
        assert "No shared drive" in refused["content"][0]["text"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", [tool for tool in CATALOGUE if tool.kind != "read"], ids=lambda tool: tool.name)
async def test_a_tool_beyond_the_scopes_is_asked_to_step_up_before_its_arguments_are_looked_at(
    era: Era, tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        reader = world.token(scope="openid storage:read")
        answer = await world.call(era, reader, tool.name, nonsense="accessKey")
        destroys = tool.kind == "destructive" or tool.name == "update_storage_provider"
        missing = "storage:write storage:destroy" if destroys else "storage:write"
        assert answer.status_code == 403
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer error="insufficient_scope", error_description="This needs the scope {missing.split()[-1]}.", '
            f'scope="{missing}", resource_metadata="{METADATA}"'
        )
        enough = await world.call(era, world.token(scope=missing.split()[-1]), tool.name, nonsense="accessKey")
        assert "nonsense" in result(enough)["result"]["content"][0]["text"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_reader_lists_all_tools_of_the_team_and_reads(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        reader = world.token(scope="storage:read")
        if era == "legacy":
            await world.begin(reader)
        listed = result(await world.rpc(era, reader, "tools/list"))["result"]
        assert [tool["name"] for tool in listed["tools"]] == [tool.name for tool in CATALOGUE]
        if era == "modern":
            assert listed["cacheScope"] == "private"  # it depends on who asks
            skills = result(await world.rpc(era, reader, "skills/list"))["result"]
            assert skills["cacheScope"] == "private"  # so do the skills, which follow the tools
        assert structured(await world.call(era, reader, "get_storage_utilization"))["total"] > 0
        unknown = await world.call(era, reader, "delete_everything")
        assert '"code":-32602' in unknown.text


async def test_headers_that_say_another_tool_than_the_body_call_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        reader = world.token(scope="storage:read")
        call = {"name": "delete_shared_drive", "arguments": {"id": "sd1"}}
        for headers in (
            {"Mcp-Name": "list_shared_drives"},
            {"Mcp-Name": ""},
            {"Mcp-Name": "=?base64?bGlzdF9zaGFyZWRfZHJpdmVz?="},
            {"Mcp-Method": "tools/list"},
            {"Mcp-Method": ""},
        ):
            answer = await world.rpc("modern", reader, "tools/call", call, headers=headers)
            assert answer.status_code == 400, (headers, answer.text)
        for version in ("2030-01-01", "2025-11-25", ""):
            answer = await world.rpc("modern", reader, "tools/call", call, headers={"MCP-Protocol-Version": version})
            assert answer.status_code == 403, (version, answer.text)
        encoded = {"Mcp-Name": "=?base64?ZGVsZXRlX3NoYXJlZF9kcml2ZQ==?="}
        assert (await world.rpc("modern", reader, "tools/call", call, headers=encoded)).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_shared_drives","name":"delete_shared_drive",'
        '"arguments":{"id":"sd1"}}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_shared_drive","name":"list_shared_drives",'
        '"arguments":{"id":"sd1"}}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"delete_shared_drive"}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"name":"delete_shared_drive"}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/c\\u0061ll","params":{"name":"delete_shared_drive"}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"d\\u0065lete_shared_drive"}}',
        '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_shared_drive"}}]',
        '\ufeff{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_shared_drive"}}',
    ],
)
async def test_no_spelling_of_a_body_brings_a_reader_to_a_deletion(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        reader = world.token(scope="storage:read")
        await world.begin(reader)
        seen: list[str] = []
        world.hosted.services.maker.seen = lambda called: seen.append(called.tool)
        answer = await world.rpc("legacy", reader, "tools/call", body=body)
        assert answer.status_code in (200, 400, 403)
        assert set(seen) <= {"list_shared_drives"}


async def test_a_session_of_the_older_era_belongs_to_who_began_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        anna, ben = world.token("anna"), world.token("ben")
        await world.begin(anna)
        stolen = {"Mcp-Session-Id": world.sessions[anna]}
        assert (await world.rpc("legacy", ben, "tools/list", headers=stolen)).status_code == 404
        fresh = world.token("anna", scope="storage:read")  # the same person, after a refresh
        assert (await world.rpc("legacy", fresh, "tools/list", headers=stolen)).status_code == 200
        assert (await world.rpc("legacy", None, "tools/list", headers=stolen)).status_code == 401


async def test_a_person_who_is_removed_is_out_and_a_team_that_is_changed_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        now = [1000.0]
        file = world.hosted.services.file
        assert file is not None
        monkeypatch.setattr(file, "_clock", lambda: now[0])
        monkeypatch.setattr(file, "_looked", now[0])
        anna, ben = world.token("anna"), world.token("ben")
        assert (await world.call("modern", anna, "list_snapshots")).status_code == 200
        assert (await world.call("modern", ben, "list_snapshots")).status_code == 200
        changed = TEAMS.replace('["anna"]', '["carla"]') + "policy = { read-only = true, toolsets = ['snapshots'] }\n"
        world.teams_file.write_text(changed, encoding="utf-8")
        now[0] += LOOK_EVERY
        out = await world.call("modern", anna, "list_snapshots")
        assert (out.status_code, out.json()["error"]) == (403, "access_denied")
        assert (await world.call("modern", world.token("carla"), "list_snapshots")).status_code == 200
        listed = result(await world.rpc("modern", ben, "tools/list"))["result"]["tools"]
        assert {tool["name"] for tool in listed} == {
            tool.name for tool in CATALOGUE if tool.kind == "read" and tool.toolset == "snapshots"
        }
        assert (await world.call("modern", ben, "delete_snapshot", id="x")).json()["error"]["code"] == -32602
        rest = await world.client.delete("/v1/snapshots/x", headers={"Authorization": f"Bearer {ben}"})
        assert rest.status_code == 403


async def test_rest_is_behind_the_same_gate_with_the_same_teams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:

        async def ask(subject: str, method: str, path: str, scope: str = "storage:destroy", **more: Any) -> Any:
            headers = {"Authorization": f"Bearer {world.token(subject, scope)}"}
            return await world.client.request(method, path, headers=headers, **more)

        assert (await world.client.get("/v1/openapi.json")).status_code == 401
        home = (await ask("anna", "GET", "/v1/shared-drives")).json()[0]
        body = {"name": "annas", "size": 250, "region": home["region"], "privateNetworkId": home["privateNetworkId"]}
        refused = await ask("anna", "POST", "/v1/shared-drives", "storage:read", json=body)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:paperspace-storage-mcp:insufficient-scope")
        assert 'scope="storage:write"' in refused.headers["WWW-Authenticate"]
        made = (await ask("anna", "POST", "/v1/shared-drives", "storage:write", json=body)).json()
        assert (await ask("ben", "GET", f"/v1/shared-drives/{made['id']}")).status_code == 404
        assert (await ask("anna", "GET", f"/v1/shared-drives/{made['id']}")).json()["name"] == "annas"


async def test_another_host_or_origin_is_turned_away_and_health_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch, cors_origins=["https://app.example.com"]) as world:
        anna = world.token("anna")

        async def status(**headers: str) -> int:
            return (await world.rpc("modern", anna, "tools/list", headers=headers)).status_code

        assert await status() == 200
        assert await status(Host="mcp.example.com:443") == 200
        assert await status(Host="evil.example.com") == 421
        assert await status(Host="127.0.0.1:8000") == 421
        assert await status(Origin="https://mcp.example.com") == 200
        assert await status(Origin="https://app.example.com") == 200
        assert await status(Origin="https://evil.example.com") == 403
        preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        allowed = await world.client.options("/mcp", headers=preflight)
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        ready = await world.client.get("/readyz", headers={"Host": "10.0.0.7:8000"})
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_no_answer_to_an_outsider_shows_a_key_or_a_teams_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = "/.well-known/oauth-protected-resource"
    async with hosted_world(tmp_path, monkeypatch) as world:
        answers = [
            await world.client.request(method, path, headers=headers)
            for method in ("GET", "POST", "DELETE", "OPTIONS", "PUT")
            for path in (
                "/",
                "/mcp",
                "/v1/shared-drives",
                "/readyz",
                "/.well-known/oauth-protected-resource",
                "/metrics",
            )
            for headers in (
                {},
                {"Authorization": f"Bearer {KEYS['RESEARCH_KEY']}"},
                {"Authorization": f"Bearer {world.token('stranger')}"},
            )
        ]
        for answer in answers:
            shown = answer.text + json.dumps(dict(answer.headers))
            assert not any(word in shown for word in (*KEYS.values(), "research", '"ops'))
            assert answer.status_code in (200, 401, 403, 405)
            open_to_all = {("GET", "/readyz"), ("GET", metadata), ("OPTIONS", metadata)}
            assert (answer.status_code == 200) == ((answer.request.method, answer.request.url.path) in open_to_all)


class AwayStore(MemoryStore):
    """What the replicas share, gone."""

    async def add(self, key: str, value: str, seconds: float) -> bool:
        raise StoreUnavailable("no answer")

    async def get(self, key: str) -> str | None:
        raise StoreUnavailable("no answer")

    async def draw(self, key: str, limit: int, seconds: float, *, take: bool = True) -> float:
        raise StoreUnavailable("no answer")

    async def ping(self) -> None:
        raise StoreUnavailable("no answer")


async def test_with_what_replicas_share_away_reading_goes_on_and_writing_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        away: Store = AwayStore()
        world.hosted.services.maker.store = away
        monkeypatch.setattr(world.hosted.health, "ping", away.ping)
        anna = world.token("anna")
        drives = structured(await world.call("modern", anna, "list_shared_drives"))["items"]
        for tool, arguments in (
            (
                "create_shared_drive",
                {"name": "n", "size": 250, "region": "ny2", "privateNetworkId": drives[0]["privateNetworkId"]},
            ),
            ("delete_shared_drive", {"id": drives[0]["id"], "confirm": drives[0]["name"]}),
        ):
            refused = result(await world.call("modern", anna, tool, **arguments))["result"]
            assert refused["isError"]
            assert "it writes nothing until that is back" in refused["content"][0]["text"]
        assert structured(await world.call("modern", anna, "list_shared_drives"))["items"] == drives
        ready = await world.client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "degraded"})


async def test_the_budget_of_destruction_is_each_teams_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from paperspace_storage_server.settings.fields import Limit

    async with hosted_world(tmp_path, monkeypatch, max_destructive=Limit(1, 3600)) as world:
        for subject in ("anna", "ben"):
            token = world.token(subject)
            drives = structured(await world.call("modern", token, "list_shared_drives"))["items"]
            first, second = drives[:2]
            deleted = await world.call("modern", token, "delete_shared_drive", id=first["id"], confirm=first["name"])
            assert structured(deleted)["deleted"] is True
            beyond = await world.call("modern", token, "delete_shared_drive", id=second["id"], confirm=second["name"])
            assert result(beyond)["result"]["isError"]


async def test_listening_streams_end_when_the_server_is_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as world:
        anna = world.token("anna")
        await world.begin(anna)
        headers = {
            "Accept": "text/event-stream",
            "Authorization": f"Bearer {anna}",
            "Mcp-Session-Id": world.sessions[anna],
            "MCP-Protocol-Version": "2025-11-25",
        }
        listening = asyncio.create_task(world.client.get("/mcp", headers=headers))
        await asyncio.sleep(0.05)  # until it stands
        assert not listening.done()
        world.hosted.ending.told()
        async with asyncio.timeout(5):
            assert (await listening).status_code == 200
        assert (await world.client.get("/readyz")).json() == {"status": "draining"}
        assert (await world.call("modern", anna, "list_snapshots")).status_code == 200


async def test_an_issuer_that_is_away_at_the_start_makes_the_server_not_ready_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hosted.issuing import METADATA_AT
    from paperspace_storage_server.http.fetch import NotFetched

    async with hosted_world(tmp_path, monkeypatch) as world:
        assert world.hosted.issuer is not None
        monkeypatch.setattr(world.hosted, "issuer", type(world.hosted.issuer)(world.hosted.issuer.url, world.web.fetch))
    web = world.web
    good = web.documents[METADATA_AT]
    web.documents[METADATA_AT] = NotFetched("no answer in 5 s")
    assert world.hosted.issuer is not None
    await world.hosted.find_issuer()
    assert not world.hosted.issuer.ready
    web.documents[METADATA_AT] = good
    await world.hosted.find_issuer()
    assert world.hosted.issuer.ready
