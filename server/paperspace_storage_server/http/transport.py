"""What sends one request and reads its answer, for `client.py`. Knows no budget, no repeat and no tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer read whole, and all that is ever read of its headers. The body may hold secrets: no repr of it."""

    status: int
    content_type: str = ""
    retry_after: str | None = None
    body: bytes = field(default=b"", repr=False)


class Transport(Protocol):
    """The way to one API: connections of our own (`pool.py`), or an application in this process (`in_process.py`)."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, *, on_wire: Callable[[], None]
    ) -> RawAnswer:
        """The answer. Nothing is repeated, and no redirect followed.

        `on_wire` is called once, right before the first byte goes out: until then the API cannot have acted.

        Raises:
            httpx.HTTPError, TooLarge: no usable answer; `trouble.py` names each.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open; what is under way fails."""
        ...


Through: TypeAlias = Callable[[Transport, str], Transport]
"""What a transport to the API at a base URL is seen through: by spans, by metrics."""
