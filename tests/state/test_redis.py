"""Redis away, hung and back: no answer in a second is an answer too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator

import pytest
from pydantic import SecretStr

from paperspace_storage_server.state.redis import PATIENCE, RedisStore
from paperspace_storage_tools.errors import StoreUnavailable
from support.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def server() -> Generator[RedisServer]:
    with redis_server() as one:
        yield one


async def test_redis_that_is_away_is_told_at_once_and_one_that_hangs_after_a_second(server: RedisServer) -> None:
    store = RedisStore(server.url)
    assert await store.draw("b", 2, 3600) == 0
    await store.put("a", "1", 60)

    server.freeze()
    began = time.monotonic()
    answers = await asyncio.gather(
        store.get("a"), store.draw("b", 2, 3600), store.add("t", "1", 60), store.ping(), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 4
    assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE + 0.5
    server.thaw()
    # Each answer is that of its own question, although those of the given-up ones came late.
    assert [await store.get("a") for _ in range(5)] == ["1"] * 5

    server.end()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.ping()
    assert time.monotonic() - began < 0.5

    server.start()
    assert await store.get("a") == "1"
    assert not await store.add("a", "2", 60)
    await store.aclose()


async def test_callers_who_are_cancelled_leave_no_answer_for_the_next(server: RedisServer) -> None:
    store = RedisStore(server.url)
    for number in range(20):
        await store.put(str(number), str(number), 60)
    server.freeze()
    tasks = [asyncio.create_task(store.get("0")) for _ in range(30)]
    await asyncio.sleep(0.05)  # until they wait for Redis
    for task in tasks:
        task.cancel()
    assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*tasks, return_exceptions=True))
    server.thaw()
    found = await asyncio.gather(*(store.get(str(number)) for number in range(20)))
    assert found == [str(number) for number in range(20)]
    await store.aclose()


async def test_more_callers_than_connections_are_all_served(server: RedisServer) -> None:
    store = RedisStore(server.url)
    assert sorted(await asyncio.gather(*(store.add("t", "1", 60) for _ in range(100)))) == [False] * 99 + [True]
    await store.aclose()


async def test_no_failure_shows_the_address_or_the_password() -> None:
    store = RedisStore(SecretStr("redis://user:hidden-password@127.0.0.1:1/0"))
    with pytest.raises(StoreUnavailable) as failure:
        await store.ping()
    for text in (failure.value.text(), repr(failure.value), str(failure.value.__cause__)):
        assert "hidden" not in text
        assert "127.0.0.1" not in text
    await store.aclose()


def test_a_url_that_is_none_of_redis_is_refused() -> None:
    with pytest.raises(ValueError, match="redis"):
        RedisStore(SecretStr("http://127.0.0.1"))
