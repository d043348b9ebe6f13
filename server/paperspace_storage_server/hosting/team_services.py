"""The services of a hosted server's teams: those of the operator's file, and those whose keys people hand in."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from paperspace_storage_server.calls.principal import Principal
from paperspace_storage_server.calls.service import AwaitedKey, NoSuchTeam, Service
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.hosted import teams
from paperspace_storage_server.hosted.identity import Identity, InNoTeam, NotReady
from paperspace_storage_server.hosted.teams import TeamEntry, Teams
from paperspace_storage_server.hosted.watched import WatchedFile
from paperspace_storage_server.hosting.connected_teams import ConnectedTeams
from paperspace_storage_server.hosting.making import BEYOND_A_CALL, Leaving, Maker
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.settings.policy import Policy

_THE_TEAM = "the team"


@dataclass(slots=True)
class TeamServices:
    """`calls.service.Services` of all teams: each with its key, its vault, its questions, and its share of the store.

    A team's service is made when it is first asked for, and anew when the operator has changed the team.
    """

    maker: Maker
    profiles: Profiles
    file: WatchedFile[Teams[Policy]] | None
    connected: ConnectedTeams | None = None
    """Where people in no team may hand in a key of their own."""
    _leaving: Leaving = field(init=False)
    _made: dict[str, tuple[TeamEntry[Policy], Service]] = field(
        default_factory=dict[str, "tuple[TeamEntry[Policy], Service]"]
    )

    def __post_init__(self) -> None:
        self._leaving = Leaving(self.settings.call_timeout + BEYOND_A_CALL)

    @property
    def settings(self) -> Settings:
        return self.maker.settings

    def team_of(self, identity: Identity) -> str:
        """Raises: NotForAnyTeam, NotReady."""
        if self.file is None:
            return _THE_TEAM
        try:
            return self.file.now.of(identity).name
        except InNoTeam:
            if self.connected is None:
                raise
            return self.connected.team_of(identity)

    def of(self, principal: Principal | None) -> Service:
        if principal is None:
            raise NoSuchTeam  # nothing of a hosted server is served to nobody
        if self.connected is not None and self.connected.has(principal):
            return self.connected.of(principal)
        entry = self._entry(principal.team)
        entry_then, service = self._made.get(principal.team, (None, None))
        if service is not None and entry_then == entry:
            return service
        made = self._make(entry)
        self._made[principal.team] = (entry, made)
        if service is not None:
            self._leaving.leave(service)
        return made

    def awaited_key(self, principal: Principal | None) -> AwaitedKey | None:
        if principal is None or self.connected is None or not self.connected.has(principal):
            return None
        return self.connected.awaited_key(principal)

    async def aclose(self) -> None:
        self._leaving.end()
        for _, service in self._made.values():
            await service.aclose()
        if self.connected is not None:
            await self.connected.aclose()
        await self.maker.store.aclose()

    def _entry(self, name: str) -> TeamEntry[Policy]:
        if self.file is None:
            return TeamEntry(_THE_TEAM, self.settings.api_key or SecretStr(""), teams.Members(), None)
        try:
            entry = self.file.now.entries.get(name)
        except NotReady:
            entry = None
        if entry is None:
            raise NoSuchTeam
        return entry

    def _make(self, entry: TeamEntry[Policy]) -> Service:
        self.maker.vault.keep(entry.api_key)  # what is logged for one team must not show another's key either
        named = None if self.file is None else entry.name
        return self.maker.make(entry.api_key, entry.policy, self.profiles, own=entry.name, name=named)
