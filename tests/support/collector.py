"""An OpenTelemetry collector: takes spans and metrics over OTLP (HTTP, protobuf), and keeps what it was sent."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, str | int | bool | float]


def read(attributes: object) -> Attributes:
    """Attributes as they come over the wire, as a plain mapping."""
    found: Attributes = {}
    for one in attributes:  # type: ignore[attr-defined]  # a repeated field, whose type is protobuf's own
        assert isinstance(one, KeyValue)
        found[one.key] = getattr(one.value, one.value.WhichOneof("value") or "string_value")
    return found


@dataclass(slots=True)
class Collector:
    endpoint: str
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])
    spans: list[Span] = field(default_factory=list[Span])
    resources: list[Attributes] = field(default_factory=list[Attributes])
    points: list[tuple[str, str, HistogramDataPoint]] = field(default_factory=list[tuple[str, str, HistogramDataPoint]])
    """Name, unit, point."""

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(read(of_resource.resource.attributes))
                self.spans += [span for scope in of_resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(read(measured.resource.attributes))
                for scope in measured.scope_metrics:
                    for metric in scope.metrics:
                        self.points += [(metric.name, metric.unit, one) for one in metric.histogram.data_points]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def wait(self, until: Callable[[Collector], bool], within: float = 15.0) -> None:
        end = time.monotonic() + within
        while not until(self):
            assert time.monotonic() < end, sorted(span.name for span in self.spans)
            time.sleep(0.02)


@contextmanager
def collector(status: int = 200) -> Generator[Collector]:
    """Listening on a port of its own, answering with this status."""

    class Receiving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            one.headers.append({name.lower(): value for name, value in self.headers.items()})
            if status == 200:
                one.take(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiving) as listening:
        one = Collector(f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield one
        finally:
            listening.shutdown()
            thread.join()
