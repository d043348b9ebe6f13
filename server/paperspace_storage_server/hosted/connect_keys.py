"""Keys of teams that people have handed in: sealed, each for its person alone, in the store that replicas share.

Nothing is kept in this process: a key that is removed at one replica is gone at all of them with their next request.
Knows no page and no service.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from pydantic import SecretStr

from paperspace_storage_server.state.seal import JsonValue, NotSealedHere, Sealer, SealExpired
from paperspace_storage_server.state.store import Store, key_of

KEPT: Final = 90 * 86_400.0
"""Seconds for which a key is kept: who still needs it then hands it in once more."""
LONGEST: Final = 512  # characters of a key
_PURPOSE: Final = "connected key"


@dataclass(frozen=True, slots=True)
class ConnectedKey:
    """A key that a person has handed in. `team` is what the API calls its team, empty where it does not say it."""

    api_key: SecretStr
    team: str
    since: float
    until: float
    sealed: str
    """As it is kept: another one where the person has handed in another key."""


class ConnectedKeys:
    """The keys of all people. `person` is the key of their `Identity`, which nobody else has.

    Raises, from every method: `StoreUnavailable`.
    """

    def __init__(self, store: Store, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    async def of(self, person: str) -> ConnectedKey | None:
        """Their key; None where there is none, or none that the present state keys can open."""
        sealed = await self._store.get(_place(person))
        if sealed is None:
            return None
        try:
            opened = self._sealer.open(sealed, _PURPOSE, (person,))
        except (NotSealedHere, SealExpired):
            return None
        if opened.by_former_key:  # so that the former key can be taken away, whoever does not call meanwhile
            again = self._sealer.seal(_PURPOSE, (person,), opened.content, opened.left)
            if await self._store.swap(_place(person), sealed, again, opened.left):
                sealed = again
        content = opened.content
        return ConnectedKey(
            api_key=SecretStr(str(content["key"])),
            team=str(content["team"]),
            since=cast("float", content["since"]),
            until=cast("float", content["since"]) + KEPT,
            sealed=sealed,
        )

    async def keep(self, person: str, api_key: SecretStr, team: str) -> None:
        """Keep it, in place of an earlier one."""
        content: dict[str, JsonValue] = {
            "key": api_key.get_secret_value(),
            "team": team,
            "since": self._clock(),
        }
        await self._store.put(_place(person), self._sealer.seal(_PURPOSE, (person,), content, KEPT), KEPT)

    async def remove(self, person: str) -> None:
        await self._store.drop(_place(person))


def _place(person: str) -> str:
    return key_of("connected", person)


def wrong_with(text: str) -> str | None:
    """What is wrong with a key as it was pasted, for the person; None where it may be one. It is not mended in
    silence: who pastes more than a key should know."""
    bare = text.strip()
    if not bare:
        return "Enter the API key of your team."
    if bare.lower().startswith(("bearer ", "authorization:")):
        return "Paste the key alone, without the word \u201cBearer\u201d and without a header's name before it."
    if any(one.isspace() for one in text):
        return "There is a space or a line break in it or around it. Paste the key alone."
    if len(text) > LONGEST:
        return "This is too long for a key. Paste the key alone."
    if not text.isascii() or not text.isprintable():
        return "There is a character in it that no key has. Copy the key once more."
    return None
