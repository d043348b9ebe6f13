"""Handing in a team's key, as agents meet it, and what becomes of the key: asked for, used, kept, gone."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hosted.issuing import ISSUER
from paperspace_storage_server.calls.principal import Principal
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.hosting.making import Leaving
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.state.store import key_of
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import StoreUnavailable
from support.connecting import KEY, OTHER, PAGE, URL_MODE, ConnectWorld, connect_world
from support.hosted_server import ERAS, Era, result, structured

pytestmark = pytest.mark.anyio
ACCEPT: dict[str, Any] = {"inputResponses": {"connect": {"action": "accept"}}}


@pytest.mark.parametrize("era", ERAS)
async def test_a_person_without_a_team_is_asked_on_the_page_and_then_their_call_succeeds(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        message = result(await one.ask(era))
        if era == "modern":
            assert message["result"]["resultType"] == "input_required"
            assert "requestState" not in message["result"]
            asked = message["result"]["inputRequests"]["connect"]
            assert asked["method"] == "elicitation/create"
            params = asked["params"]
            assert set(params) == {"mode", "message", "url"}
        else:
            assert message["error"]["code"] == -32042
            (params,) = message["error"]["data"]["elicitations"]
            assert set(params) == {"mode", "message", "url", "elicitationId"}
        assert params["mode"] == "url"
        assert params["url"].startswith(f"{PAGE}?for=")
        assert "carla" not in json.dumps(message)
        browser = one.browser()
        page = await browser.get(params["url"])
        assert page.status_code == 200
        assert "carla@example.com" in page.text
        connected = await browser.send("connect", key=KEY)
        assert "is kept" in connected.text
        again = ACCEPT if era == "modern" else {}
        answered = result(await one.ask(era, **again))["result"]
        assert answered["isError"] is False
        assert KEY in one.api.keys
        assert KEY not in json.dumps(answered) + connected.text
        await one.ask(era)
        assert set(one.api.methods) == {"GET"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {}}, {"elicitation": {"form": {}}}])
async def test_a_client_that_cannot_open_a_page_is_told_where_it_is(
    era: Era, capabilities: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        one.world.capabilities = capabilities
        answer = result(await one.world.call(era, one.world.token("carla"), "list_shared_drives"))["result"]
        assert answer["isError"] is True
        assert f"open {PAGE}, to sign in there as the person" in answer["content"][0]["text"]
        assert one.api.keys == []


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_want_to_is_told_so_and_nothing_is_sent(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        connecting = one.connecting
        waited: list[float] = []

        async def comes(principal: Principal, seconds: float) -> bool:
            waited.append(seconds)
            return False

        monkeypatch.setattr(connecting.teams, "comes", comes)
        answer = result(await one.ask("modern", inputResponses={"connect": {"action": action}}))["result"]
        assert waited == []
        assert answer["isError"] is True
        assert PAGE in answer["content"][0]["text"]


async def test_an_accept_without_a_key_is_waited_for_and_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch, call_timeout=0.3) as one:
        answer = result(await one.ask("modern", **ACCEPT))["result"]
        assert answer["isError"] is True
        assert PAGE in answer["content"][0]["text"]
        assert one.api.keys == []


async def test_a_key_that_comes_while_the_call_waits_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = one.browser()
        await browser.get(PAGE)
        connected = one.connecting

        async def meanwhile(seconds: float) -> None:
            await browser.send("connect", key=KEY)

        monkeypatch.setattr(connected.teams, "_sleep", meanwhile)
        answer = result(await one.ask("modern", **ACCEPT))["result"]
        assert answer["isError"] is False


async def test_a_resource_of_the_team_is_asked_for_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        one.world.capabilities = URL_MODE
        uri = {"uri": "paperspace://utilization"}
        message = result(await one.world.rpc("modern", one.world.token("carla"), "resources/read", uri))
        assert message["result"]["inputRequests"]["connect"]["params"]["mode"] == "url"
        await one.handed_in("carla", KEY)
        read = result(await one.world.rpc("modern", one.world.token("carla"), "resources/read", uri))
        assert json.loads(read["result"]["contents"][0]["text"])["total"] > 0


async def test_only_reading_tools_exist_for_a_key_that_was_handed_in_unless_the_policy_says_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tools(one: ConnectWorld) -> set[str]:
        answer = result(await one.world.rpc("modern", one.world.token("carla"), "tools/list"))
        return {tool["name"] for tool in answer["result"]["tools"]}

    async with connect_world(tmp_path, monkeypatch) as one:
        before = await tools(one)
        browser = await one.handed_in("carla", KEY)
        assert await tools(one) == before
        assert before == {tool.name for tool in CATALOGUE if not tool.writes}
        assert browser.page is not None
        assert "Your agent may only read with it." in browser.page.text
        deletion = await one.world.call("modern", one.world.token("carla"), "delete_shared_drive", id="x", confirm="x")
        assert "Unknown tool" in deletion.text
    more = Policy.model_validate({"read-only": False, "toolsets": ["shared-drives"]})
    async with connect_world(tmp_path, monkeypatch, connect_policy=more) as one:
        found = await tools(one)
        assert "delete_shared_drive" in found
        assert "list_snapshots" not in found
        drive = (await one.drives("carla"))[0]  # the key of before is still kept
        deletion = await one.world.call(
            "modern", one.world.token("carla"), "delete_shared_drive", id=drive["id"], confirm=drive["name"]
        )
        assert structured(deletion)["deleted"] is True


async def test_two_people_each_have_their_own_team_and_a_member_keeps_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.handed_in("carla", KEY)
        await one.handed_in("dora", OTHER)
        ids = {
            name: {drive["id"] for drive in await one.drives(name)} for name in ("carla", "dora", "anna")
        }  # anna is a member of a team of the file
        assert not ids["carla"] & ids["dora"]
        assert not ids["carla"] & ids["anna"]
        assert one.api.keys[-1] == "key-of-research-0123456789"
        refused = result(
            await one.world.call("modern", one.world.token("dora"), "get_shared_drive", id=min(ids["carla"]))
        )["result"]
        assert refused["isError"] is True


async def test_the_rest_surface_says_where_to_go_and_serves_the_key_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        header = {"Authorization": f"Bearer {one.world.token('carla')}"}
        refused = await one.world.client.get("/v1/shared-drives", headers=header)
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"
        assert f"open {PAGE}." in refused.json()["detail"]
        await one.handed_in("carla", KEY)
        assert (await one.world.client.get("/v1/shared-drives", headers=header)).status_code == 200


async def test_who_is_in_two_teams_or_names_a_foreign_one_hands_in_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = (
        '[teams.a]\napi-key-env = "RESEARCH_KEY"\nmembers.subjects = ["carla"]\n'
        '[teams.b]\napi-key-env = "OPS_KEY"\nmembers.subjects = ["carla"]\n'
    )
    async with connect_world(tmp_path, monkeypatch, teams=both, auth_team_claim="org") as one:
        answer = await one.ask("modern")
        assert answer.status_code == 403
        foreign = one.world.token("dora", org="a")
        assert (await one.world.rpc("modern", foreign, "tools/list")).status_code == 403
        page = await one.browser("carla").get(PAGE)
        assert "You are in more than one team of this server." in page.text
        assert 'name="key"' not in page.text


async def test_an_agent_whose_person_removes_the_key_is_out_with_its_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        await one.drives("carla")
        removed = await browser.send("remove")
        assert "The key is removed" in removed.text
        asked = len(one.api.keys)
        answer = result(await one.ask("modern"))["result"]
        assert answer["resultType"] == "input_required"
        assert len(one.api.keys) == asked


# --- what is kept, and for how long


class _Away:
    """A store that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        async def away(*arguments: Any, **more: Any) -> Any:
            raise StoreUnavailable("no answer")

        return away


