"""The three forms of the store, each with a clock that the test sets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from paperspace_storage_server.state.memory import MemoryStore
from paperspace_storage_server.state.redis import RedisStore
from paperspace_storage_server.state.sqlite import SqliteStore
from paperspace_storage_server.state.store import Store
from support.redis_server import RedisServer, redis_server


@dataclass(slots=True)
class Form:
    """A store, a second one as another process would open it (memory has none), and how time goes on for both."""

    name: str
    store: Store
    twin: Store
    pass_time: Callable[[float], Awaitable[None]]


class Time:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    async def move(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="session")
def redis() -> Generator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", pytest.param("redis", marks=pytest.mark.slow)])
async def form(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Form]:
    time = Time()
    if request.param == "memory":
        store = MemoryStore(time)
        yield Form("memory", store, store, time.move)
    elif request.param == "sqlite":
        file = tmp_path / "state.db"
        stores = SqliteStore(file, time), SqliteStore(file, time)
        yield Form("sqlite", *stores, time.move)
        for one in stores:
            await one.aclose()
    else:
        server: RedisServer = request.getfixturevalue("redis")
        admin = Redis.from_url(server.url.get_secret_value(), decode_responses=True)  # pyright: ignore[reportUnknownMemberType]  # its **kwargs are untyped
        await admin.flushall()  # pyright: ignore[reportUnknownMemberType]
        replicas = RedisStore(server.url), RedisStore(server.url)
        yield Form("redis", *replicas, lambda seconds: _age(admin, seconds))
        for replica in replicas:
            await replica.aclose()
        await admin.aclose()


async def _age(admin: Redis, seconds: float) -> None:
    """As if all that Redis holds had been written that much earlier: its clock cannot be set."""
    gone = round(seconds * 1000)
    for key in cast("list[str]", await admin.keys("*")):  # pyright: ignore[reportUnknownMemberType]
        if await admin.type(key) == "zset":
            members = await admin.zrange(key, 0, -1, withscores=True)  # pyright: ignore[reportUnknownMemberType]
            for member, score in cast("list[tuple[str, float]]", members):
                await admin.zadd(key, {member: score - gone})
        left = await admin.pttl(key)
        if 0 <= left <= gone:
            await admin.delete(key)
        elif left > gone:
            await admin.pexpire(key, left - gone)
