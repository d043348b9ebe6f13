"""Telemetry that stays in this process: the spans and the metrics as an exporter would get them."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from paperspace_storage_server.process.telemetry import Telemetry


@dataclass(slots=True)
class Recorded:
    telemetry: Telemetry = field(init=False)
    _exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    _reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = Telemetry(tracers.get_tracer("test"), meters.get_meter("test"), [])

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def points(self, metric: str) -> list[HistogramDataPoint]:
        found = self._reader.get_metrics_data()
        return [
            point
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for one in scope.metrics
            if one.name == metric and isinstance(one.data, Histogram)
            for point in one.data.data_points
        ]

    def text(self) -> str:
        """All that is in them but random ids, times and durations, whose digits may be a part of a secret's hex."""
        spans = [
            repr((span.name, dict(span.attributes or {}), span.status.description))
            + repr([(event.name, dict(event.attributes or {})) for event in span.events])
            + repr([dict(link.attributes or {}) for link in span.links])
            + repr(span.context.trace_state if span.context else None)
            for span in self.spans
        ]
        found = self._reader.get_metrics_data()
        points = [
            repr((dict(resource.resource.attributes), scope.scope.name, one.name, one.unit, one.description))
            + repr((dict(point.attributes or {}), [dict(seen.filtered_attributes or {}) for seen in point.exemplars]))
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for one in scope.metrics
            for point in one.data.data_points
        ]
        # Once each: of a thousand calls most say the same.
        return "\n".join(dict.fromkeys([*spans, *points]))
