"""A tiny HTTP server on loopback that keeps each request line exactly as it came over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_BODY = b'{"code":"NOT_FOUND","message":"no"}'
_ANSWER = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


@dataclass(slots=True)
class Echo:
    """`targets` are the raw request targets, `/v1/...`, in the order of arrival."""

    url: str
    targets: list[str] = field(default_factory=list[str])


@asynccontextmanager
async def echo_server() -> AsyncGenerator[Echo]:
    """Answers every request with 404; none may have a body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                echo.targets.append(head.split(b" ", 2)[1].decode("ascii"))
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    echo = Echo(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    async with server:
        yield echo
