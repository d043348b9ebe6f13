"""One service per team of a hosted server, made when it is first asked for. `compose` makes each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretStr

from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.calls.call import Called, Process
from paperspace_storage_server.calls.principal import Principal
from paperspace_storage_server.calls.service import NoSuchTeam, Service
from paperspace_storage_server.compose import make_service, open_upstream, team_of
from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.guard.sealed_questions import SealedQuestions
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.hosted import teams
from paperspace_storage_server.hosted.identity import Identity, NotReady
from paperspace_storage_server.hosted.policies import narrowed
from paperspace_storage_server.hosted.teams import TeamEntry, Teams
from paperspace_storage_server.hosted.watched import WatchedFile
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.state.seal import Sealer, derived_key, keys_of
from paperspace_storage_server.state.store import Store

BEYOND_A_CALL = 5.0
"""Seconds that calls under way have to end, beside the budget of one."""
_THE_TEAM = "the team"


@dataclass(slots=True)
class TeamServices:
    """`calls.service.Services` of all teams: each with its key, its vault, its questions, and its share of the store.

    A team's service is made when it is first asked for, and anew when the operator has changed the team.
    """

    settings: Settings
    profiles: Profiles
    vault: Vault
    store: Store
    audit: AuditFile | None
    file: WatchedFile[Teams[Policy]] | None
    seen: Callable[[Called], None]
    _made: dict[str, tuple[TeamEntry[Policy], Service]] = field(
        default_factory=dict[str, "tuple[TeamEntry[Policy], Service]"]
    )
    _leaving: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def team_of(self, identity: Identity) -> str:
        """Raises: NotForAnyTeam, NotReady."""
        return _THE_TEAM if self.file is None else self.file.now.of(identity).name

    def of(self, principal: Principal | None) -> Service:
        if principal is None:
            raise NoSuchTeam  # nothing of a hosted server is served to nobody
        entry = self._entry(principal.team)
        entry_then, service = self._made.get(principal.team, (None, None))
        if service is not None and entry_then == entry:
            return service
        made = self._make(entry)
        self._made[principal.team] = (entry, made)
        if service is not None:
            self._leave(service)
        return made

    async def aclose(self) -> None:
        for task in self._leaving:
            task.cancel()
        for _, service in self._made.values():
            await service.aclose()
        await self.store.aclose()

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
        self.vault.keep(entry.api_key)  # what is logged for one team must not show another's key either
        named = None if self.file is None else entry.name
        settings = narrowed(self.settings, entry.policy).model_copy(
            update={"api_key": entry.api_key if entry.api_key.get_secret_value() else None}
        )

        def connect(chosen: Settings) -> Upstream:
            upstream = open_upstream(chosen)
            upstream.store, upstream.keeps_store, upstream.team = self.store, True, team_of(chosen)
            return upstream

        given = [key.get_secret_value() for key in settings.state_keys]
        own = entry.api_key.get_secret_value()
        derived = derived_key(own) if own else os.urandom(32)  # of nothing, anybody could derive it
        sealer = Sealer(keys_of(given) if given else [derived])
        return make_service(
            settings,
            self.profiles,
            connect,
            process=Process(settings, self.audit, lambda: sealer, self.seen),
            questions=SealedQuestions(sealer, self.store, entry.name),
            name=named,
        )

    def _leave(self, service: Service) -> None:
        """Close what the team had before, after the calls that are under way with it."""

        async def later() -> None:
            await asyncio.sleep(self.settings.call_timeout + BEYOND_A_CALL)
            await service.aclose()

        task = asyncio.get_running_loop().create_task(later())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
