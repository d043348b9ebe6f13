"""Two teams of one server that cannot see each other, over every surface: what a member of one receives holds nothing
of the other, and nobody can tell what exists elsewhere from what does not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from paperspace_storage_server.calls.principal import Principal
from paperspace_storage_server.calls.service import NoSuchTeam
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.http.transport import RawAnswer
from paperspace_storage_server.sandbox.app import create_app
from paperspace_storage_server.state.seal import NotSealedHere, Sealer, derived_key
from paperspace_storage_tools.catalogue import CATALOGUE
from support.crossing import Crossing, Pair
from support.hosted_server import HostedWorld, hosted_world
from support.two_teams import (
    ERAS,
    KEYS,
    MARKS,
    TASKS,
    TEAMS,
    Client,
    Era,
    Exchange,
    Things,
    Visitor,
    made_up,
    mark,
    result,
    structured,
    things,
    yes,
)

pytestmark = pytest.mark.anyio
ANNA, BEN = KEYS["RESEARCH_KEY"], KEYS["OPS_KEY"]


@dataclass
class Upstream:
    """The API of both teams: each request with the key that it came with. `hold` keeps those that match."""

    through: ThroughHttpx
    sent: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    hold: Callable[[str, str], bool] = lambda key, request: False
    held: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        key = next(value for name, value in headers.items() if name.lower() == "authorization").removeprefix("Bearer ")
        request = f"{method} {url}"
        self.sent.append((key, request, (content or b"").decode()))
        if self.hold(key, request):
            self.held.set()
            await self.release.wait()
        return await self.through.send(method, url, headers, content, on_wire=on_wire)

    async def aclose(self) -> None:
        return None

    def keys(self) -> set[str]:
        return {key for key, _, _ in self.sent}


@dataclass
class Two:
    """The server, both teams' visitors, and what each team has."""

    world: HostedWorld
    upstream: Upstream
    db: Path

    def visitor(self, subject: str = "ben-narwhal", scope: str = "storage:destroy", **more: Any) -> Visitor:
        claims = more.pop("claims", {})
        return Visitor(cast("Client", self.world.client), self.world.token(subject, scope, **claims), **more)

    @property
    def anna(self) -> Visitor:
        return self.visitor("anna-quokka")

    def of(self, team: str) -> Things:
        return things(self.db, MARKS[team], KEYS[f"{team.upper()}_KEY"])

    async def crossing(self, ben: Visitor) -> Crossing:
        """What ben can ask with what is anna's, whose cursors come from her own lists."""
        cursors: dict[str, str] = {}
        for tool in CATALOGUE:
            if "after" in tool.arguments.model_fields:
                page = structured(await self.anna.call("modern", tool.name, {"limit": 1}))
                cursors[tool.name] = page.get("nextPage", "anything")
        return Crossing(ben, self.of("ops"), self.of("research"), cursors, lambda: len(self.upstream.sent))


@asynccontextmanager
async def two_teams(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, teams: str = TEAMS, **settings: Any
) -> AsyncGenerator[Two]:
    db = folder / "api.sqlite"
    app = create_app("live", db=db, event_seconds=3600)
    upstream = Upstream(ThroughHttpx.to(app))

    def opened(base_url: str) -> Upstream:
        return upstream

    monkeypatch.setattr("paperspace_storage_server.http.pool.Pool", opened)
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    given: dict[str, Any] = {"sandbox": False, "dialect": "live", "state_keys": ["01" * 32], **settings}
    try:
        async with hosted_world(folder, monkeypatch, teams=teams, keys=KEYS, **given) as world:
            two = Two(world, upstream, db)
            for visitor in (two.anna, two.visitor()):
                structured(await visitor.call("modern", "list_shared_drives", {}))
            mark(db, {MARKS["research"]: ANNA, MARKS["ops"]: BEN})
            yield two
    finally:
        app.state.close()


def told_apart(pairs: list[Pair]) -> list[tuple[str, str, str, tuple[int, int]]]:
    return [(one.theirs.what, one.theirs.shape(), one.nobodys.shape(), one.cost) for one in pairs if one.told_apart]


