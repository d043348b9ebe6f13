"""What the operator's Prometheus reads, on a port of its own. No team and no principal is in it."""

from __future__ import annotations

import math

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    start_http_server,
)

from paperspace_storage_server import __version__
from paperspace_storage_server.calls.call import Called
from paperspace_storage_server.hosted.challenges import Refusal
from paperspace_storage_server.hosted.health import Health
from paperspace_storage_server.http.measured import Exchanged, Measured
from paperspace_storage_server.http.transport import Transport

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, math.inf)


class Metrics:
    """Counts calls, refusals and requests to the API. Durations are named as OpenTelemetry's conventions name them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self._seconds = Histogram(
            "mcp_server_operation_duration_seconds",
            "Duration of tool calls, from when they are let in to their result.",
            ("mcp_method_name", "gen_ai_tool_name", "error_type"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._api_seconds = Histogram(
            "http_client_request_duration_seconds",
            "Duration of requests to the API, each try by itself.",
            ("http_request_method", "url_template", "http_response_status_code", "error_type"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._refused = Counter(
            "paperspace_mcp_refusals",
            "Requests that were turned away before any tool saw them.",
            ("status", "error"),
            registry=self.registry,
        )
        self._ready = Gauge("paperspace_mcp_ready", "1 where this replica should get calls.", registry=self.registry)
        self._degraded = Gauge(
            "paperspace_mcp_degraded", "1 where what the replicas share is away.", registry=self.registry
        )
        Gauge("paperspace_mcp_build", "Which version runs.", ("version",), registry=self.registry).labels(
            __version__
        ).set(1)

    def called(self, called: Called) -> None:
        self._seconds.labels("tools/call", called.tool, called.error or "").observe(called.seconds)

    def refused(self, refusal: Refusal) -> None:
        self._refused.labels(str(refusal.status), refusal.error).inc()

    def through(self, transport: Transport, base_url: str) -> Transport:
        """The transport, each of whose requests is counted here."""
        return Measured(transport, base_url, self._exchanged)

    def _exchanged(self, one: Exchanged) -> None:
        status = "" if one.status is None else str(one.status)
        self._api_seconds.labels(one.method, one.template, status, one.error or "").observe(one.seconds)

    def watch(self, health: Health) -> None:
        """Show the state that a balancer would be told, as it was last found."""
        self._ready.set_function(lambda: 0.0 if health.draining or health.away() else 1.0)
        self._degraded.set_function(lambda: 1.0 if health.found_degraded else 0.0)

    def serve(self, host: str, port: int) -> int:
        """Listen there, in a thread, and return the port. Raises `OSError`."""
        server, _ = start_http_server(port, host, self.registry)
        return int(server.server_port)
