"""What the operator's Prometheus reads: calls, refusals, requests to the API, the state; and nobody's name."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from paperspace_storage_server.hosting import Hosted
from support.hosted_server import hosted_world, structured

pytestmark = pytest.mark.anyio
Labels = dict[str, str]


def samples(text: str, name: str) -> list[tuple[Labels, float]]:
    return [
        (dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


def exposed(hosted: Hosted) -> str:
    assert hosted.metrics is not None
    return generate_latest(hosted.metrics.registry).decode()


async def test_calls_refusals_and_requests_to_the_api_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch, metrics_port=0) as world:
        anna = world.token("anna")
        drives = structured(await world.call("modern", anna, "list_shared_drives"))["items"]
        await world.call("modern", anna, "get_shared_drive", id=drives[0]["id"])
        await world.call("modern", anna, "get_shared_drive", id="Zq7id")
        assert (await world.rpc("modern", "not-a-token", "tools/list")).status_code == 401
        text = exposed(world.hosted)
    calls = samples(text, "mcp_server_operation_duration_seconds_count")
    assert calls == [
        (_call("list_shared_drives", ""), 1.0),
        (_call("get_shared_drive", ""), 1.0),
        (_call("get_shared_drive", "Refused"), 1.0),
    ]
    assert samples(text, "http_client_request_duration_seconds_count") == [
        (_asked("/shared-drives", "200"), 1.0),
        (_asked("/shared-drives/{id}", "200"), 1.0),
        (_asked("/shared-drives/{id}", "404"), 1.0),
    ]
    assert samples(text, "paperspace_mcp_refusals_total") == [({"status": "401", "error": "invalid_token"}, 1.0)]
    assert samples(text, "paperspace_mcp_ready") == [({}, 1.0)]
    assert not [word for word in ("anna", "research", "Zq7id", drives[0]["id"], drives[0]["name"]) if word in text]


def _call(tool: str, error: str) -> Labels:
    return {"mcp_method_name": "tools/call", "gen_ai_tool_name": tool, "error_type": error}


def _asked(template: str, status: str) -> Labels:
    return {
        "http_request_method": "GET",
        "url_template": template,
        "http_response_status_code": status,
        "error_type": "",
    }


async def test_a_replica_that_is_to_end_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted_world(tmp_path, monkeypatch, metrics_port=0) as world:
        world.hosted.ending.told()
        assert samples(exposed(world.hosted), "paperspace_mcp_ready") == [({}, 0.0)]


async def test_they_are_served_on_a_port_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted_world(tmp_path, monkeypatch, metrics_port=0) as world:
        assert world.hosted.metrics is not None
        served = world.hosted.metrics.serve("127.0.0.1", 0)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{served}/metrics")
        assert 'paperspace_mcp_build{version="' in answer.text
