"""The services of people who have handed in a key: looked up with each request, a bounded number of them open.

A person without a key has a service as well, that lists what they could do and says where to hand one in.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.calls.principal import Principal, principal_in
from paperspace_storage_server.calls.service import AwaitedKey, Service
from paperspace_storage_server.compose import team_of
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.hosted import challenges
from paperspace_storage_server.hosted.challenges import Refusal
from paperspace_storage_server.hosted.connect_keys import ConnectedKey, ConnectedKeys
from paperspace_storage_server.hosted.connect_links import Links
from paperspace_storage_server.hosted.identity import Identity
from paperspace_storage_server.hosting.making import BEYOND_A_CALL, Leaving, Maker
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_tools.errors import ConnectedKeyUnavailable, Failure, NotConnected, StoreUnavailable

MOST: Final = 200
"""Services that stand open; beyond it the one that was used longest ago is closed."""
IDLE: Final = 900.0
"""Seconds without a call after which one is closed."""
LOOK_EVERY: Final = 1.0  # seconds, for a key that is waited for
_PREFIX: Final = "connect:"  # no team of the file can have it in its name

Standing: TypeAlias = Literal["connected", "awaited", "away"]


class TooMany(Exception):
    """All services that may stand open are in use."""


@dataclass(slots=True)
class _Person:
    """What one person gets at the moment. `key` is what `own` was made of; `calls` are under way."""

    service: Service
    standing: Standing = "awaited"
    key: ConnectedKey | None = None
    own: Service | None = None
    calls: int = 0
    used: float = 0.0


class ConnectedTeams:
    """One service per person with a key. `policy` is what any of them may do."""

    def __init__(
        self,
        maker: Maker,
        keys: ConnectedKeys,
        links: Links,
        policy: Policy,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._maker = maker
        self._keys = keys
        self._links = links
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._people: OrderedDict[str, _Person] = OrderedDict()
        self._leaving = Leaving(maker.settings.call_timeout + BEYOND_A_CALL)
        self._nobody = self._closed(lambda: NotConnected(links.page))
        self._away = self._closed(lambda: ConnectedKeyUnavailable("it does not answer"))

    @property
    def page(self) -> str:
        return self._links.page

    def team_of(self, identity: Identity) -> str:
        """The team of a person whom the operator has put in none: theirs alone."""
        return f"{_PREFIX}{identity.key}"

    def has(self, principal: Principal) -> bool:
        return principal.team.startswith(_PREFIX)

    def of(self, principal: Principal) -> Service:
        """As the latest of their requests has found it."""
        person = self._people.get(principal.team)
        return self._nobody if person is None else person.service

    def awaited_key(self, principal: Principal) -> AwaitedKey | None:
        person = self._people.get(principal.team)
        return _Awaited(self, principal) if person is None or person.standing == "awaited" else None

    def link(self, principal: Principal) -> str:
        return self._links.make(principal.key)

    async def comes(self, principal: Principal, seconds: float) -> bool:
        """Whether a key of theirs is there within so many seconds."""
        until = self._clock() + seconds
        while (person := self._people.get(principal.team)) is not None:
            if await self._look(principal, person) == "connected":
                return True
            left = until - self._clock()
            if left <= 0:
                break
            await self._sleep(min(LOOK_EVERY, left))
        return False

    @asynccontextmanager
    async def request(self, principal: Principal) -> AsyncGenerator[Standing]:
        """One request of theirs, for whose time their service stays open.

        Raises:
            TooMany.
        """
        person = self._people.get(principal.team)
        if person is None:
            self._close(to_make_room=True)
            person = self._people[principal.team] = _Person(self._nobody)
        self._people.move_to_end(principal.team)
        person.calls += 1
        self._close(to_make_room=False)
        try:
            yield await self._look(principal, person)
        finally:
            person.calls -= 1
            person.used = self._clock()
            if person.own is None and not person.calls:
                self._people.pop(principal.team, None)

    async def aclose(self) -> None:
        self._leaving.end()
        for person in self._people.values():
            if person.own is not None:
                await person.own.aclose()
        self._people.clear()

    async def _look(self, principal: Principal, person: _Person) -> Standing:
        try:
            key = await self._keys.of(principal.key)
        except StoreUnavailable:
            person.service, person.standing = self._away, "away"
            return "away"
        if key is None or person.key is None or key.sealed != person.key.sealed:
            if person.own is not None:
                self._leaving.leave(person.own)
            person.key, person.own = key, None if key is None else self._make(principal, key)
        person.service = person.own or self._nobody
        person.standing = "awaited" if person.own is None else "connected"
        return person.standing

    def _close(self, *, to_make_room: bool) -> None:
        """Close what is idle, and where one more is to stand open the one that was used longest ago."""
        idle = self._clock() - IDLE
        wanted = len(self._people) - MOST + 1 if to_make_room else 0
        closed: list[str] = []
        for team, person in self._people.items():
            if person.calls:
                continue
            if person.used > idle and len(closed) >= wanted:
                break
            closed.append(team)
        for team in closed:
            own = self._people.pop(team).own
            if own is not None:
                self._leaving.leave(own)
        if len(closed) < wanted:
            raise TooMany

    def _make(self, principal: Principal, key: ConnectedKey) -> Service:
        self._maker.vault.learn(key.api_key)  # not kept for ever: people come and go
        settings = self._maker.settings.model_copy(update={"api_key": key.api_key})
        counted = team_of(settings)
        return self._maker.make(
            key.api_key,
            self._policy,
            Profiles(),  # those of the operator are for the operator's teams
            own=principal.team,
            name=f"{key.team or 'unnamed'} (handed in)",  # no team of the file can have such a name
            counted_as=f"key {counted}",
        )

    def _closed(self, why: Callable[[], Failure]) -> Service:
        return self._maker.make(SecretStr(""), self._policy, Profiles(), own=_PREFIX, name=None, closed=why)


@dataclass(frozen=True, slots=True)
class _Awaited:
    """`calls.service.AwaitedKey` of one person."""

    teams: ConnectedTeams
    principal: Principal

    def link(self) -> str:
        return self.teams.link(self.principal)

    async def comes(self, seconds: float) -> bool:
        return await self.teams.comes(self.principal, seconds)


class OwnKeys:
    """ASGI, behind gate and limits: finds the key of a person who is in no team. `refused` is told of each refusal.

    Over MCP a person without one goes on, for there a client can be asked; programs of the REST surface cannot.
    """

    def __init__(self, app: ASGIApp, connected: ConnectedTeams, refused: Callable[[Refusal], None]) -> None:
        self._app = app
        self._connected = connected
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = principal_in(scope) if scope["type"] == "http" else None
        if principal is None or not self._connected.has(principal):
            await self._app(scope, receive, send)
            return
        rest = scope["path"].startswith("/v1/")
        try:
            async with self._connected.request(principal) as standing:
                refusal = self._refusal(standing) if rest else None
                if refusal is None:
                    await self._app(scope, receive, send)
                    return
        except TooMany:
            refusal = challenges.not_ready("Too many people are served at the moment. Try again in a moment.")
        self._refused(refusal)
        await refusal.response(problem=rest)(scope, receive, send)

    def _refusal(self, standing: Standing) -> Refusal | None:
        if standing == "connected":
            return None
        if standing == "away":
            return challenges.not_ready("Your team's key cannot be read at the moment. Try again in a moment.")
        return challenges.no_team(
            f"You are in no team of this server. To use it with a key of your own team, open {self._connected.page}."
        )
