"""A span and a duration of each REST request, by OpenTelemetry's conventions for HTTP servers. No id is in them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, StatusCode
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

Around: TypeAlias = Callable[[Request, str, Callable[[], Awaitable[Response]]], Awaitable[Response]]
"""Takes a request, its route with `{id}` for ids, and what answers it."""

_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds; those that the convention advises."""


def around(tracer: Tracer, meter: Meter) -> Around:
    seconds = meter.create_histogram(
        "http.server.request.duration",
        unit="s",
        description="Duration of REST requests.",
        explicit_bucket_boundaries_advisory=_BOUNDS,
    )

    async def traced(request: Request, route: str, respond: Callable[[], Awaitable[Response]]) -> Response:
        seen: dict[str, str | int] = {
            "http.request.method": request.method,
            "http.route": route,
            "url.scheme": request.url.scheme,
        }
        began = time.perf_counter()
        with tracer.start_as_current_span(
            f"{request.method} {route}",
            context=extract(request.headers),
            kind=SpanKind.SERVER,
            attributes={**seen, "url.path": route.replace("{id}", "REDACTED")},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            error: str | None = None
            try:
                response = await respond()
                seen["http.response.status_code"] = response.status_code
                if response.status_code >= 500:
                    error = str(response.status_code)
                return response
            except BaseException as raised:
                error = type(raised).__qualname__
                raise
            finally:
                if error is not None:
                    seen["error.type"] = error
                    span.set_status(StatusCode.ERROR)
                span.set_attributes(seen)
                seconds.record(time.perf_counter() - began, seen)

    return traced
