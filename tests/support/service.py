"""One way to put the server together for a test: over any transport, with time that costs nothing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.compose import make_service
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.http.client import Http, OpenTransport
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.store import Store
from paperspace_storage_server.wire.messages import DialectSetting


async def no_pause(seconds: float) -> None:
    del seconds


def service_over(
    open_transport: OpenTransport,
    settings: Settings,
    *,
    url: str | None = None,
    dialect: DialectSetting | None = None,
    profiles: Profiles | None = None,
    policy: RetryPolicy | None = None,
    sleep: Callable[[float], Awaitable[None]] = no_pause,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
    store: Store | None = None,
) -> Service:
    """What `compose` makes of these settings, but that `open_transport` is the way out and pauses are `sleep`.

    `url` and `dialect` are the settings' own unless given; `clock` times open questions, `now` is the wall clock, and
    `store` what processes share.
    """

    def connect(made: Settings) -> Upstream:
        http = Http(
            url or made.api_url,
            made.api_key,
            open_transport,
            policy=policy or RetryPolicy(made.max_attempts),
            sleep=sleep,
        )
        return Upstream(http, dialect or made.dialect, sleep=sleep, store=store or MemoryStore(), now=now)

    return make_service(settings, profiles or Profiles({}), connect, clock=clock)
