"""What handing in keys is put together from: the page, signing in at the issuer, trying a key at the API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from paperspace_storage_server.api.storage import PaperspaceStorage
from paperspace_storage_server.calls.service import select
from paperspace_storage_server.compose import sealer_of
from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.hosted.connect import Address, Connecting, KeyNotGood, Recorded
from paperspace_storage_server.hosted.connect_keys import ConnectedKeys
from paperspace_storage_server.hosted.connect_links import Links
from paperspace_storage_server.hosted.connect_sessions import Sessions
from paperspace_storage_server.hosted.id_tokens import IdTokens
from paperspace_storage_server.hosted.identity import Identity, InNoTeam, NotForAnyTeam
from paperspace_storage_server.hosted.issuer import Issuer
from paperspace_storage_server.hosted.policies import NothingLeft, narrowed
from paperspace_storage_server.hosted.signing_in import Client, SigningIn
from paperspace_storage_server.hosted.teams import Teams
from paperspace_storage_server.hosted.watched import WatchedFile
from paperspace_storage_server.hosting.connected_teams import ConnectedTeams
from paperspace_storage_server.hosting.making import Maker
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_server.http.fetch import Post
from paperspace_storage_server.settings import Settings, SettingsError, described
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_tools.errors import Failure, Refused, describe

logger = logging.getLogger(__name__)

_TRIAL: Final = 15.0
"""Seconds for trying a key: a person waits for it."""
_LONGEST_NAME: Final = 80  # characters of a team's name


@dataclass(frozen=True, slots=True)
class Connect:
    """The page, and the services of those who have used it."""

    page: Connecting
    teams: ConnectedTeams


def connect(settings: Settings, maker: Maker, issuer: Issuer, file: WatchedFile[Teams[Policy]], post: Post) -> Connect:
    """Everything of `PAPERSPACE_MCP_CONNECT`.

    Raises:
        SettingsError: the policy of keys that are handed in leaves no tool.
    """
    policy = settings.policy_of_connected_keys()
    try:
        narrow = narrowed(settings, policy)
    except NothingLeft:
        raise SettingsError(
            f"{described()['connect_policy'].name}: none of its toolsets is among those that are served"
        ) from None
    sealer = sealer_of(settings)()
    address, store = Address(settings.public_url or ""), maker.store
    client_id = settings.oidc_client_id or ""
    links, keys = Links(address.page, sealer, store), ConnectedKeys(store, sealer)
    signing_in = SigningIn(
        issuer,
        Client(client_id, settings.oidc_client_secret, address.callback),
        IdTokens(issuer, client_id, settings.auth_team_claim),
        post=post,
        sealer=sealer,
        store=store,
    )
    page = Connecting(
        address=address,
        signing_in=signing_in,
        sessions=Sessions(store, sealer),
        links=links,
        keys=keys,
        try_key=_Trial(maker, narrow),
        needs_none=_needs_none(file),
        recorded=_recorded(maker.audit),
        store=store,
        policy=_in_words(narrow),
    )
    return Connect(page, ConnectedTeams(maker, keys, links, policy))


@dataclass(frozen=True, slots=True)
class _Trial:
    """`hosted.connect.TryKey`: asks the API for the team's utilization, which changes nothing."""

    maker: Maker
    settings: Settings

    async def __call__(self, key: SecretStr) -> str:
        self.maker.vault.learn(key)  # for the log
        vault = Vault()
        vault.keep(key)
        hygiene = Hygiene(vault)
        upstream = self.maker.upstream(self.settings.model_copy(update={"api_key": key}))
        storage = PaperspaceStorage(upstream, Budget.of(_TRIAL), vault.learn, lambda sentence: None, hygiene)
        try:
            await storage.utilization.get()
            name = await storage.team_name() or ""
        except Refused as refused:
            if refused.status not in (401, 403):
                raise KeyNotGood(_untried(hygiene, refused)) from None
            raise KeyNotGood(
                f"Paperspace does not take this key ({refused.status}). Check that it is whole, and of the right team."
            ) from None
        except Failure as failure:
            raise KeyNotGood(_untried(hygiene, failure)) from None
        finally:
            await upstream.aclose()
        return hygiene.failure(name).strip()[:_LONGEST_NAME]


def _untried(hygiene: Hygiene, failure: Failure) -> str:
    return f"The key could not be tried. {hygiene.failure(describe(failure, write=False))}"


def _needs_none(file: WatchedFile[Teams[Policy]]) -> Callable[[Identity], str | None]:
    def needs_none(identity: Identity) -> str | None:
        try:
            file.now.of(identity)
        except InNoTeam:
            return None
        except NotForAnyTeam as error:
            return error.why
        return "You act for a team of this server already. Its operator has set the key, so yours would not be used."

    return needs_none


def _recorded(audit: AuditFile | None) -> Recorded:
    @contextmanager
    def recorded(what: str, person: str) -> Generator[None]:
        if audit is None:
            yield
            return
        attempt = audit.begin(what, {}, None, principal=person)
        try:
            yield
            attempt.outcome = "done"
        finally:
            if remark := audit.end(attempt):
                logger.error("%s", remark)

    return recorded


def _in_words(narrow: Settings) -> str:
    """What a key that is handed in may be used for."""
    if any(tool.kind == "destructive" for tool in select(narrow)):
        return "Your agent may read, change and delete with it, as far as this server allows."
    if any(tool.writes for tool in select(narrow)):
        return "Your agent may read and change with it, and delete nothing."
    return "Your agent may only read with it."
