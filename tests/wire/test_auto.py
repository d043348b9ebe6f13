"""`auto`: the dialect is learned from what is answered anyway, and asked for before a write that depends on it."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.sandbox import create_app
from paperspace_storage_server.wire.messages import Dialect
from support.recorded import Exchange, Mode, RecordedApi, answer_of, connected, failure_of

pytestmark = pytest.mark.anyio
PROBE = "GET /v1/snapshots?limit=1"
NEW = {"name": "n", "size": 10, "region": "ny2", "privateNetworkId": "ne1"}


class Watched:
    """The sandbox in one dialect, and the request lines and statuses it saw."""

    def __init__(self, dialect: Dialect) -> None:
        self.app = create_app(dialect, event_seconds=0.0)
        self.lines: list[str] = []
        self.statuses: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode()
        self.lines.append(f"{scope['method']} {scope['path']}{'?' + query if query else ''}")

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])
            await send(message)

        await self.app(scope, receive, watch)


@pytest.fixture(params=DIALECTS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Watched]:
    watched = Watched(request.param)
    yield watched
    watched.app.state.close()


@pytest.mark.parametrize("tool", ["list_snapshots", "list_shared_drives", "get_storage_utilization"])
async def test_a_read_that_both_encode_alike_teaches_the_dialect_without_a_probe(sandbox: Watched, tool: str) -> None:
    async with connected(sandbox, "auto") as client:
        answer_of(await client.call_tool(tool, {}))
        assert PROBE not in sandbox.lines
        assert len(sandbox.lines) == 1
        drives = answer_of(await client.call_tool("list_shared_drives", {}))["items"]
        network = drives[0]["privateNetworkId"]
        answer_of(
            await client.call_tool(
                "create_shared_drive", {**NEW, "region": drives[0]["region"], "privateNetworkId": network}
            )
        )
    assert PROBE not in sandbox.lines
    assert set(sandbox.statuses) <= {200, 201}


async def test_a_write_that_differs_is_preceded_by_exactly_one_probe_and_never_wasted(sandbox: Watched) -> None:
    async with connected(sandbox, "auto") as client:
        text = failure_of(await client.call_tool("create_shared_drive", NEW))
        assert "Nothing was changed." in text  # there is no network ne1, said by an API that understood
        assert sandbox.lines[0] == PROBE
        failure_of(await client.call_tool("create_shared_drive", NEW))
    assert sandbox.lines.count(PROBE) == 1
    assert [line for line in sandbox.lines if line.startswith("POST")] == ["POST /v1/shared-drives"] * 2


async def test_concurrent_first_writes_share_one_probe(sandbox: Watched) -> None:
    async with connected(sandbox, "auto") as client, anyio.create_task_group() as group:
        for place in range(8):
            group.start_soon(client.call_tool, "create_shared_drive", {**NEW, "name": f"n{place}"})
    assert sandbox.lines.count(PROBE) == 1
    assert sum(line.startswith("POST") for line in sandbox.lines) == 8


@pytest.mark.parametrize("status", [401, 404, 500, 503])
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_refused_probe_is_the_failure_and_no_write_follows(status: int, mode: Mode) -> None:
    api = RecordedApi([Exchange("GET", "/snapshots?limit=1", None, status, {"code": "C", "message": "no"})])
    async with connected(api, "auto", mode) as client:
        text = failure_of(await client.call_tool("create_shared_drive", NEW))
    api.assert_kept_to_script()
    assert str(status) in text
    assert text.endswith("Nothing was changed.")


@pytest.mark.parametrize("body", [{}, {"strange": 1}, b"<html>login</html>", b""])
async def test_a_probe_that_tells_nothing_stops_the_write(body: object) -> None:
    api = RecordedApi([Exchange("GET", "/snapshots?limit=1", body=body)])
    async with connected(api, "auto") as client:
        text = failure_of(await client.call_tool("create_shared_drive", NEW))
    api.assert_kept_to_script()
    assert "does not show which dialect" in text
    assert text.endswith("Nothing was changed.")


async def test_an_answer_that_tells_nothing_leaves_the_question_open() -> None:
    api = RecordedApi(
        [
            Exchange("GET", "/snapshots/ss1", body={"id": "ss1", "machineId": "ps1", "name": "n"}),
            Exchange("GET", "/snapshots?limit=1", body=[]),
            Exchange("GET", "/shared-drives", body=[]),
            Exchange("POST", "/shared-drives", NEW, 201, {"id": "sd1"}),
        ]
    )
    async with connected(api, "auto") as client:
        answer_of(await client.call_tool("get_snapshot", {"id": "ss1"}))
        assert answer_of(await client.call_tool("create_shared_drive", NEW)) == {"id": "sd1"}
    api.assert_kept_to_script()
