"""Spans and durations as the conventions name them, and what is never in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.catalogue import CATALOGUE
from support.guarded import ERAS, Era, arguments_of, world
from support.hosted_server import ERAS as HOSTED_ERAS
from support.hosted_server import Era as HostedEra
from support.hosted_server import hosted_world
from support.recorded_spans import Recorded

pytestmark = pytest.mark.anyio
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER_TRACE, OTHER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28", "modern": "2026-07-28"}


def parent(trace: str = TRACE, span: str = SPAN) -> str:
    return f"00-{trace}-{span}-01"


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def parent_of(span: ReadableSpan) -> str | None:
    return f"{span.parent.span_id:016x}" if span.parent else None


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_is_a_span_with_a_child_for_each_request_to_the_api(era: Era) -> None:
    recorded = Recorded()
    async with world("live", era=era, telemetry=recorded.telemetry) as one:
        await one.call("get_shared_drive", {"id": one.ids["drive"]})
        sent = list(one.api.sent)
    (call,) = recorded.named("tools/call get_shared_drive")
    assert call.kind is SpanKind.SERVER
    assert call.status.status_code is StatusCode.UNSET
    attributes = dict(call.attributes or {})
    assert attributes.pop("jsonrpc.request.id")
    assert attributes == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": VERSIONS[era],
        "network.transport": "pipe",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_shared_drive",
        "paperspace.outcome": "done",
    }
    children = [span for span in recorded.spans if parent_of(span) == id_of(call)]
    assert len(children) == len(sent) == 1
    assert (children[0].name, children[0].kind) == ("GET /v1/shared-drives/{id}", SpanKind.CLIENT)
    assert dict(children[0].attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "/v1/shared-drives/{id}",
        "url.full": "http://api.localhost/v1/shared-drives/REDACTED",
        "server.address": "api.localhost",
        "server.port": 80,
        "http.response.status_code": 200,
    }
    (operation,) = [
        point
        for point in recorded.points("mcp.server.operation.duration")
        if (point.attributes or {}).get("mcp.method.name") == "tools/call"
    ]
    assert operation.count == 1
    assert operation.attributes == {name: one for name, one in attributes.items() if name != "paperspace.outcome"}
    assert 0 < operation.sum < 10
    assert operation.explicit_bounds == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


async def test_a_tool_that_fails_and_an_api_that_fails_are_errors_without_words() -> None:
    recorded = Recorded()
    async with world("live", telemetry=recorded.telemetry) as one:
        one.api.instead = lambda request: httpx.Response(500, json={"message": "a secret of theirs"})
        assert (await one.call("get_storage_utilization")).is_error
    (call,) = recorded.named("tools/call get_storage_utilization")
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, None)
    assert (call.attributes or {})["error.type"] == "tool_error"
    assert (call.attributes or {})["paperspace.outcome"] == "ServerTrouble"
    tries = recorded.named("GET /v1/storage-providers/utilization")
    assert [(one.attributes or {})["error.type"] for one in tries] == ["500", "500"]
    assert all(one.status.status_code is StatusCode.ERROR and not one.events for one in tries)
    assert "theirs" not in recorded.text()


async def test_an_api_that_cannot_be_reached_is_an_error_of_its_class() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no way to the secret host")

    recorded = Recorded()
    async with world("live", telemetry=recorded.telemetry) as one:
        one.api.instead = away
        assert (await one.call("get_storage_utilization")).is_error
    tries = recorded.named("GET /v1/storage-providers/utilization")
    assert [(one.attributes or {})["error.type"] for one in tries] == ["ConnectError"] * 2
    assert "secret host" not in recorded.text()
    (point,) = recorded.points("http.client.request.duration")
    assert (point.attributes or {})["error.type"] == "ConnectError"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_no_argument_no_id_and_no_name_is_in_any_span(dialect: Dialect) -> None:
    mark = "Zq7marked"
    recorded = Recorded()
    async with world(dialect, confirm="never", telemetry=recorded.telemetry) as one:
        typed = {"access": "AKIAZ51XYQWUV8RT2HNB", "secret": "zR4wSx8Kd16dQ9pTvJ3m"}
        await one.client.read_resource(f"paperspace://shared-drives/{one.ids['drive']}")
        for tool in CATALOGUE:
            arguments = arguments_of(tool.name, one.ids, **typed, text=mark)
            arguments.pop("confirm", None)
            await one.call(tool.name, arguments)
            if "after" in tool.arguments.model_fields and "name" in tool.arguments.model_fields:
                await one.call(tool.name, {"name": mark})
        ids = set(one.ids.values()) - {one.ids["region"]}
    text = recorded.text()
    assert len(recorded.spans) > 2 * len(CATALOGUE)
    assert not [word for word in (mark, *typed.values(), *ids) if word in text]


async def test_a_version_and_a_method_that_are_none_are_called_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Recorded()
    async with hosted_world(tmp_path, monkeypatch, telemetry=recorded.telemetry) as world:
        anna = world.token("anna")
        hello = {"protocolVersion": "Zq7", "capabilities": {}, "clientInfo": {"name": "Zq7", "version": "Zq7"}}
        begun = await world.rpc("legacy", anna, "initialize", hello)
        assert begun.status_code == 200
        for era in HOSTED_ERAS:
            world.sessions[anna] = begun.headers["mcp-session-id"]
            await world.rpc(era, anna, "Zq7/method", {})
            await world.rpc(era, anna, "tools/list", {}, headers={"MCP-Protocol-Version": "Zq7"})
    assert recorded.named("initialize")
    assert recorded.named("_OTHER")
    assert "Zq7" not in recorded.text()


async def test_what_a_client_writes_where_a_name_should_be_is_in_no_span_and_no_metric() -> None:
    recorded = Recorded()
    async with world("live", telemetry=recorded.telemetry) as one:
        await one.text("Zq7-no-such-tool", {})
        with pytest.raises(Exception, match="prompt"):
            await one.client.get_prompt("Zq7-no-such-prompt")
        with pytest.raises(Exception, match=r"Zq7|resource|not found"):
            await one.client.read_resource("paperspace://shared-drives/Zq7id")
    assert "Zq7" not in recorded.text()
    (unknown,) = recorded.named("tools/call")
    assert (unknown.attributes or {})["error.type"] == "-32602"


@pytest.mark.parametrize("era", HOSTED_ERAS)
async def test_the_clients_span_is_the_parent_and_that_of_the_http_request_is_linked(
    era: HostedEra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Recorded()
    async with hosted_world(tmp_path, monkeypatch, telemetry=recorded.telemetry) as world:
        anna = world.token("anna")
        if era == "legacy":
            await world.begin(anna)
        around = {"traceparent": parent(OTHER_TRACE, OTHER_SPAN)}
        call: dict[str, Any] = {"name": "list_shared_drives", "arguments": {}}
        await world.rpc(era, anna, "tools/call", call, headers=around)
        body = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": "Zq7 not plain",
                "method": "tools/call",
                "params": {
                    **call,
                    "_meta": {
                        "io.modelcontextprotocol/protocolVersion": VERSIONS[era],
                        "io.modelcontextprotocol/clientCapabilities": {},
                        "traceparent": parent(),
                    },
                },
            }
        )
        await world.rpc(era, anna, "tools/call", call, headers=around, body=body)
        session = world.sessions.get(anna)
    by_header, by_meta = recorded.named("tools/call list_shared_drives")
    assert (trace_of(by_header), parent_of(by_header), by_header.links) == (OTHER_TRACE, OTHER_SPAN, ())
    assert (trace_of(by_meta), parent_of(by_meta)) == (TRACE, SPAN)
    assert [f"{link.context.span_id:016x}" for link in by_meta.links] == [OTHER_SPAN]
    attributes = by_meta.attributes or {}
    assert (attributes["network.transport"], attributes["network.protocol.name"]) == ("tcp", "http")
    assert attributes["paperspace.team"] == "research"
    assert "anna" in str(attributes["enduser.id"])
    assert "jsonrpc.request.id" not in attributes
    # Who holds a session's id may be let in by it: on loopback nothing else is asked for.
    assert ("mcp.session.id" in attributes) is (era == "legacy")
    assert session is None or session not in recorded.text()
    children = [span for span in recorded.spans if span.name == "GET /v1/shared-drives"]
    assert [trace_of(child) for child in children] == [OTHER_TRACE, TRACE]
    for point in (*recorded.points("mcp.server.operation.duration"), *recorded.points("http.client.request.duration")):
        assert not {"enduser.id", "paperspace.team", "mcp.session.id"} & set(point.attributes or {})


GARBLED: dict[str, dict[str, Any]] = {
    "number": {"traceparent": 5},
    "list": {"traceparent": ["a", 5]},
    "zeros": {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
    "huge": {"traceparent": parent() + "x" * 100_000},
    "garbled": {"traceparent": "Zq7 garbled", "tracestate": "=,=,=", "baggage": "=;=;,"},
    "baggage": {"baggage": "a=" + "b" * 500_000},
}


@pytest.mark.parametrize("meta", GARBLED.values(), ids=GARBLED)
async def test_a_context_that_is_none_begins_a_trace_of_its_own(
    meta: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Recorded()
    async with hosted_world(tmp_path, monkeypatch, telemetry=recorded.telemetry) as world:
        call: dict[str, Any] = {
            "name": "list_shared_drives",
            "arguments": {},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": VERSIONS["modern"],
                "io.modelcontextprotocol/clientCapabilities": {},
                **meta,
            },
        }
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
        answer = await world.rpc("modern", world.token("anna"), "tools/call", call, body=body)
        assert answer.status_code == 200, answer.text
    (span,) = recorded.named("tools/call list_shared_drives")
    assert parent_of(span) is None
    assert "Zq7" not in recorded.text()


async def test_a_rest_request_is_a_span_of_its_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded()
    async with hosted_world(tmp_path, monkeypatch, telemetry=recorded.telemetry) as world:
        headers = {"Authorization": f"Bearer {world.token('anna')}", "traceparent": parent()}
        drives = (await world.client.get("/v1/shared-drives", headers=headers)).json()
        await world.client.get(f"/v1/shared-drives/{drives[0]['id']}", headers=headers)
        gone = await world.client.get("/v1/shared-drives/Zq7id", headers=headers)
        assert gone.status_code == 404
    found, missing = recorded.named("GET /v1/shared-drives/{id}")[1::2]
    attributes = dict(found.attributes or {})
    assert "anna" in str(attributes.pop("enduser.id"))
    assert attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/shared-drives/{id}",
        "url.scheme": "https",
        "url.path": "/v1/shared-drives/REDACTED",
        "http.response.status_code": 200,
        "paperspace.team": "research",
        "paperspace.outcome": "done",
    }
    assert (trace_of(found), parent_of(found)) == (TRACE, SPAN)
    assert (missing.attributes or {})["http.response.status_code"] == 404
    assert missing.status.status_code is StatusCode.UNSET  # a caller's mistake is none of the server's
    text = recorded.text()
    assert "Zq7id" not in text
    assert drives[0]["id"] not in text
