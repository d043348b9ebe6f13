"""Two replicas behind nginx, with Redis: what is asked at one is answered at the other, once; what is killed loses
nothing and makes nothing twice."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult

from paperspace_storage_server.hosted import static_tokens
from support.processes import ERAS, Era
from support.redis_server import RedisServer, redis_server
from support.servers import ServerProcess, free_port, nginx, server, status, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TEAMS = """
[teams.research]
api-key-env = "RESEARCH_KEY"

[teams.ops]
api-key-env = "OPS_KEY"
policy = { max-destructive = "2/hour" }
"""
KEYS = {"RESEARCH_KEY": "key-of-research-0123456789", "OPS_KEY": "key-of-ops-0123456789"}
OLD, NEW = "01" * 32, "02" * 32
_META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
}


@dataclass
class Cluster:
    """The replicas, what they share, the balancer before them and the API behind them."""

    folder: Path
    redis: RedisServer
    api_process: ServerProcess
    url: str
    replicas: list[ServerProcess]
    ports: list[int]
    call_seconds: int
    tokens: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def api(self) -> str:
        return f"{self.api_process.address}/v1"

    def settings(self, keys: str = OLD) -> dict[str, str]:
        return {
            **KEYS,
            "HOME": str(self.folder),
            "PAPERSPACE_API_URL": self.api,
            "PAPERSPACE_MCP_DIALECT": "live",
            "PAPERSPACE_MCP_PUBLIC_URL": self.url,
            "PAPERSPACE_MCP_TOKENS_FILE": str(self.folder / "tokens.json"),
            "PAPERSPACE_MCP_TEAMS_FILE": str(self.folder / "teams.toml"),
            "PAPERSPACE_MCP_REDIS_URL": self.redis.url.get_secret_value(),
            "PAPERSPACE_MCP_STATE_KEYS": keys,
            "PAPERSPACE_MCP_SURFACES": "mcp,rest",
            "PAPERSPACE_MCP_CALL_TIMEOUT": str(self.call_seconds),
            "PAPERSPACE_MCP_RATE": "unlimited",
        }

    def start(self, number: int, keys: str = OLD) -> None:
        port = self.ports[number]
        command = ["serve", "--transport", "streamable-http", "--port", str(port)]
        self.replicas[number] = ServerProcess(command, self.settings(keys))
        self.replicas[number].start()
        wait_for(f"http://127.0.0.1:{port}/readyz")

    def token(self, team: str) -> str:
        return self.tokens[team]

    @property
    def authority(self) -> str:
        return self.url.removeprefix("http://").removesuffix("/mcp")

    def ready(self, number: int) -> tuple[int, str]:
        found, body = status(f"http://127.0.0.1:{self.ports[number]}/readyz")
        return found, json.loads(body)["status"] if body else ""

    async def becomes(self, number: int, wanted: tuple[int, str], within: float = 20) -> None:
        """Until a replica says so of itself."""
        await _until(lambda: self.ready(number) == wanted, within)

    async def rpc(self, number: int | None, team: str, method: str, params: dict[str, Any]) -> httpx2.Response:
        """One request of the 2026 era, to one replica or through the balancer."""
        base = f"http://{self.authority}" if number is None else f"http://127.0.0.1:{self.ports[number]}"
        headers = {
            "Host": self.authority,
            "Authorization": f"Bearer {self.token(team)}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            "Mcp-Name": params.get("name", ""),
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": _META}}
        async with httpx2.AsyncClient(timeout=60) as client:
            return await client.post(f"{base}/mcp", json=body, headers=headers)

    async def call(
        self, number: int | None, team: str, tool: str, arguments: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        answer = await self.rpc(number, team, "tools/call", {"name": tool, "arguments": arguments, **more})
        assert answer.status_code == 200, answer.text
        text = answer.text
        if answer.headers["content-type"].startswith("text/event-stream"):
            text = next(line[6:] for line in text.splitlines() if line.startswith("data: {"))
        found: dict[str, Any] = json.loads(text)["result"]
        return found

    async def done(self, number: int | None, team: str, tool: str, **arguments: Any) -> dict[str, Any]:
        found = await self.call(number, team, tool, arguments)
        assert not found["isError"], found
        content: dict[str, Any] = found["structuredContent"]
        return content

    async def rest(self, number: int | None, team: str, method: str, path: str, **more: Any) -> httpx2.Response:
        base = f"http://{self.authority}" if number is None else f"http://127.0.0.1:{self.ports[number]}"
        headers = {"Host": self.authority, "Authorization": f"Bearer {self.token(team)}", **more.pop("headers", {})}
        async with httpx2.AsyncClient(timeout=60) as client:
            return await client.request(method, f"{base}/v1{path}", headers=headers, **more)

    async def drives(self, team: str) -> list[dict[str, Any]]:
        """Straight from the API, as the team's own key sees them."""
        headers = {"Authorization": f"Bearer {KEYS[f'{team.upper()}_KEY']}"}
        found: list[dict[str, Any]] = []
        async with httpx2.AsyncClient(timeout=30) as client:
            after: str | None = None
            while True:
                query: dict[str, Any] = {"limit": 100, **({"after": after} if after else {})}
                page = (await client.get(f"{self.api}/shared-drives", headers=headers, params=query)).json()
                found += page["items"]
                after = page.get("nextPage")
                if not page.get("hasMore"):
                    return found

    async def home(self, team: str) -> dict[str, Any]:
        drive = (await self.drives(team))[0]
        return {"size": 250, "region": drive["region"], "privateNetworkId": drive["networkId"]}


