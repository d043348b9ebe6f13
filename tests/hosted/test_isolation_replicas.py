"""Two teams that cannot see each other, over real HTTP: nginx, two replicas, Redis, and every id of every kind."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from paperspace_storage_server.hosted import static_tokens
from paperspace_storage_tools.catalogue import CATALOGUE
from support.crossing import Crossing, Pair
from support.redis_server import redis_server
from support.servers import free_port, nginx, server, status, wait_for
from support.two_teams import (
    ERAS,
    KEYS,
    MARKS,
    TASKS,
    TEAMS,
    Client,
    Era,
    Things,
    Visitor,
    made_up,
    mark,
    result,
    structured,
    things,
    yes,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]
_TEAMS = {"anna-quokka": "quokka-research", "colleague": "quokka-research", "ben-narwhal": "narwhal-ops"}


@dataclass
class Served:
    """What is served, where, and to whom."""

    port: int
    replicas: list[int]
    metrics: list[int]
    tokens: dict[str, str]
    db: Path
    said: list[list[str]]

    def of(self, team: str) -> Things:
        return things(self.db, MARKS[team], KEYS[f"{team.upper()}_KEY"])

    @asynccontextmanager
    async def visitor(self, name: str, **more: Any) -> AsyncGenerator[Visitor]:
        async with httpx2.AsyncClient(timeout=60) as client:
            base = f"http://127.0.0.1:{self.port}"
            yield Visitor(cast("Client", client), self.tokens[name], base=base, **more)

    def at(self, visitor: Visitor, replica: int) -> Visitor:
        """The same visitor, past the balancer."""
        base = f"http://127.0.0.1:{self.replicas[replica]}"
        return Visitor(
            visitor.client, visitor.token, base=base, host=f"127.0.0.1:{self.port}",
            extensions=visitor.extensions, asks=visitor.asks, kept=visitor.kept,
        )  # fmt: skip

    @asynccontextmanager
    async def crossing(self, ben: Visitor) -> AsyncGenerator[Crossing]:
        cursors: dict[str, str] = {}
        async with self.visitor("anna-quokka") as anna:
            for tool in CATALOGUE:
                if "after" in tool.arguments.model_fields:
                    page = structured(await anna.call("modern", tool.name, {"limit": 1}))
                    cursors[tool.name] = page.get("nextPage", "anything")
            yield Crossing(ben, self.of("ops"), self.of("research"), cursors, thorough=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "teams.toml").write_text(TEAMS, encoding="utf-8")
    db, port, ports, metrics = (
        folder / "api.sqlite",
        free_port(),
        [free_port(), free_port()],
        [free_port(), free_port()],
    )
    tokens = {
        name: static_tokens.make(folder / "tokens.json", name, team, ["storage:destroy"], None, time.time())
        for name, team in _TEAMS.items()
    }
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        api = stack.enter_context(server(["sandbox", "--port", "0", "--dialect", "live", "--db", str(db)], {}))
        settings = {
            **KEYS,
            "HOME": str(folder),
            "PAPERSPACE_API_URL": f"{api.address}/v1",
            "PAPERSPACE_MCP_DIALECT": "live",
            "PAPERSPACE_MCP_PUBLIC_URL": f"http://127.0.0.1:{port}/mcp",
            "PAPERSPACE_MCP_TOKENS_FILE": str(folder / "tokens.json"),
            "PAPERSPACE_MCP_TEAMS_FILE": str(folder / "teams.toml"),
            "PAPERSPACE_MCP_REDIS_URL": redis.url.get_secret_value(),
            "PAPERSPACE_MCP_STATE_KEYS": "01" * 32,
            "PAPERSPACE_MCP_SURFACES": "mcp,rest",
            "PAPERSPACE_MCP_MAX_DESTRUCTIVE": "unlimited",
            "PAPERSPACE_MCP_RATE": "unlimited",
            "PAPERSPACE_MCP_LOG_LEVEL": "info",
            "PAPERSPACE_MCP_LOG_FORMAT": "json",
        }
        said: list[list[str]] = []
        for replica, counted in zip(ports, metrics, strict=True):
            command = [
                "serve",
                "--transport",
                "streamable-http",
                "--port",
                str(replica),
                "--metrics-port",
                str(counted),
            ]
            said.append(stack.enter_context(server(command, settings)).said)
            wait_for(f"http://127.0.0.1:{replica}/readyz")
        for key in KEYS.values():
            with httpx2.Client() as client:
                headers = {"Authorization": f"Bearer {key}"}
                assert client.get(f"{api.address}/v1/shared-drives", headers=headers).status_code == 200
        mark(db, {MARKS["research"]: KEYS["RESEARCH_KEY"], MARKS["ops"]: KEYS["OPS_KEY"]})
        stack.enter_context(nginx(port, ports))
        yield Served(port, ports, metrics, tokens, db, said)


def told_apart(pairs: list[Pair]) -> list[tuple[str, str, str]]:
    return [(one.theirs.what, one.theirs.shape(), one.nobodys.shape()) for one in pairs if one.told_apart]


@pytest.mark.parametrize("era", ERAS)
async def test_nothing_of_one_team_comes_to_the_other_over_any_surface(era: Era, served: Served) -> None:
    async with served.visitor("ben-narwhal") as ben, served.crossing(ben) as crossing:
        if era == "legacy":
            await ben.begin()
        pairs = [*await crossing.tools(era), *await crossing.resources(era)]
        pairs += await crossing.prompts_and_completions(era)
        if era == "modern":
            pairs += await crossing.rest()
            await crossing.skills()
        assert len(pairs) > 200
        assert ben.leaks(crossing.theirs.words) == []
        assert told_apart(pairs) == []
        assert served.of("research").rows == crossing.theirs.rows


async def test_tasks_questions_and_idempotency_keys_of_one_team_are_nobodys_at_either_replica(served: Served) -> None:
    extensions: dict[str, Any] = {TASKS: {}}
    async with (
        served.visitor("anna-quokka", extensions=extensions, asks=True) as anna,
        served.visitor("ben-narwhal", extensions=extensions, asks=True) as ben,
        served.visitor("colleague", asks=True) as colleague,
    ):
        theirs = served.of("research")
        drive, snapshot, machine = theirs.id("drives"), theirs.id("snapshots"), theirs.id("machines")
        asked = result(await served.at(anna, 0).call("modern", "delete_snapshot", {"id": snapshot}))["result"]
        answer = yes(asked["requestState"])
        made = result(await served.at(anna, 1).call("modern", "delete_snapshot", {"id": snapshot}, **answer))["result"]
        task = made["taskId"]
        state: str = result(await anna.call("modern", "delete_shared_drive", {"id": drive}))["result"]["requestState"]
        key, body = {"Idempotency-Key": "k"}, {"machineId": machine, "name": "one"}
        assert (await served.at(anna, 0).rest("POST", "/snapshots", body, headers=key)).status in (200, 201)
        for replica in (0, 1):
            there = served.at(ben, replica)
            foreign = await there.rpc("modern", "tasks/get", {"taskId": task}, typed=[task])
            nobodys = await there.rpc("modern", "tasks/get", {"taskId": made_up(task)}, typed=[made_up(task)])
            assert foreign.shape() == nobodys.shape()
            for who in (there, served.at(colleague, replica)):
                stolen = await who.call("modern", "delete_shared_drive", {"id": drive}, typed=[drive], **yes(state))
                assert result(stolen)["result"]["isError"] is True
            again = await there.rest("POST", "/snapshots", body, headers=key, typed=[machine])
            assert (again.status, "idempotent-replay" in again.came) == (404, False)
        assert ben.leaks(theirs.words) == []
        done = await served.at(anna, 1).call("modern", "delete_shared_drive", {"id": drive}, **yes(state))
        assert structured(done)["deleted"] is True
        replayed = await served.at(anna, 1).rest("POST", "/snapshots", body, headers=key)
        assert "idempotent-replay: true" in replayed.came


async def test_metrics_and_logs_of_both_replicas_show_no_teams_things(served: Served) -> None:
    async with served.visitor("anna-quokka") as anna, served.visitor("ben-narwhal") as ben:
        for who in (anna, ben, anna, ben):
            structured(await who.call("modern", "list_shared_drives", {}))
    words = {*served.of("research").words, *served.of("ops").words}
    for port in served.metrics:
        found, counted = status(f"http://127.0.0.1:{port}/metrics")
        assert found == 200
        assert b"list_shared_drives" in counted
        assert not [word for word in words if word in counted.decode()]
    lines = [json.loads(line) for said in served.said for line in said if line.startswith("{")]
    calls = {(line["team"], line["principal"]) for line in lines if "tool" in line}
    assert {("quokka-research", "token anna-quokka"), ("narwhal-ops", "token ben-narwhal")} <= calls
    assert {(_TEAMS[principal.removeprefix("token ")], principal) for _, principal in calls} == calls
    said_of_them = json.dumps([{**line, "team": "", "principal": ""} for line in lines])
    assert not [word for word in words if word in said_of_them]
