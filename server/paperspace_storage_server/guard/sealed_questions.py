"""Questions that travel whole: any replica can take the answer, and only one of them once.

What was shown is sealed into the token, for this team and this call; that it was used is written down where all
replicas see it. A client can neither read, change nor repeat it, nor use it for another call.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from paperspace_storage_server.guard.confirm import not_open, too_late
from paperspace_storage_server.state.seal import JsonValue, NotSealedHere, Sealer, SealExpired
from paperspace_storage_server.state.store import Store, key_of
from paperspace_storage_tools.ports import AtStake

_PURPOSE = "question"


class SealedQuestions:
    """`guard.confirm.Questions` of one team over all replicas."""

    def __init__(self, sealer: Sealer, store: Store, team: str) -> None:
        self._sealer = sealer
        self._store = store
        self._team = team

    async def put(self, call: str, shown: AtStake, seconds: float) -> str:
        content = cast("dict[str, JsonValue]", asdict(shown))
        return self._sealer.seal(_PURPOSE, (self._team, call), content, seconds)

    async def take(self, token: str, call: str) -> AtStake:
        """What was shown.

        Raises:
            NotConfirmed: a foreign, used or late token.
            StoreUnavailable: nobody can say whether it was used.
        """
        try:
            opened = self._sealer.open(token, _PURPOSE, (self._team, call))
        except NotSealedHere:
            raise not_open() from None
        except SealExpired:
            raise too_late() from None
        if not await self._store.add(key_of("used", opened.id), "1", opened.left):
            raise not_open()
        return _at_stake(opened.content)


def _at_stake(content: dict[str, JsonValue]) -> AtStake:
    """As it was sealed; JSON has made lists of its tuples."""
    fields = {name: tuple(cast("list[str]", one)) if isinstance(one, list) else one for name, one in content.items()}
    return AtStake(**cast("dict[str, Any]", fields))