async def _until(holds: Callable[[], bool], within: float = 20) -> None:
    """Watch other processes until something holds. Raises `TimeoutError` where it does not in time."""
    async with asyncio.timeout(within):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Cluster]:
    """Calls may take 20 s, or as many as the test says."""
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        api = stack.enter_context(server(["sandbox", "--port", "0", "--dialect", "live"], {}))
        port, ports = free_port(), [free_port(), free_port()]
        one = Cluster(tmp_path, redis, api, f"http://127.0.0.1:{port}/mcp", [], ports, getattr(request, "param", 20))
        (tmp_path / "teams.toml").write_text(TEAMS, encoding="utf-8")
        for team in ("research", "ops"):
            one.tokens[team] = static_tokens.make(
                tmp_path / "tokens.json", team, team, ["storage:destroy"], None, time.time()
            )
        one.replicas = [ServerProcess([], {}), ServerProcess([], {})]
        try:
            for number in range(2):
                one.start(number)
            stack.enter_context(nginx(port, ports))
            yield one
        finally:
            for replica in one.replicas:
                replica.end()


@asynccontextmanager
async def client(cluster: Cluster, team: str, era: Era, elicit: Any = None) -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {cluster.token(team)}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(cluster.url, http_client=http), mode=era, elicitation_callback=elicit) as one,
    ):
        yield one


def yes(state: str) -> dict[str, Any]:
    return {"requestState": state, "inputResponses": {"confirm": {"action": "accept", "content": {"confirm": True}}}}


async def test_a_confirmation_is_answered_at_the_other_replica_and_counts_once(cluster: Cluster) -> None:
    first, second, third = (await cluster.drives("research"))[:3]
    asked = await cluster.call(0, "research", "delete_shared_drive", {"id": first["id"]})
    assert asked["resultType"] == "input_required"
    state = asked["requestState"]
    assert first["name"] not in state
    foreign = await cluster.call(1, "ops", "delete_shared_drive", {"id": first["id"]}, **yes(state))
    assert foreign["isError"]
    other = await cluster.call(1, "research", "delete_shared_drive", {"id": second["id"]}, **yes(state))
    assert "belongs to no open question" in other["content"][0]["text"]
    deleted = await cluster.call(1, "research", "delete_shared_drive", {"id": first["id"]}, **yes(state))
    assert deleted["structuredContent"]["deleted"] is True
    for number in (0, 1):
        replayed = await cluster.call(number, "research", "delete_shared_drive", {"id": first["id"]}, **yes(state))
        assert replayed["isError"]

    # Of many replays at once, at both, one counts.
    asked = await cluster.call(None, "research", "delete_shared_drive", {"id": third["id"]})
    said = yes(asked["requestState"])
    answers = await asyncio.gather(
        *(
            cluster.call(number % 2, "research", "delete_shared_drive", {"id": third["id"]}, **said)
            for number in range(12)
        )
    )
    assert sum(not answer["isError"] for answer in answers) == 1
    left = {drive["id"] for drive in await cluster.drives("research")}
    assert second["id"] in left
    assert not {first["id"], third["id"]} & left


