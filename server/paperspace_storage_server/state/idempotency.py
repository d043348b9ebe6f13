"""The same request under the same key gives the same answer: records that replicas share. Knows no HTTP."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from paperspace_storage_server.state.store import Store, key_of
from paperspace_storage_tools.errors import StoreUnavailable

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Replay:
    """This request has been answered: with this."""

    answer: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """This request is being answered at the moment."""


@dataclass(frozen=True, slots=True)
class OtherBody:
    """The key belongs to another request."""


class Begun:
    """This request is ours to answer: `finish` or `forget` it."""

    def __init__(self, store: Store, key: str, record: str, body: str) -> None:
        self._store = store
        self._key = key
        self._record = record
        self._body = body

    async def finish(self, answer: str) -> None:
        """The answer, kept for a day. Where the store is away, a repeat is answered anew after the lease."""
        with suppress(StoreUnavailable):
            await self._store.swap(self._key, self._record, json.dumps({"body": self._body, "answer": answer}), DAY)

    async def forget(self) -> None:
        """What was not done is not remembered: the key can be used again."""
        with suppress(StoreUnavailable):
            await self._store.drop(self._key, self._record)


Standing: TypeAlias = Begun | Replay | UnderWay | OtherBody


class Idempotency:
    """Keys belong to whoever `owner` names: principal, team, method and path."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, owner: tuple[str, ...], key: str, body: str, lease: float) -> Standing:
        """How a request stands. `body` is its digest; `lease` is how long, in seconds, answering it can take.

        Raises:
            StoreUnavailable: nobody knows; answer nothing.
        """
        place = key_of("idempotency", *owner, key)
        record = json.dumps({"body": body, "by": secrets.token_hex(8)})
        for _ in range(2):
            if await self._store.add(place, record, lease):
                return Begun(self._store, place, record, body)
            present = await self._store.get(place)
            if present is not None:
                return _standing(json.loads(present), body)
        raise StoreUnavailable("a record comes and goes")  # it expired between the two, twice


def _standing(record: dict[str, str], body: str) -> Standing:
    if record["body"] != body:
        return OtherBody()
    return Replay(record["answer"]) if "answer" in record else UnderWay()
