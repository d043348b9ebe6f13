"""Links to the page for one person: opaque, opened once, for a quarter of an hour, and by nobody else.

A link says nothing of the person: it opens only together with the subject that signed in. It lets nobody in.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from paperspace_storage_server.state.seal import NotSealedHere, Sealer, SealExpired
from paperspace_storage_server.state.store import Store, key_of

LASTS: Final = 900.0  # seconds
LONGEST: Final = 512
"""Characters of what a link carries."""
PARAMETER: Final = "for"
_PURPOSE: Final = "connect link"


class NotTheirLink(Exception):
    """It was made for another person, or was altered."""


class LinkIsOver(Exception):
    """It was opened before, or too late."""


class Links:
    """Makes and opens them. `page` is the URL of the page."""

    def __init__(self, page: str, sealer: Sealer, store: Store) -> None:
        self.page = page
        self._sealer = sealer
        self._store = store

    def make(self, person: str) -> str:
        return f"{self.page}?{urlencode({PARAMETER: self._sealer.seal(_PURPOSE, (person,), {}, LASTS)})}"

    async def spend(self, carried: str, person: str) -> None:
        """Open one, once.

        Raises:
            NotTheirLink, LinkIsOver.
            StoreUnavailable: nobody can say whether it was opened before.
        """
        try:
            opened = self._sealer.open(carried, _PURPOSE, (person,))
        except NotSealedHere:
            raise NotTheirLink from None
        except SealExpired:
            raise LinkIsOver from None
        if not await self._store.add(key_of("used", opened.id), "1", opened.left):
            raise LinkIsOver