@pytest.mark.parametrize("era", ERAS)
async def test_the_official_client_works_behind_the_balancer_in_both_eras(era: Era, cluster: Cluster) -> None:
    questions: list[str] = []

    async def elicit(context: object, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with client(cluster, "research", era, elicit) as one:
        drives = (await cluster.drives("research"))[:4]
        for drive in drives:
            # Served statelessly, the older era cannot ask: there the typed name counts.
            typed = {} if era == "auto" else {"confirm": drive["name"]}
            answer = await one.call_tool("delete_shared_drive", {"id": drive["id"], **typed})
            assert not answer.is_error, answer
        assert len(questions) == (4 if era == "auto" else 0)
        assert all(question.startswith('Team "research": ') for question in questions)
    assert not {drive["id"] for drive in drives} & {drive["id"] for drive in await cluster.drives("research")}


async def test_keys_that_seal_are_changed_while_questions_are_open(cluster: Cluster) -> None:
    drive, other = (await cluster.drives("research"))[:2]
    before = await cluster.call(0, "research", "delete_shared_drive", {"id": drive["id"]})
    cluster.replicas[1].end(signal.SIGTERM)
    cluster.start(1, f"{NEW},{OLD}")
    after = await cluster.call(1, "research", "delete_shared_drive", {"id": other["id"]})
    cluster.replicas[0].end(signal.SIGTERM)
    cluster.start(0, f"{NEW},{OLD}")
    for asked, one in ((before, drive), (after, other)):
        answer = await cluster.call(
            0, "research", "delete_shared_drive", {"id": one["id"]}, **yes(asked["requestState"])
        )
        assert not answer["isError"], answer


async def test_budgets_idempotency_and_creations_are_shared(cluster: Cluster) -> None:
    drives = await cluster.drives("ops")
    for number, drive in enumerate(drives[:2]):
        deleted = await cluster.rest(
            number, "ops", "DELETE", f"/shared-drives/{drive['id']}", headers={"Confirm-Name": drive["name"]}
        )
        assert deleted.status_code == 204, deleted.text
    beyond = await cluster.rest(
        0, "ops", "DELETE", f"/shared-drives/{drives[2]['id']}", headers={"Confirm-Name": drives[2]["name"]}
    )
    assert beyond.status_code == 429
    assert int(beyond.headers["Retry-After"]) > 3000
    research = (await cluster.drives("research"))[0]
    theirs = await cluster.rest(
        0, "research", "DELETE", f"/shared-drives/{research['id']}", headers={"Confirm-Name": research["name"]}
    )
    assert theirs.status_code == 204  # another team's budget is its own

    home = await cluster.home("ops")
    body = {"name": "made-once", **home}
    answers = await asyncio.gather(
        *(
            cluster.rest(number % 2, "ops", "POST", "/shared-drives", json=body, headers={"Idempotency-Key": "k"})
            for number in range(8)
        )
    )
    found = Counter(answer.status_code for answer in answers)
    assert set(found) <= {200, 201, 409}
    again = await cluster.rest(1, "ops", "POST", "/shared-drives", json=body, headers={"Idempotency-Key": "k"})
    assert again.headers["Idempotent-Replay"] == "true"
    twin = {**body, "name": "twin"}
    twins = await asyncio.gather(*(cluster.rest(n, "ops", "POST", "/shared-drives", json=twin) for n in (0, 1)))
    assert sorted(answer.status_code for answer in twins) == [201, 409]  # this API has no two drives of one name
    names = Counter(drive["name"] for drive in await cluster.drives("ops"))
    assert (names["made-once"], names["twin"]) == (1, 1)


async def test_with_redis_away_reading_goes_on_writing_stops_and_the_balancer_keeps_both(cluster: Cluster) -> None:
    home = await cluster.home("research")
    cluster.redis.end()
    began = time.monotonic()
    refused = await cluster.call(0, "research", "create_shared_drive", {"name": "no", **home})
    assert refused["isError"]
    assert "it writes nothing until that is back" in refused["content"][0]["text"]
    assert time.monotonic() - began < 3
    for number in (0, 1):
        assert (await cluster.done(number, "research", "list_shared_drives"))["items"]
    for number in (0, 1):
        await cluster.becomes(number, (200, "degraded"))

    cluster.redis.start()
    assert (await cluster.done(1, "research", "create_shared_drive", name="yes", **home))["name"] == "yes"
    for number in (0, 1):
        await cluster.becomes(number, (200, "ready"))
    names = Counter(drive["name"] for drive in await cluster.drives("research"))
    assert (names["no"], names["yes"]) == (0, 1)


async def test_a_token_that_is_revoked_is_out_at_every_replica_within_ten_seconds(cluster: Cluster) -> None:
    assert (await cluster.rpc(1, "ops", "tools/list", {})).status_code == 200
    static_tokens.revoke(cluster.folder / "tokens.json", "ops")
    until = time.monotonic() + 10
    for number in (0, 1):
        while (await cluster.rpc(number, "ops", "tools/list", {})).status_code != 401:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
    assert (await cluster.rpc(0, "research", "tools/list", {})).status_code == 200


@pytest.mark.parametrize("cluster", [5], indirect=True)  # a request that was under way is free again 10 s after that
async def test_a_replica_that_is_killed_under_load_loses_nothing_and_makes_nothing_twice(cluster: Cluster) -> None:
    home = await cluster.home("research")
    made: dict[str, str] = {}
    unanswered = 0

    async def create(name: str) -> None:
        """As a program would: the same key until there is an answer."""
        nonlocal unanswered
        until = time.monotonic() + 90
        while name not in made:
            assert time.monotonic() < until, name
            try:
                answer = await cluster.rest(
                    None, "research", "POST", "/shared-drives",
                    json={"name": name, **home}, headers={"Idempotency-Key": name},
                )  # fmt: skip
            except httpx2.HTTPError:
                unanswered += 1
                continue
            if answer.status_code in (200, 201):
                made[name] = answer.json()["id"]
            else:
                assert answer.status_code in (409, 502, 503, 504), answer.text
                unanswered += answer.status_code != 409
                await asyncio.sleep(0.5)

    names = [f"load-{number}" for number in range(60)]
    queue = iter(names)

    async def worker() -> None:
        for name in queue:
            await create(name)

    workers = [asyncio.create_task(worker()) for _ in range(8)]
    await _until(lambda: len(made) >= 15, 60)
    cluster.api_process.send(signal.SIGSTOP)
    await asyncio.sleep(0.5)  # until all workers wait for the API, some of them at either replica
    cluster.replicas[0].end(signal.SIGKILL)
    cluster.api_process.send(signal.SIGCONT)  # it makes what it was asked for, and has nobody to tell
    await asyncio.gather(*workers)
    assert unanswered  # else nothing was under way where it was killed
    found: dict[str, list[str]] = {}
    for drive in await cluster.drives("research"):
        found.setdefault(drive["name"], []).append(drive["id"])
    assert {name: found.get(name) for name in names} == {name: [made[name]] for name in names}
    cluster.start(0)
    assert (await cluster.done(0, "research", "list_shared_drives"))["items"]


async def test_a_replica_that_is_told_to_end_finishes_its_calls_and_no_call_fails(cluster: Cluster) -> None:
    machine = (await cluster.done(0, "research", "list_snapshots", limit=1))["items"][0]["machineId"]
    long = asyncio.create_task(
        cluster.done(0, "research", "create_snapshot", machineId=machine, name="long", waitSeconds=3)
    )
    while "long" not in [one["name"] for one in (await cluster.done(1, "research", "list_snapshots"))["items"]]:
        pass  # it is asked for, and then waits for its event
    answered = 0
    failed: list[object] = []
    ended = asyncio.Event()

    async def load() -> None:
        nonlocal answered
        while not ended.is_set():
            answer = await cluster.rpc(None, "research", "tools/call", {"name": "get_storage_utilization"})
            answered += 1
            if answer.status_code != 200:
                failed.append((answer.status_code, answer.text))

    workers = [asyncio.create_task(load()) for _ in range(4)]
    cluster.replicas[0].send(signal.SIGTERM)
    await cluster.becomes(0, (503, "draining"))
    assert (await long)["name"] == "long"
    took = await asyncio.to_thread(cluster.replicas[0].end, signal.SIGCONT)
    assert took < cluster.call_seconds + 5 + 3
    before = answered
    await _until(lambda: answered > before + 40)  # by the other one alone
    ended.set()
    await asyncio.gather(*workers)
    assert failed == []
