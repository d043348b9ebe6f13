"""One JSON document of another host, such as an issuer's keys: small, soon, and from exactly there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Fetch: TypeAlias = Callable[[str], Awaitable[dict[str, object] | None]]
"""The JSON object at a URL; None where there is none (404).

Raises: `NotFetched`.
"""
PATIENCE = 5.0  # seconds for all of it
LARGEST = 512 * 1024  # bytes


class NotFetched(Exception):
    """No JSON object came from there. `redirected`: it pointed elsewhere, which is never followed."""

    def __init__(self, why: str, *, redirected: bool = False) -> None:
        super().__init__(why)
        self.redirected = redirected


async def fetch_json(url: str, largest: int = LARGEST) -> dict[str, object] | None:
    """See `Fetch`; up to `largest` bytes, over a connection of its own, with the system's proxy and certificates."""
    from paperspace_storage_server.http.pool import Pool
    from paperspace_storage_server.http.trouble import trouble_of

    pool = Pool(url)
    headers = {"Accept": "application/json", "User-Agent": "paperspace-storage-mcp", "Connection": "close"}
    try:
        async with asyncio.timeout(PATIENCE):
            reply = await pool.send("GET", url, headers, None, on_wire=lambda: None)
    except TimeoutError:
        raise NotFetched(f"no answer in {PATIENCE:.0f} s") from None
    except Exception as error:  # whatever a transport raises
        raise NotFetched(trouble_of(error).what) from None
    finally:
        await pool.aclose()
    if 300 <= reply.status < 400:
        raise NotFetched(f"it redirects ({reply.status})", redirected=True)
    if reply.status in (404, 410):
        return None
    if reply.status != 200:
        raise NotFetched(f"it answers {reply.status}")
    if len(reply.body) > largest:
        raise NotFetched("its answer is too large")
    try:
        document: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise NotFetched("its answer is no JSON") from None
    if not isinstance(document, dict):
        raise NotFetched("its answer is no JSON object")
    return {str(name): value for name, value in document.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # of JSON
