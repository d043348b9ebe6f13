"""A served process and its collector: what arrives, when the process ends, and what a collector that is away costs."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from paperspace_storage_server.hosted import static_tokens
from support.collector import Collector, collector, read
from support.servers import free_port, server
from support.stdio_server import HELLO, answer, line, running, send

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def call(process: subprocess.Popen[bytes], id: int) -> float:
    """Seconds that a call took."""
    began = time.monotonic()
    send(process, line("tools/call", id, name="list_shared_drives", arguments={}, _meta={"traceparent": PARENT}))
    assert not answer(process, id)["result"]["isError"]
    return time.monotonic() - began


def check(found: Collector) -> None:
    (span,) = found.named("tools/call list_shared_drives")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (PARENT[3:35], PARENT[36:52])
    (child,) = found.named("GET /v1/shared-drives")
    assert child.parent_span_id == span.span_id
    measured = {(name, unit) for name, unit, _ in found.points}
    assert {("mcp.server.operation.duration", "s"), ("http.client.request.duration", "s")} == measured
    for resource in found.resources:
        assert resource["service.name"] == "storage-of-the-tests"
        assert resource["service.instance.id"] == found.resources[0]["service.instance.id"]
    assert all(headers["x-key"] == "of-the-collector" for headers in found.headers)


@pytest.mark.parametrize("end", ["eof", "term"])
def test_over_stdio_all_arrives_before_the_process_is_gone(end: str) -> None:
    with collector() as found:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": found.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=of-the-collector",
            "OTEL_SERVICE_NAME": "storage-of-the-tests",
        }
        with running(settings=settings, stderr=subprocess.PIPE) as process:
            send(process, HELLO)
            answer(process, 0)
            call(process, 1)
            began = time.monotonic()
            if end == "term":
                process.send_signal(signal.SIGTERM)
            else:
                assert process.stdin is not None
                process.stdin.close()
            assert process.wait(10) == (-signal.SIGTERM if end == "term" else 0)
            assert time.monotonic() - began < 2
            assert process.stderr is not None
            assert process.stderr.read() == b""
        check(found)


def test_a_collector_that_is_away_slows_no_call_and_is_spoken_of_once() -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:hidden@127.0.0.1:{free_port()}",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_BSP_MAX_QUEUE_SIZE": "16",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
        "OTEL_METRIC_EXPORT_INTERVAL": "50",
    }
    with running(settings=settings, stderr=subprocess.PIPE) as process:
        send(process, HELLO)
        answer(process, 0)
        taken = sorted(call(process, number) for number in range(1, 101))
        assert taken[50] < 0.1
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
        assert time.monotonic() - began < 2
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert said.count("\n") == 1
    assert "spans or metrics do not reach the collector" in said
    assert "hidden" not in said


@pytest.mark.slow
def test_a_hosted_server_sends_what_is_left_when_it_is_told_to_end(tmp_path: Path) -> None:
    token = static_tokens.make(tmp_path / "tokens.json", "ann", None, ["storage:read"], None, time.time())
    with collector() as found:
        settings = {
            "HOME": str(tmp_path),
            "PAPERSPACE_MCP_TOKENS_FILE": str(tmp_path / "tokens.json"),
            "PAPERSPACE_MCP_SURFACES": "mcp,rest",
            "OTEL_EXPORTER_OTLP_ENDPOINT": found.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=of-the-collector",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=storage-of-the-tests",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        arguments = ["serve", "--sandbox", "--transport", "streamable-http", "--port", "0"]
        with server(arguments, settings) as one:
            headers = {"Authorization": f"Bearer {token}", "traceparent": PARENT}
            answered = httpx.get(f"{one.address}/v1/shared-drives", headers=headers)
            assert answered.status_code == 200, answered.text
            assert one.end(signal.SIGTERM) < 10
            assert [said for said in one.said if "WARNING" in said] == []
        spans = found.named("GET /v1/shared-drives")
        assert {span.trace_id.hex() for span in spans} == {PARENT[3:35]}
        (request,) = [span for span in spans if "http.route" in read(span.attributes)]
        assert str(read(request.attributes)["enduser.id"]).endswith("ann")
        assert {resource["service.name"] for resource in found.resources} == {"storage-of-the-tests"}
        assert token.encode() not in b"".join(found.bodies)