@pytest.mark.parametrize("era", ERAS)
async def test_no_tool_shows_anything_of_another_team_nor_whether_it_exists(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch, max_destructive=None) as two:
        ben = two.visitor()
        if era == "legacy":
            await ben.begin()
        crossing = await two.crossing(ben)
        theirs, before = crossing.theirs, crossing.theirs.rows
        two.upstream.sent.clear()
        pairs = await crossing.tools(era)
        assert {json.loads(one.what.split(" ", 2)[2])["name"] for one in ben.kept if "tools/call" in one.what} == {
            tool.name for tool in CATALOGUE
        }
        assert ben.leaks(theirs.words) == []
        assert told_apart(pairs) == []
        assert two.upstream.keys() == {BEN}  # nothing of ben's went out under another key
        assert two.of("research").rows == before


@pytest.mark.parametrize("era", ERAS)
async def test_no_resource_prompt_or_completion_shows_anything_of_another_team(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch) as two:
        ben, anna = two.visitor(), two.anna
        for one in (anna, ben):
            if era == "legacy":
                await one.begin()
        crossing = await two.crossing(ben)
        other_way = Crossing(anna, crossing.theirs, crossing.mine, {})
        await other_way.prompts_and_completions(era)  # her lists are kept from now on
        two.upstream.sent.clear()
        pairs = [*await crossing.resources(era), *await crossing.prompts_and_completions(era)]
        assert ben.leaks(crossing.theirs.words) == []
        assert anna.leaks(crossing.mine.words) == []
        assert told_apart(pairs) == []
        assert two.upstream.keys() == {BEN}
        if era == "modern":
            await crossing.skills()
            assert ben.leaks(crossing.theirs.words) == []


async def test_no_operation_of_rest_shows_anything_of_another_team_nor_whether_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch, max_destructive=None) as two:
        ben = two.visitor()
        crossing = await two.crossing(ben)
        two.upstream.sent.clear()
        pairs = await crossing.rest()
        assert ben.leaks(crossing.theirs.words) == []
        assert told_apart(pairs) == []
        assert two.upstream.keys() == {BEN}
        assert two.of("research").rows == crossing.theirs.rows


METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tasks/get", {}),
    ("tasks/cancel", {}),
    ("tasks/update", {"inputResponses": {}}),
)


async def started_task(who: Visitor, snapshot: str) -> str:
    """The id of a task: a snapshot that is being deleted."""
    asked = result(await who.call("modern", "delete_snapshot", {"id": snapshot}))["result"]
    made = result(await who.call("modern", "delete_snapshot", {"id": snapshot}, **yes(asked["requestState"])))["result"]
    assert made["resultType"] == "task", made
    return str(made["taskId"])


async def test_a_task_opens_for_its_own_team_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_teams(tmp_path, monkeypatch) as two:
        extensions: dict[str, Any] = {TASKS: {}}
        anna = two.visitor("anna-quokka", extensions=extensions, asks=True)
        ben = two.visitor(extensions=extensions, asks=True)
        theirs = two.of("research")
        task = await started_task(anna, theirs.id("snapshots"))
        for method, more in METHODS:
            foreign = await ben.rpc("modern", method, {"taskId": task, **more}, typed=[task])
            nobodys = await ben.rpc("modern", method, {"taskId": made_up(task), **more}, typed=[made_up(task)])
            assert foreign.shape() == nobodys.shape()
            assert result(foreign)["error"]["message"] == "Failed to retrieve task: Task not found"
        assert ben.leaks(theirs.words) == []
        assert result(await anna.rpc("modern", "tasks/get", {"taskId": task}))["result"]["status"] == "working"


async def test_a_question_is_answered_by_whom_it_was_put_to_and_a_foreign_answer_does_not_use_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teams = TEAMS.replace('["anna-quokka",', '["anna-quokka", "colleague",')
    async with two_teams(tmp_path, monkeypatch, teams=teams) as two:
        anna, ben = two.visitor("anna-quokka", asks=True), two.visitor(asks=True)
        colleague = two.visitor("colleague", asks=True)
        theirs, mine = two.of("research"), two.of("ops")
        drive = theirs.id("drives")
        asked = result(await anna.call("modern", "delete_shared_drive", {"id": drive}))["result"]
        assert asked["resultType"] == "input_required"
        state: str = asked["requestState"]
        for who, id in ((ben, drive), (ben, mine.id("drives")), (colleague, drive)):
            stolen = await who.call("modern", "delete_shared_drive", {"id": id}, typed=[state, id], **yes(state))
            guessed = made_up(state)
            made = await who.call("modern", "delete_shared_drive", {"id": id}, typed=[guessed, id], **yes(guessed))
            assert result(stolen)["result"]["isError"] is True
            assert stolen.shape() == made.shape()
        assert ben.leaks(theirs.words) == []
        assert two.of("research").rows == theirs.rows
        assert two.of("ops").rows == mine.rows
        done = await anna.call("modern", "delete_shared_drive", {"id": drive}, **yes(state))
        assert structured(done)["deleted"] is True


