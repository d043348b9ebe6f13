"""The store that replicas share: Redis 7 or newer, or Valkey. Imported only where its URL is set."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable
from typing import TypeVar, cast

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from paperspace_storage_server.state.store import Step, one_by_one
from paperspace_storage_tools.errors import StoreUnavailable

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds for an answer, connecting included."""
PREFIX = "paperspace-mcp:"
_CONNECTIONS = 16

_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_DROP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
# Milliseconds by the clock of Redis: those of the replicas may differ.
_DRAW = """
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local drawn = redis.call('ZCARD', KEYS[1])
if drawn >= limit then
  local oldest = redis.call('ZRANGE', KEYS[1], drawn - limit, drawn - limit, 'WITHSCORES')
  return math.max(1, math.min(window, oldest[2] + window - now))
end
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[1], now, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window)
end
return 0
"""


class RedisStore:
    """`Store` in Redis. A command is sent once: what got lost may have happened, and its caller is told so."""

    def __init__(self, url: SecretStr) -> None:
        """Raises: ValueError, for a URL that is none of Redis."""
        pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # its **kwargs are untyped
            url.get_secret_value(),
            max_connections=_CONNECTIONS,
            timeout=PATIENCE,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            protocol=2,  # nothing here needs the newer one, whose greeting costs a connection three round trips
        )
        self._redis = Redis.from_pool(pool)

    async def get(self, key: str) -> str | None:
        return cast("str | None", await self._within(self._redis.get(PREFIX + key)))

    async def add(self, key: str, value: str, seconds: float) -> bool:
        return bool(await self._within(self._redis.set(PREFIX + key, value, px=_ms(seconds), nx=True)))

    async def put(self, key: str, value: str, seconds: float | None) -> None:
        await self._within(self._redis.set(PREFIX + key, value, px=None if seconds is None else _ms(seconds)))

    async def swap(self, key: str, old: str, new: str, seconds: float) -> bool:
        return bool(await self._within(self._run(_SWAP, key, old, new, str(_ms(seconds)))))

    async def drop(self, key: str, old: str | None = None) -> bool:
        if old is None:
            return bool(await self._within(self._redis.delete(PREFIX + key)))
        return bool(await self._within(self._run(_DROP, key, old)))

    async def together(self, *steps: Step) -> list[str | bool | None]:
        return await one_by_one(self, steps)

    async def draw(self, key: str, limit: int, seconds: float, *, take: bool = True) -> float:
        if limit <= 0:
            return math.inf
        mark = secrets.token_hex(8) if take else ""
        waits = await self._within(self._run(_DRAW, key, str(limit), str(_ms(seconds)), mark))
        return waits / 1000

    async def ping(self) -> None:
        await self._within(self._redis.ping())  # pyright: ignore[reportUnknownMemberType]  # its **kwargs are untyped

    async def aclose(self) -> None:
        await self._redis.aclose()

    def _run(self, script: str, key: str, *arguments: str) -> Awaitable[int]:
        return cast("Awaitable[int]", self._redis.eval(script, 1, PREFIX + key, *arguments))

    async def _within(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except (RedisError, OSError, TimeoutError) as error:
            # The error's own words may hold the address, and with it the password.
            raise StoreUnavailable(f"{type(error).__name__} at the Redis that the replicas share") from None


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
