"""Whatever the API answers, any status and any bytes, a call ends in a result: never from inside, never wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from paperspace_storage_server.calls.outcome import Outcome
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.calls.unasked import Unasked
from paperspace_storage_server.http.in_process import ThroughHttpx
from paperspace_storage_server.settings import load_settings
from paperspace_storage_tools.catalogue import CATALOGUE
from support.service import service_over

FIELDS = (
    "id",
    "name",
    "size",
    "region",
    "privateNetworkId",
    "networkId",
    "machineId",
    "note",
    "storageSize",
    "items",
    "hasMore",
    "nextPage",
    "data",
    "event",
    "state",
    "error",
    "code",
    "message",
    "issues",
    "s3Config",
    "bucket",
    "type",
    "datasets",
    "totalUsage",
    "datasetUsage",
    "isAutoSnapshot",
    "autoSnapshotSaveCount",
    "storageUsed",
    "password",
    "dtCreated",
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(["done", "error", "new", "s3", "x1", "2026-02-02T01:01:00.000Z", "\u202e\x1b[31m", "\U000e0041"])
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=6),
    max_leaves=12,
)
BODIES = ANY_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40) | st.just(b"[" * 5000)
ANSWERS = st.tuples(
    st.sampled_from([200] * 6 + [201, 202, 204, 206, 301, 304, 400, 401, 404, 408, 409, 422, 429, 500, 503, 599]),
    st.sampled_from(["application/json", "text/html", "text/plain", "", "\xff/;"]),
    BODIES,
    st.sampled_from([None, "0", "5", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "\xff", "-1"]),
)
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("list_shared_drives", {"name": "a"}),
    ("create_shared_drive", {"name": "a", "size": 1, "region": "ny2", "privateNetworkId": "ne1"}),
    ("get_shared_drive", {"id": "x1"}),
    ("update_shared_drive", {"id": "x1", "name": "a"}),
    ("delete_shared_drive", {"id": "x1"}),
    ("list_snapshots", {}),
    ("create_snapshot", {"machineId": "x1", "name": "a", "waitSeconds": 5}),
    ("get_snapshot", {"id": "x1"}),
    ("update_snapshot", {"id": "x1", "name": "a"}),
    ("delete_snapshot", {"id": "x1", "waitSeconds": 5}),
    ("restore_snapshot", {"id": "x1", "waitSeconds": 5}),
    ("list_storage_providers", {"order": "asc"}),
    (
        "create_storage_provider",
        {"name": "a", "type": "s3", "accessKey": "AK", "secretKey": "SK1234567"},
    ),
    ("get_storage_provider", {"id": "x1"}),
    ("update_storage_provider", {"id": "x1", "name": "a", "type": "s3", "bucket": "b"}),
    ("delete_storage_provider", {"id": "x1"}),
    ("get_storage_utilization", {}),
    ("get_machine_event", {"id": "x1"}),
    ("list_machines", {"name": "a"}),
    ("list_private_networks", {}),
)


def test_no_tool_is_left_out() -> None:
    assert {name for name, _ in CALLS} == {tool.name for tool in CATALOGUE}


class _Scripted(httpx.AsyncBaseTransport):
    """Answers in turn, from the beginning again when they are used up."""

    def __init__(self, answers: list[tuple[int, str, bytes, str | None]]) -> None:
        self._answers = answers
        self.methods: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status, kind, body, retry_after = self._answers[len(self.methods) % len(self._answers)]
        self.methods.append(request.method)
        headers = [(b"content-type", kind.encode("latin-1"))]
        if retry_after is not None:
            headers.append((b"retry-after", retry_after.encode("latin-1")))
        return httpx.Response(status, headers=headers, content=body)


def _service(dialect: str, transport: _Scripted) -> Service:
    flags = {"dialect": dialect, "confirm": "never", "api_key": SecretStr("key-of-the-team")}
    return service_over(lambda: ThroughHttpx(transport), load_settings(flags), url="http://127.0.0.1/v1")


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.parametrize("dialect", ["published", "live", "auto"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(ANSWERS, min_size=1, max_size=5), call=st.sampled_from(CALLS))
def test_any_answers_end_in_a_result(
    loop: asyncio.Runner,
    dialect: str,
    answers: list[tuple[int, str, bytes, str | None]],
    call: tuple[str, dict[str, Any]],
) -> None:
    transport = _Scripted(answers)
    service = _service(dialect, transport)

    async def run() -> Outcome:
        try:
            return await service.call(service.tools[call[0]], call[1], Unasked())
        finally:
            await service.aclose()

    outcome = loop.run(run())
    text = outcome.text
    for inside in ("Traceback", "failed inside", "SK1234567", "key-of-the-team", "\x1b", "\u202e"):
        assert inside not in text
    if outcome.failure is not None:
        assert outcome.structured is None
    else:
        assert json.loads(text) == json.loads(json.dumps(outcome.structured))
    assert len(transport.methods) <= 200
