"""Spans and metrics for an OpenTelemetry collector, where the standard `OTEL_*` variables name one. Knows no protocol
and no tool; nothing of OpenTelemetry's SDK is imported before it is asked for.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

NAME: Final = "paperspace-storage-mcp"
"""The instrumentation's, and the service's where `OTEL_SERVICE_NAME` does not say another."""
QUIET_FOR: Final = 3600.0
"""Seconds for which a collector that takes nothing is not spoken of again."""

Signal: TypeAlias = Literal["TRACES", "METRICS"]


class WrongTelemetry(Exception):
    """A variable without which nothing of MCP can even be imported. `str` is one line that names it."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where spans and durations go. What is recorded waits in memory, bounded, and a thread sends it."""

    tracer: Tracer
    meter: Meter
    closing: list[Callable[[], object]]

    def end(self, seconds: float) -> None:
        """Send what is still here, once; that long at most, for a collector may be away."""
        until = time.monotonic() + seconds
        closing, self.closing[:] = self.closing[:], []
        threads = [threading.Thread(target=close, name="telemetry-end", daemon=True) for close in closing]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def begin(environ: Mapping[str, str], version: str) -> Telemetry | None:
    """What the variables ask for; None where they ask for nothing, or for what cannot be had, which is logged.

    Raises:
        WrongTelemetry: `OTEL_PROPAGATORS` names one that is not there.
    """
    _check_propagators(environ)
    signals = _wanted(environ)
    if not signals:
        return None
    try:
        return _open(environ, version, signals)
    except ImportError:
        logger.warning(
            "OTEL_*: an exporter is set, and the extra is not installed: pip install '%s[telemetry]'; nothing is sent",
            NAME,
        )
    except Exception as error:  # a variable that the library does not understand; it may hold a secret, so no quote
        logger.warning("OTEL_*: not understood (%s); no spans and no metrics are sent", type(error).__name__)
    return None


def _check_propagators(environ: Mapping[str, str]) -> None:
    if environ.get("OTEL_PROPAGATORS", "").strip():
        try:
            import_module("opentelemetry.propagate")  # as MCP's SDK will; here its refusal becomes one line
        except Exception:
            raise WrongTelemetry(
                "OTEL_PROPAGATORS: names what is not installed; leave it out, or: tracecontext,baggage"
            ) from None


def _wanted(environ: Mapping[str, str]) -> list[Signal]:
    """The signals that have an exporter. An empty variable counts as one that is not set, as the specification says."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    every: tuple[Signal, ...] = ("TRACES", "METRICS")
    return [one for one in every if _is_wanted(one, environ)]


def _is_wanted(signal: Signal, environ: Mapping[str, str]) -> bool:
    def given(*names: str) -> str:
        return next((value for name in names if (value := environ.get(name, "").strip())), "")

    exporter = given(f"OTEL_{signal}_EXPORTER")
    endpoint = given(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if exporter == "none" or not (exporter or endpoint):
        return False
    if exporter not in ("", "otlp"):
        # "console" would write between the messages on stdout.
        logger.warning("OTEL_%s_EXPORTER: only otlp and none are known here; nothing of it is sent", signal)
        return False
    if given(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") not in ("", "http/protobuf"):
        logger.warning("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is known here; no %s are sent", signal.lower())
        return False
    return True


def _open(environ: Mapping[str, str], version: str, signals: list[Signal]) -> Telemetry:
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.trace import NoOpTracerProvider

    resource = _resource(version)
    tracer, meter = NoOpTracerProvider().get_tracer(NAME), NoOpMeterProvider().get_meter(NAME)
    closing: list[Callable[[], object]] = []
    if "TRACES" in signals:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = tracers.get_tracer(NAME, version)
        closing.append(tracers.shutdown)
    if "METRICS" in signals:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        meters = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource, shutdown_on_exit=False
        )
        meter = meters.get_meter(NAME, version)
        closing.append(meters.shutdown)
    logging.getLogger("opentelemetry").propagate = False  # callers' garbled contexts, too, are complained of there
    said = _SaidOnce()
    for theirs in ("opentelemetry.exporter", "opentelemetry.sdk"):
        logging.getLogger(theirs).handlers[:] = [said]
    logging.getLogger("opentelemetry").handlers[:] = [logging.NullHandler()]
    return Telemetry(tracer, meter, closing)


def _resource(version: str) -> Resource:
    """Who sends. Replicas are told apart by an id of their own, or their sums would overwrite each other."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = {"service.name": NAME, "service.version": version, "service.instance.id": str(uuid.uuid4())}
    theirs = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if name not in theirs})


class _SaidOnce(logging.Handler):
    """One line for all that OpenTelemetry has to complain of, which is a line a batch while a collector is away; and
    without its words, which quote an address that may hold a password."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._again = -1.0

    def emit(self, record: logging.LogRecord) -> None:
        if self._clock() >= self._again:
            self._again = self._clock() + QUIET_FOR
            logger.warning(
                "OTEL_EXPORTER_OTLP_ENDPOINT: spans or metrics do not reach the collector; tried again, what does not "
                "fit in memory is dropped, and for an hour nothing more is said of it"
            )
