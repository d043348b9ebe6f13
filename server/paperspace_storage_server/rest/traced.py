"""A span and a duration of each REST request, by OpenTelemetry's conventions for HTTP servers. No id is in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind
from starlette.requests import Request
from starlette.responses import Response

from paperspace_storage_server.process.measured import HTTP_BOUNDS, Measure

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

Around: TypeAlias = Callable[[Request, str, Callable[[], Awaitable[Response]]], Awaitable[Response]]
"""Takes a request, its route with `{id}` for ids, and what answers it."""


def around(tracer: Tracer, meter: Meter) -> Around:
    seconds = meter.create_histogram(
        "http.server.request.duration",
        unit="s",
        description="Duration of REST requests.",
        explicit_bucket_boundaries_advisory=HTTP_BOUNDS,
    )
    measure = Measure(tracer, seconds, SpanKind.SERVER)

    async def traced(request: Request, route: str, respond: Callable[[], Awaitable[Response]]) -> Response:
        seen: dict[str, str | int] = {
            "http.request.method": request.method,
            "http.route": route,
            "url.scheme": request.url.scheme,
        }
        shown = {"url.path": route.replace("{id}", "REDACTED")}
        with measure.of(f"{request.method} {route}", seen, shown, extract(request.headers)) as one:
            response = await respond()
            one.set("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                one.error = str(response.status_code)
            return response

    return traced
