"""One operation as a span and a duration, whatever it is: how it ended is the same word in both. Knows no protocol."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.trace import Span, SpanKind, StatusCode

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Link, Tracer

Attributes: TypeAlias = Mapping[str, str | int]

HTTP_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds; those that OpenTelemetry's conventions advise for requests over HTTP."""


@dataclass(slots=True)
class Measured:
    """An operation that goes on. `error` is what it ended with, by a word of ours: never the text of an error."""

    span: Span
    seen: dict[str, str | int]
    error: str | None = None

    def set(self, name: str, value: str | int) -> None:
        """One more attribute of both."""
        self.seen[name] = value
        self.span.set_attribute(name, value)


@dataclass(frozen=True, slots=True)
class Measure:
    """Measures operations of one kind. A metric has `seen` alone; a span may have attributes of more values."""

    tracer: Tracer
    seconds: Histogram
    kind: SpanKind

    @contextmanager
    def of(
        self,
        name: str,
        seen: Attributes,
        of_span: Attributes,
        context: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Generator[Measured]:
        began = time.perf_counter()
        with self.tracer.start_as_current_span(
            name,
            context=context,
            kind=self.kind,
            attributes={**seen, **of_span},
            links=links,
            record_exception=False,  # its words may be a stranger's, or quote what was sent
            set_status_on_exception=False,
        ) as span:
            one = Measured(span, dict(seen))
            try:
                yield one
            except BaseException as raised:
                one.error = one.error or type(raised).__qualname__
                raise
            finally:
                if one.error is not None:
                    one.set("error.type", one.error)
                    span.set_status(StatusCode.ERROR)
                self.seconds.record(time.perf_counter() - began, one.seen)