async def test_an_idempotency_key_belongs_to_one_person_of_one_team(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch, auth_team_claim="team") as two:
        anna, ben = two.anna, two.visitor()
        both = [two.visitor("both-of-us", claims={"team": team}) for team in ("quokka-research", "narwhal-ops")]
        machine = {"research": two.of("research").id("machines"), "ops": two.of("ops").id("machines")}
        key = {"Idempotency-Key": "k"}
        body = {"machineId": machine["research"], "name": "one"}
        first = await anna.rest("POST", "/snapshots", body, headers=key)
        assert first.status in (200, 201)
        foreign = await ben.rest("POST", "/snapshots", body, headers=key, typed=[machine["research"]])
        assert foreign.status == 404  # asked for anew, under their own key of the API
        for who, of in zip((ben, *both), ("ops", "research", "ops"), strict=True):
            own = await who.rest(
                "POST", "/snapshots", {**body, "machineId": machine[of]}, headers={"Idempotency-Key": "l"}
            )
            assert own.status in (200, 201), own.came
            assert "idempotent-replay" not in own.came
        assert "idempotent-replay: true" in (await anna.rest("POST", "/snapshots", body, headers=key)).came
        assert ben.leaks(two.of("research").words) == []


async def test_a_creation_waits_for_none_of_another_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_teams(tmp_path, monkeypatch) as two:
        homes = {team: two.of(team).rows["networks"][0] for team in ("research", "ops")}

        def wanted(team: str) -> dict[str, Any]:
            home = homes[team]
            return {"name": "same", "size": 250, "region": home["region"], "privateNetworkId": home["id"]}

        two.upstream.hold = lambda key, request: key == ANNA and request.startswith("POST")
        under_way = asyncio.create_task(two.anna.call("modern", "create_shared_drive", wanted("research")))
        await two.upstream.held.wait()
        async with asyncio.timeout(5):
            made = structured(await two.visitor().call("modern", "create_shared_drive", wanted("ops")))
        assert not under_way.done()
        two.upstream.release.set()
        assert structured(await under_way)["id"] != made["id"]


async def test_what_one_team_uses_up_is_not_counted_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paperspace_storage_server.settings.fields import Limit

    async with two_teams(tmp_path, monkeypatch, max_destructive=Limit(1, 3600), rate=8) as two:
        anna, ben = two.anna, two.visitor()
        theirs, mine = two.of("research"), two.of("ops")

        async def delete(who: Visitor, of: Things, number: int) -> Exchange:
            given = {"id": of.id("drives", number), "confirm": of.name("drives", number)}
            return await who.call("modern", "delete_shared_drive", given)

        assert structured(await delete(anna, theirs, 0))["deleted"] is True
        assert result(await delete(anna, theirs, 1))["result"]["isError"] is True
        answers = [await anna.call("modern", "list_snapshots", {"limit": 1}) for _ in range(8)]
        assert answers[-1].status == 429
        assert structured(await delete(ben, mine, 0))["deleted"] is True
        assert ben.leaks(theirs.words) == []


async def test_one_person_in_two_teams_carries_nothing_from_one_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch, auth_team_claim="team") as two:
        extensions: dict[str, Any] = {TASKS: {}}
        for_research, for_ops = (
            two.visitor("both-of-us", claims={"team": team}, extensions=extensions, asks=True)
            for team in ("quokka-research", "narwhal-ops")
        )
        theirs = two.of("research")
        drive, snapshot = theirs.id("drives"), theirs.id("snapshots")
        asked = result(await for_research.call("modern", "delete_shared_drive", {"id": drive}))["result"]
        task = await started_task(for_research, snapshot)
        given = {"id": drive}
        state: str = asked["requestState"]
        foreign = await for_ops.call("modern", "delete_shared_drive", given, typed=[drive, state], **yes(state))
        assert result(foreign)["result"]["isError"] is True
        assert "error" in result(await for_ops.rpc("modern", "tasks/get", {"taskId": task}, typed=[task]))
        await for_research.begin()
        for_ops.session = for_research.session
        for method in ("tools/list", "resources/list"):
            assert (await for_ops.rpc("legacy", method)).status == 404
        assert for_ops.leaks(theirs.words) == []


