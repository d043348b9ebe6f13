"""Our connections before servers that people run, under load, with short limits for idle and for old connections.

No call fails, and no write is made twice: the pauses between requests are around the second after which these servers
close what is idle, and they close each connection after seven requests where they can.
"""

from __future__ import annotations

import asyncio
import random
from itertools import count
from pathlib import Path

import pytest
from pydantic import SecretStr

from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.pool import Pool
from paperspace_storage_server.wire.messages import Method, Request
from support.real_servers import SERVERS, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CALLERS = 24
ROUNDS = 40
METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "DELETE")


@pytest.mark.parametrize("name", SERVERS)
async def test_no_call_fails_and_no_write_is_made_twice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, chance = count(), random.Random(name)
    sent: list[str] = []

    async def caller(http: Http) -> None:
        for _ in range(ROUNDS):
            method = chance.choice(METHODS)
            path = f"/{next(numbers)}"
            sent.append(f"{method} {path}")
            body = b'{"name":"n"}' if method in ("POST", "PUT") else None
            answer = await http.send(Request(method, path, body=body), Budget.of(50))
            assert (answer.status, answer.body) == (200, b'{"id":"x"}')
            assert not (answer.doubt and method == "POST")  # the others may have met a server that was just closing
            if chance.random() < 0.15:
                await asyncio.sleep(chance.uniform(0.9, 1.1))  # the load itself: a server is about to close, or has

    with running(name, tmp_path) as server:
        if server.certificate is not None:
            monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        http = Http(server.url, SecretStr("k"), lambda: Pool(server.url))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(caller(http))
        finally:
            await http.aclose()
        counts = server.counts()
    assert len(sent) == CALLERS * ROUNDS
    posts = {one: counts[one] for one in sent if one.startswith("POST ")}
    assert set(posts.values()) == {1}
    assert all(counts[one] >= 1 for one in sent)