@pytest.mark.parametrize("era", ERAS)
async def test_with_the_store_away_nothing_is_read_with_a_key_that_was_handed_in(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        await one.drives("carla", era)
        connecting = one.connecting
        present = connecting.page.keys
        for part in (present, connecting.page.sessions, connecting.page.links):
            monkeypatch.setattr(part, "_store", _Away())
        asked = len(one.api.keys)
        answer = result(await one.ask(era))["result"]
        assert answer["isError"] is True
        assert "so nothing was sent. Try again in a minute." in answer["content"][0]["text"]
        header = {"Authorization": f"Bearer {one.world.token('carla')}"}
        assert (await one.world.client.get("/v1/shared-drives", headers=header)).status_code == 503
        assert (await browser.get(PAGE)).status_code == 503
        assert (await browser.post({"csrf": "x", "action": "remove"})).status_code == 503
        assert len(one.api.keys) == asked
        assert await one.drives("anna")  # the operator's teams read on


async def test_what_is_kept_is_sealed_for_its_person_and_moves_to_the_first_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = "01" * 32, "02" * 32
    place = key_of("connected", f"{ISSUER} carla")

    async def kept(one: ConnectWorld) -> str:
        return await one.world.hosted.services.maker.store.get(place) or ""

    async with connect_world(tmp_path, monkeypatch, state_keys=[old]) as one:
        await one.handed_in("carla", KEY)
        first = await kept(one)
        assert first
        assert KEY not in first
        await one.world.hosted.services.maker.store.put(key_of("connected", f"{ISSUER} dora"), first, 100.0)
        assert result(await one.ask("modern", "dora"))["result"]["resultType"] == "input_required"
    async with connect_world(tmp_path, monkeypatch, state_keys=[new, old]) as one:
        await one.drives("carla")
        assert await kept(one) != first
    async with connect_world(tmp_path, monkeypatch, state_keys=[new]) as one:
        await one.drives("carla")
        assert one.api.keys[-1] == KEY
    async with connect_world(tmp_path, monkeypatch, state_keys=["03" * 32]) as one:
        assert result(await one.ask("modern"))["result"]["resultType"] == "input_required"


async def test_no_key_no_link_and_no_cookie_is_in_the_log_or_the_audit_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = tmp_path / "audit.jsonl"
    policy = Policy.model_validate({"read-only": False})
    given: dict[str, Any] = {"connect_policy": policy, "audit_file": audit, "log_level": "debug"}
    async with connect_world(tmp_path, monkeypatch, **given) as one:
        link = await one.link()
        browser = one.browser()
        await browser.get(link)
        await browser.send("connect", key="key-refused-0123456789")
        await browser.send("connect", key=KEY)
        drive = (await one.drives("carla"))[0]
        arguments = {"id": drive["id"], "confirm": drive["name"]}
        await one.world.call("modern", one.world.token("carla"), "delete_shared_drive", **arguments)
        lines = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
        assert [line["tool"] for line in lines] == ["connect", "delete_shared_drive"]
        assert {line["principal"] for line in lines} == {f"{ISSUER} carla"}
        assert lines[0]["outcome"] == "done"
        assert lines[-1]["team"].endswith(" (handed in)")
        logged = capsys.readouterr().err
        said = logged + audit.read_text(encoding="utf-8")
        for secret in (KEY, "key-refused-0123456789", link.partition("=")[2], browser.cookies["__Host-connect"]):
            assert secret not in said
        assert f"{ISSUER} carla has handed in a key" in logged


async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = tmp_path / "audit.jsonl"
    async with connect_world(tmp_path, monkeypatch, audit_file=audit) as one:
        browser = one.browser()
        await browser.get(PAGE)
        audit.mkdir()
        refused = await browser.send("connect", key=KEY)
        assert refused.status_code == 503
        assert "This cannot be recorded at the moment." in refused.text
        assert "You have handed in no key." in (await browser.get(PAGE)).text
        audit.rmdir()
        await browser.send("connect", key=KEY)
        audit.unlink()
        audit.mkdir()
        assert (await browser.send("remove")).status_code == 503
        await one.drives("carla")
        audit.rmdir()
        await browser.get(PAGE)
        await browser.send("remove")
        (line,) = [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]
        assert (line["tool"], line["principal"], line["arguments"]) == ("disconnect", f"{ISSUER} carla", {})


async def test_a_key_is_masked_in_the_log_from_its_trial_on_and_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, refused = logging.getLogger("of.somebody.else"), "key-refused-0123456789"
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        await browser.send("connect", key=refused)
        log.error("Tried %s", refused)
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.drives("carla")
        log.error("Used %s", KEY)
    said = capsys.readouterr().err
    assert said.count("[secret]") == 2
    assert KEY not in said
    assert refused not in said


async def test_another_key_takes_the_place_of_the_first_with_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        browser = await one.handed_in("carla", KEY)
        first = await one.drives("carla")
        await browser.send("connect", key=OTHER)
        assert {drive["id"] for drive in await one.drives("carla")}.isdisjoint(drive["id"] for drive in first)
        assert one.api.keys[-1] == OTHER


async def test_two_people_with_one_key_share_its_deletions_and_the_operators_profiles_are_not_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_PROD_ACCESS_KEY", "AKIA0123456789")
    monkeypatch.setenv("PAPERSPACE_MCP_CREDENTIAL_PROD_SECRET_KEY", "secret-of-prod")
    one_team = '[teams.research]\napi-key-env = "RESEARCH_KEY"\nmembers.subjects = ["anna"]\n'
    policy = Policy.model_validate({"read-only": False, "max-destructive": "1/hour"})
    async with connect_world(tmp_path, monkeypatch, teams=one_team, connect_policy=policy) as one:

        async def outcome(subject: str, tool: str, **arguments: Any) -> dict[str, Any]:
            answer = result(await one.world.call("modern", one.world.token(subject), tool, **arguments))
            found: dict[str, Any] = answer["result"]
            return found

        for name in ("carla", "dora"):
            await one.handed_in(name, KEY)
        first, second = (await one.drives("carla"))[:2]
        deleted = await outcome("carla", "delete_shared_drive", id=first["id"], confirm=first["name"])
        assert deleted["isError"] is False
        refused = await outcome("dora", "delete_shared_drive", id=second["id"], confirm=second["name"])
        assert "The operator allows 1 deletion or restore in 1 h" in refused["content"][0]["text"]
        assert refused["isError"] is True
        assert second["id"] in {drive["id"] for drive in await one.drives("dora")}
        new = {"name": "n", "type": "s3", "bucket": "b", "credentialProfile": "prod"}
        unknown = await outcome("carla", "create_storage_provider", **new)
        assert unknown["isError"] is True
        assert "Profiles that exist: none are configured." in unknown["content"][0]["text"]


async def test_a_service_that_nobody_calls_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect_world(tmp_path, monkeypatch) as one:
        connecting = one.connecting
        teams, now = connecting.teams, [1000.0]
        monkeypatch.setattr(teams, "_clock", lambda: now[0])
        left: list[Service] = []

        def leave(leaving: Leaving, service: Service) -> None:
            left.append(service)  # it would be closed a minute later

        monkeypatch.setattr(Leaving, "leave", leave)
        for name in ("carla", "dora"):
            await one.handed_in(name, f"key-of-{name}-0123456789")
            await one.drives(name)
        now[0] += 899
        await one.drives("dora")
        assert left == []
        now[0] += 2
        await one.drives("dora")
        assert [service.settings.api_key for service in left] == [SecretStr(KEY)]
        await one.drives("carla")  # and is there again when it is needed


async def test_when_all_that_may_stand_open_are_in_use_one_more_is_asked_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperspace_storage_server.hosting.connected_teams.MOST", 1)
    async with connect_world(tmp_path, monkeypatch) as one:
        await one.handed_in("carla", KEY)
        connecting = one.connecting
        carla = Principal(f"{ISSUER} carla", f"connect:{ISSUER} carla", frozenset())
        async with connecting.teams.request(carla) as standing:
            assert standing == "connected"
            full = await one.ask("modern", "dora")
            assert full.status_code == 503
            assert full.headers["retry-after"] == "5"
        assert (await one.ask("modern", "dora")).status_code == 200


async def test_a_bounded_number_of_services_stands_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperspace_storage_server.hosting.connected_teams.MOST", 2)
    async with connect_world(tmp_path, monkeypatch) as one:
        for name in ("carla", "dora", "emil", "carla"):
            await one.handed_in(name, f"key-of-{name}-0123456789")
            await one.drives(name)
        connecting = one.connecting
        assert len(connecting.teams._people) == 2  # pyright: ignore[reportPrivateUsage]  # how many stand open is what is asked
