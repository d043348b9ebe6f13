"""Making the service of one team out of what the process has, and closing one that is no longer asked for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretStr

from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.calls.call import Called, Process
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.compose import make_service, open_upstream, team_of
from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.guard.sealed_questions import SealedQuestions
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.hosted.policies import narrowed
from paperspace_storage_server.http.transport import Through
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.state.seal import Sealer, derived_key, keys_of
from paperspace_storage_server.state.store import Store
from paperspace_storage_tools.errors import Failure

BEYOND_A_CALL = 5.0
"""Seconds that calls under way have to end, beside the budget of one."""


@dataclass(slots=True)
class Maker:
    """What all services of a process have in common. `vault` masks the process's log: every team's key in it."""

    settings: Settings
    vault: Vault
    store: Store
    audit: AuditFile | None
    seen: Callable[[Called], None]
    through: Through

    def make(
        self,
        api_key: SecretStr,
        policy: Policy | None,
        profiles: Profiles,
        *,
        own: str,
        name: str | None,
        counted_as: str | None = None,
        closed: Callable[[], Failure] | None = None,
    ) -> Service:
        """The service of a key under a policy. `own` tells its questions from all others; `name` is for people."""
        key = api_key.get_secret_value()
        settings = narrowed(self.settings, policy).model_copy(update={"api_key": api_key if key else None})
        given = [one.get_secret_value() for one in settings.state_keys]
        derived = derived_key(key) if key else os.urandom(32)  # of nothing, anybody could derive it
        sealer = Sealer(keys_of(given) if given else [derived])
        return make_service(
            settings,
            profiles,
            self.upstream,
            process=Process(settings, self.audit, lambda: sealer, self.seen),
            questions=SealedQuestions(sealer, self.store, own),
            name=name,
            counted_as=counted_as,
            closed=closed,
        )

    def upstream(self, settings: Settings) -> Upstream:
        """The way to the API with the key of these settings, over the store that all teams share."""
        upstream = open_upstream(settings, through=self.through)
        upstream.store, upstream.keeps_store, upstream.team = self.store, True, team_of(settings)
        return upstream


@dataclass(slots=True)
class Leaving:
    """Services that nobody gets any more: each is closed `after` so many seconds, when its calls have ended."""

    after: float
    _closing: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])

    def leave(self, service: Service) -> None:
        async def later() -> None:
            await asyncio.sleep(self.after)
            await service.aclose()

        task = asyncio.get_running_loop().create_task(later())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def end(self) -> None:
        for task in self._closing:
            task.cancel()
