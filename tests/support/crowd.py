"""An API that answers with what the path asks for, counts its connections, and holds one answer until told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

HELD = "held"


def drive(id: str) -> dict[str, Any]:
    """The drive of this id, as both the API and the tool answer it."""
    size = 100 + sum(id.encode())
    return {"id": id, "name": f"name of {id}", "size": size, "region": "ny2", "privateNetworkId": f"ne{id}"}


@dataclass(slots=True)
class Crowd:
    """`most_open` is the most connections that were open at once, `asked` the number of requests; the request for
    the drive `HELD` is answered once `release` is set, every other one after `pause` seconds."""

    pause: float
    url: str = ""
    open: int = 0
    most_open: int = 0
    asked: int = 0
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    deserted: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                id = head.split(b" ", 2)[1].decode("ascii").rpartition("/")[2]
                if id == HELD:
                    self.holding.set()
                    await self.release.wait()
                elif self.pause:
                    await asyncio.sleep(self.pause)
                status = "404 Not Found" if id.startswith("no") else "200 OK"
                answer = {"code": "NOT_FOUND", "message": f"no {id}"} if id.startswith("no") else drive(id)
                # Fields of both dialects. What a process remembers of answers, as the passwords, must be bounded.
                body = json.dumps({**answer, "networkId": f"ne{id}", "password": f"password-of-{id}"}).encode()
                start = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(start.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            if not self.open:
                self.deserted.set()


@asynccontextmanager
async def crowd(*, pause: float = 0.0) -> AsyncGenerator[Crowd]:
    api = Crowd(pause)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0, backlog=512)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield api
    finally:
        api.release.set()
        server.close()
        api.deserted.clear()
        for writer in api.writers:
            writer.close()
        if api.open:
            async with asyncio.timeout(10):
                await api.deserted.wait()
