"""Who is signed in on the page: a random cookie, and a sealed record of it in the store, so that an end counts at once
on every replica. The cookie is never taken from outside: each sign-in makes a new one."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from paperspace_storage_server.state.seal import NotSealedHere, Sealer, SealExpired
from paperspace_storage_server.state.store import Store, key_of

LASTS: Final = 900.0  # seconds
_PURPOSE: Final = "connect session"


@dataclass(frozen=True, slots=True)
class Session:
    """One person's. `shown` is what they know themselves by; `csrf` has to come with every form."""

    id: str
    person: str
    shown: str
    csrf: str
    needs_none: str | None
    """Why no key of theirs is needed: they act for a team of the operator's already, or for several."""

    def sent(self, csrf: str) -> bool:
        """Whether a form comes from this session's page."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())


class Sessions:
    """Raises, from every method: `StoreUnavailable`."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def begin(self, person: str, shown: str, needs_none: str | None) -> Session:
        session = Session(secrets.token_urlsafe(32), person, shown, secrets.token_urlsafe(32), needs_none)
        content = {
            "person": person,
            "shown": shown,
            "csrf": session.csrf,
            "needs_none": needs_none,
            "after": await self._store.get(_end_of_all(person)),
        }
        sealed = self._sealer.seal(_PURPOSE, (session.id,), {**content}, LASTS)
        await self._store.put(_place(session.id), sealed, LASTS)
        return session

    async def of(self, id: str) -> Session | None:
        """The one of this cookie; None where it has ended, or never began."""
        if not id or len(id) > 64:
            return None
        sealed = await self._store.get(_place(id))
        if sealed is None:
            return None
        try:
            content = self._sealer.open(sealed, _PURPOSE, (id,)).content
        except (NotSealedHere, SealExpired):
            return None
        person, why = str(content["person"]), content["needs_none"]
        if await self._store.get(_end_of_all(person)) not in (None, content["after"]):
            return None
        return Session(id, person, str(content["shown"]), str(content["csrf"]), None if why is None else str(why))

    async def end(self, session: Session) -> None:
        await self._store.drop(_place(session.id))

    async def end_all(self, person: str) -> None:
        """All that this person has, in every browser; those that begin from now on go on."""
        await self._store.put(_end_of_all(person), secrets.token_hex(8), LASTS)


def _place(id: str) -> str:
    return key_of("connect session", id)


def _end_of_all(person: str) -> str:
    """A mark of the last time that all of somebody's ended: kept as long as one from before could last."""
    return key_of("connect sessions ended", person)
