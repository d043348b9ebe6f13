"""One JSON document of another host, such as an issuer's keys or tokens: small, soon, and from exactly there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlencode

Fetch: TypeAlias = Callable[[str], Awaitable[dict[str, object] | None]]
"""The JSON object at a URL; None where there is none (404).

Raises: `NotFetched`.
"""
Post: TypeAlias = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[dict[str, object]]]
"""The JSON object that a form (URL, fields, headers) is answered with.

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
    return await _document("GET", url, {}, None, largest)


async def post_form(url: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, object]:
    """See `Post`; sent once, like `fetch_json`."""
    sent = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    document = await _document("POST", url, sent, urlencode(fields).encode("ascii"), LARGEST)
    if document is None:
        raise NotFetched("there is nothing")
    return document


async def _document(
    method: str, url: str, headers: Mapping[str, str], content: bytes | None, largest: int
) -> dict[str, object] | None:
    from paperspace_storage_server.http.pool import Pool
    from paperspace_storage_server.http.trouble import trouble_of

    pool = Pool(url)
    always = {"Accept": "application/json", "User-Agent": "paperspace-storage-mcp", "Connection": "close"}
    try:
        async with asyncio.timeout(PATIENCE):
            reply = await pool.send(method, url, {**always, **headers}, content, on_wire=lambda: None)
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
