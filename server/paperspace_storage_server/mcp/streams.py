"""The SDK's read and write streams, as far as all of our transports make them alike. Knows no transport."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
from mcp.shared.message import SessionMessage


class Stream:
    """Closed by whoever opened what is behind it: the SDK closes its streams at the end of each run."""

    async def aclose(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class Reading(Stream):
    """A read stream by its `receive`."""

    async def receive(self) -> SessionMessage | Exception:
        raise NotImplementedError  # every stream says how

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