async def test_logs_metrics_and_the_audit_file_name_each_team_and_person_in_their_own_lines_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prometheus_client import generate_latest

    audit = tmp_path / "audit.jsonl"
    level = logging.getLogger().level
    settings: dict[str, Any] = {"log_level": "debug", "log_format": "json", "audit_file": audit, "metrics_port": 0}
    async with two_teams(tmp_path, monkeypatch, max_destructive=None, **settings) as two:
        ben = two.visitor()
        crossing = await two.crossing(ben)
        other_way = Crossing(two.anna, crossing.theirs, crossing.mine, crossing.cursors)
        await asyncio.gather(crossing.tools("modern"), other_way.tools("modern"))
        assert two.world.hosted.metrics is not None
        counted = generate_latest(two.world.hosted.metrics.registry).decode()
    logging.getLogger().setLevel(level)
    logging.getLogger().handlers.clear()
    assert "create_shared_drive" in counted
    assert not [word for word in (*crossing.theirs.words, *crossing.mine.words) if word in counted]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    calls = [line for line in lines if line["logger"].endswith(".calls")]
    assert {(line["team"], line["principal"].split()[1]) for line in calls} == {
        ("quokka-research", "anna-quokka"),
        ("narwhal-ops", "ben-narwhal"),
    }
    said = json.dumps([{**line, "team": "", "principal": ""} for line in lines])
    assert not [word for word in (*crossing.theirs.words, *crossing.mine.words) if word in said]
    for line in map(json.loads, audit.read_text(encoding="utf-8").splitlines()):
        assert (
            line["principal"].split()[1]
            == {"quokka-research": "anna-quokka", "narwhal-ops": "ben-narwhal"}[line["team"]]
        )


async def test_what_is_wrong_with_a_file_of_the_operators_is_nobodys_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paperspace_storage_server.hosted.watched import GRACE, LOOK_EVERY

    async with two_teams(tmp_path, monkeypatch) as two:
        now = [1000.0]
        file = two.world.hosted.services.file
        assert file is not None
        monkeypatch.setattr(file, "_clock", lambda: now[0])
        monkeypatch.setattr(file, "_looked", now[0])
        two.world.teams_file.write_text(TEAMS + "members.people = ['quokka-secret']\n", encoding="utf-8")
        for _ in range(2):  # seen to be broken, and broken for too long
            now[0] += max(GRACE, LOOK_EVERY) + 1
            await two.world.client.get("/readyz")
        ready = await two.world.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["status"] == "not ready"
        assert not [word for word in ("quokka", "narwhal", "members", "people") if word in ready.text]
        refused = await two.anna.call("modern", "list_snapshots", {})
        assert refused.status == 503
        assert "narwhal" not in refused.came


async def test_the_sweep_would_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is served with the other team's things is told apart and leaks: else the tests above could not fail."""
    async with two_teams(tmp_path, monkeypatch, max_destructive=None) as two:
        crossing = await two.crossing(two.anna)
        read = len(crossing.ben.kept)
        pairs = [*await crossing.resources("modern"), *await crossing.prompts_and_completions("modern")]
        pairs += [*await crossing.rest(), *await crossing.tools("modern")]
        assert len(crossing.ben.leaks(crossing.theirs.words)) > (len(crossing.ben.kept) - read) / 10
        assert len(told_apart(pairs)) > len(pairs) / 2
        assert two.upstream.keys() == {ANNA, BEN}
        assert two.of("research").rows != crossing.theirs.rows


async def test_a_team_that_goes_while_a_request_comes_in_is_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_teams(tmp_path, monkeypatch) as two:
        anna = two.anna
        await anna.begin()

        def gone(services: object, name: str) -> object:
            raise NoSuchTeam

        monkeypatch.setattr(type(two.world.hosted.services), "_entry", gone)
        for path in ("/shared-drives", "/openapi.json"):
            refused = await anna.rest("GET", path)
            assert (refused.status, '"type": "urn:paperspace-storage-mcp:access-denied"' in refused.came) == (403, True)
        for era in ERAS:
            assert (
                result(await anna.rpc(era, "tools/list"))["error"]["message"] == "Your team has gone from this server"
            )


async def test_without_a_key_of_the_api_nothing_is_sealed_under_a_key_that_anybody_can_derive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch, teams=None, open_to_issuer=True) as world:
        service = world.hosted.services.of(Principal("anna", "the team", frozenset()))
        sealed = service.process.sealer().seal("task", (), {}, 60)
        with pytest.raises(NotSealedHere):
            Sealer([derived_key("")]).open(sealed, "task", ())
