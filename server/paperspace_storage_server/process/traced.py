"""A span and a duration of each request to the API, by OpenTelemetry's conventions for HTTP clients.

No id, no query, no header and no body is in them, and the API is not told of the trace: it is somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from paperspace_storage_server.http.transport import RawAnswer, Transport
from paperspace_storage_server.process.measured import HTTP_BOUNDS, Measure
from paperspace_storage_server.wire.paths import template_of

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer


class Traced:
    """A `Transport` to `base_url` whose requests are seen."""

    def __init__(self, inner: Transport, base_url: str, tracer: Tracer, meter: Meter) -> None:
        self._inner = inner
        self._base_url = base_url.rstrip("/")
        seconds = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of requests to the API.",
            explicit_bucket_boundaries_advisory=HTTP_BOUNDS,
        )
        self._measure = Measure(tracer, seconds, SpanKind.CLIENT)
        parts = urlsplit(self._base_url)
        self._prefix = parts.path
        self._where = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._server: dict[str, str | int] = {
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        template = template_of(url[len(self._base_url) :].partition("?")[0])
        seen: dict[str, str | int] = {
            "http.request.method": method,
            "url.template": self._prefix + template,
            **self._server,
        }
        shown = {"url.full": self._where + template.replace("{id}", "REDACTED").replace("{other}", "REDACTED")}
        with self._measure.of(f"{method} {self._prefix}{template}", seen, shown) as one:
            reply = await self._inner.send(method, url, headers, content, on_wire=on_wire)
            one.set("http.response.status_code", reply.status)
            if reply.status >= 400:
                one.error = str(reply.status)
            return reply

    async def aclose(self) -> None:
        await self._inner.aclose()
