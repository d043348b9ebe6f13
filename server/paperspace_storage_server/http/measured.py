"""Each request to the API as it ended, for whoever counts: without an id, a query, a header or a body."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paperspace_storage_server.http.transport import RawAnswer, Transport
from paperspace_storage_server.wire.paths import template_of


@dataclass(frozen=True, slots=True)
class Exchanged:
    """`status` is None where no answer came; `error` is the class of what came instead."""

    method: str
    template: str
    status: int | None
    error: str | None
    seconds: float


class Measured:
    """A `Transport` to `base_url` whose requests are told of."""

    def __init__(self, inner: Transport, base_url: str, tell: Callable[[Exchanged], None]) -> None:
        self._inner = inner
        self._before = len(base_url.rstrip("/"))
        self._tell = tell

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        began = time.perf_counter()
        status: int | None = None
        error: str | None = None
        try:
            reply = await self._inner.send(method, url, headers, content, on_wire=on_wire)
            status = reply.status
            return reply
        except BaseException as raised:
            error = type(raised).__qualname__
            raise
        finally:
            template = template_of(url[self._before :].partition("?")[0])
            self._tell(Exchanged(method, template, status, error, time.perf_counter() - began))

    async def aclose(self) -> None:
        await self._inner.aclose()
