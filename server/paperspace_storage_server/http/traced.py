"""A span and a duration of each request to the API, by OpenTelemetry's conventions for HTTP clients.

No id, no query, no header and no body is in them, and the API is not told of the trace: it is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind, StatusCode

from paperspace_storage_server.http.transport import Reply, Transport
from paperspace_storage_server.wire.paths import template_of

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds; those that the convention advises."""


class Traced:
    """A `Transport` to `base_url` whose requests are seen."""

    def __init__(self, inner: Transport, base_url: str, tracer: Tracer, meter: Meter) -> None:
        self._inner = inner
        self._base_url = base_url.rstrip("/")
        self._tracer = tracer
        self._seconds = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of requests to the API.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        parts = urlsplit(self._base_url)
        self._prefix = parts.path
        self._where = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._server: dict[str, str | int] = {
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> Reply:
        template = template_of(url[len(self._base_url) :].partition("?")[0])
        seen: dict[str, str | int] = {
            "http.request.method": method,
            "url.template": self._prefix + template,
            **self._server,
        }
        shown = template.replace("{id}", "REDACTED").replace("{other}", "REDACTED")
        began = time.perf_counter()
        with self._tracer.start_as_current_span(
            f"{method} {self._prefix}{template}",
            kind=SpanKind.CLIENT,
            attributes={**seen, "url.full": self._where + shown},
            record_exception=False,  # its words may quote what was sent
            set_status_on_exception=False,
        ) as span:
            error: str | None = None
            try:
                reply = await self._inner.send(method, url, headers, content, on_wire=on_wire)
                seen["http.response.status_code"] = reply.status
                span.set_attribute("http.response.status_code", reply.status)
                if reply.status >= 400:
                    error = str(reply.status)
                return reply
            except BaseException as raised:
                error = type(raised).__qualname__
                raise
            finally:
                if error is not None:
                    seen["error.type"] = error
                    span.set_attribute("error.type", error)
                    span.set_status(StatusCode.ERROR)
                self._seconds.record(time.perf_counter() - began, seen)

    async def aclose(self) -> None:
        await self._inner.aclose()
