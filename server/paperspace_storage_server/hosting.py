"""The composition root of a hosted server: one service per team, behind one gate. `compose` makes each service."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.calls.call import Called, Process
from paperspace_storage_server.calls.principal import Principal, principal_in, scope_of
from paperspace_storage_server.calls.service import NoSuchTeam, Service
from paperspace_storage_server.compose import audit_of, make_service, open_upstream, team_of
from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.guard.sealed_questions import SealedQuestions
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.hosted import static_tokens, teams
from paperspace_storage_server.hosted.authenticate import Authenticate
from paperspace_storage_server.hosted.challenges import Refusal, Resource
from paperspace_storage_server.hosted.health import Health, HealthRoutes
from paperspace_storage_server.hosted.identity import Identity, NotReady
from paperspace_storage_server.hosted.issuer import Issuer, WrongIssuer
from paperspace_storage_server.hosted.jwt_tokens import JwtTokens
from paperspace_storage_server.hosted.limits import Limits
from paperspace_storage_server.hosted.policies import NothingLeft, narrowed
from paperspace_storage_server.hosted.static_tokens import StaticTokens
from paperspace_storage_server.hosted.teams import TeamEntry, Teams
from paperspace_storage_server.hosted.watched import Unreadable, WatchedFile
from paperspace_storage_server.http.fetch import fetch_json
from paperspace_storage_server.process.listen import Ending
from paperspace_storage_server.process.logs import log_to_stderr
from paperspace_storage_server.process.paths import below
from paperspace_storage_server.settings import Settings, SettingsError, described, home, load_profiles
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.state.local import LocalStore
from paperspace_storage_server.state.seal import Sealer, derived_key, keys_of
from paperspace_storage_server.state.store import Store
from paperspace_storage_tools.tool import AnyTool

if TYPE_CHECKING:
    from paperspace_storage_server.hosted.metrics import Metrics

logger = logging.getLogger(__name__)
T = TypeVar("T")

calls_log = logging.getLogger("paperspace_storage_server.calls")

TURNING_AWAY = 2.0
"""Seconds for which a server that was told to end still listens, so that balancers see that it is not ready."""
BEYOND_A_CALL = 5.0
"""Seconds that calls under way have to end, beside the budget of one."""
_THE_TEAM = "the team"
_TRIED_AGAIN = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between tries to reach the issuer; the last for all after it


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


@dataclass(slots=True)
class Hosted:
    """A hosted server that is put together: what is served, and what goes on beside it."""

    services: TeamServices
    issuer: Issuer | None
    health: Health
    app: ASGIApp
    metrics: Metrics | None
    ended: asyncio.Event

    @property
    def ending(self) -> Ending:
        """Not ready at once, streams closed, and time for the calls under way."""

        def told() -> None:
            self.health.draining = True
            self.ended.set()

        return Ending(told, TURNING_AWAY, self.services.settings.call_timeout + BEYOND_A_CALL)

    async def find_issuer(self) -> None:
        """Look for the issuer once; where it is away, that is said, and tried again by `keep_looking`.

        Raises:
            SettingsError: it is another one.
        """
        if self.issuer is None or self.issuer.ready:
            return
        try:
            await self.issuer.discover()
        except NotReady as error:
            logger.warning("Not ready: %s", error.why)
        except WrongIssuer as error:
            raise SettingsError(f"{described()['auth_issuer'].name}: {error.why}") from None

    async def keep_looking(self) -> None:
        """Until the issuer is found. Raises `SettingsError` where it turns out to be another one."""
        pauses = iter(_TRIED_AGAIN)
        while self.issuer is not None and not self.issuer.ready:
            await asyncio.sleep(next(pauses, _TRIED_AGAIN[-1]))
            await self.find_issuer()

    async def aclose(self) -> None:
        if self.issuer is not None:
            await self.issuer.aclose()
        await self.services.aclose()


def host(settings: Settings) -> Hosted:
    """Everything of a hosted server; nothing is asked of anybody yet.

    Raises:
        SettingsError: a file that cannot be used, or an extra that is not installed.
    """
    vault = Vault()
    for secret in (settings.api_key, settings.redis_url, settings.oidc_client_secret, *settings.state_keys):
        if secret is not None:
            vault.keep(secret)
    log_to_stderr(settings.log_level, vault, settings.log_format)
    metrics = _metrics(settings)
    profiles = load_profiles(settings)
    team_file = _team_file(settings, profiles)
    token_file = _token_file(settings)
    services = TeamServices(
        settings, profiles, vault, _store(settings), audit_of(settings), team_file, _seen_by(metrics)
    )
    issuer = Issuer(settings.auth_issuer, fetch_json) if settings.auth_issuer else None
    ended = asyncio.Event()
    health = Health(lambda: _away(issuer, team_file, token_file), services.store.ping)
    if metrics is not None:
        metrics.watch(health)
    app = _app(settings, services, issuer, token_file, metrics, ended)
    return Hosted(services, issuer, health, HealthRoutes(app, health), metrics, ended)


def _app(
    settings: Settings,
    services: TeamServices,
    issuer: Issuer | None,
    token_file: WatchedFile[static_tokens.ByHash] | None,
    metrics: Metrics | None,
    ended: asyncio.Event,
) -> ASGIApp:
    """The surfaces, behind limits, behind the gate, behind what web pages may ask."""
    resource = Resource(settings.public_url, settings.auth_issuer)

    def refused(refusal: Refusal) -> None:
        logger.info("Refused with %d: %s", refusal.status, refusal.error)
        if metrics is not None:
            metrics.refused(refusal)

    app: ASGIApp = Limits(_surfaces(settings, services, resource, ended), settings.rate, refused=refused)
    jwts = None
    if issuer is not None:
        jwts = JwtTokens(
            issuer,
            audiences=settings.auth_audience or [settings.public_url or ""],
            typ=settings.auth_typ,
            scope_claim=settings.auth_scope_claim,
            team_claim=settings.auth_team_claim,
        )
    static = StaticTokens(token_file) if token_file is not None else None
    app = Authenticate(app, resource, services.team_of, jwts=jwts, static=static, refused=refused)
    if settings.cors_origins:
        app = CORSMiddleware(
            app, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]
        )
    return app


def _surfaces(settings: Settings, services: TeamServices, resource: Resource, ended: asyncio.Event) -> ASGIApp:
    from starlette.applications import Starlette

    app: ASGIApp = Starlette()
    if "mcp" in settings.surfaces:
        from paperspace_storage_server.mcp.server import build_server
        from paperspace_storage_server.mcp.web import hosted_app

        app = hosted_app(
            build_server(services),
            url=settings.public_url,
            bound=settings.host,
            origins=settings.cors_origins,
            stateless=settings.redis_url is not None,
            refuse=lambda missing: resource.too_little(missing).response(problem=False),
            ended=ended,
        )
    if "rest" in settings.surfaces:
        from paperspace_storage_server.rest.app import Client, rest_app
        from paperspace_storage_server.rest.operations import PREFIX

        def client_of(scope: Scope) -> Client:
            principal = principal_in(scope)
            return Client(services.of(principal), principal.key if principal else None)

        def may(scope: Scope, tool: AnyTool) -> Response | None:
            principal = principal_in(scope)
            missing = principal.lacks(scope_of(tool)) if principal else []
            return resource.too_little(missing).response(problem=True) if missing else None

        app = below(PREFIX, rest_app(client_of, may=may), otherwise=app)
    return app


def _store(settings: Settings) -> Store:
    if settings.redis_url is None:
        return LocalStore(home() / "mcp-state.sqlite", logger.warning)
    name = described()["redis_url"].name
    try:
        from paperspace_storage_server.state.redis import RedisStore
    except ImportError:
        raise SettingsError(f"{name}: needs the extra: pip install 'paperspace-storage-mcp[hosted]'") from None
    try:
        return RedisStore(settings.redis_url)
    except ValueError:
        raise SettingsError(f"{name}: expected a URL such as redis://127.0.0.1:6379/0 or rediss://...") from None


def _metrics(settings: Settings) -> Metrics | None:
    if settings.metrics_port is None:
        return None
    try:
        from paperspace_storage_server.hosted.metrics import Metrics
    except ImportError:
        name = described()["metrics_port"].name
        raise SettingsError(f"{name}: needs the extra: pip install 'paperspace-storage-mcp[hosted]'") from None
    return Metrics()


def _seen_by(metrics: Metrics | None) -> Callable[[Called], None]:
    def seen(called: Called) -> None:
        if metrics is not None:
            metrics.called(called)
        if calls_log.isEnabledFor(logging.INFO):
            told = {
                "requestId": called.request_id,
                "principal": called.principal,
                "team": called.team,
                "tool": called.tool,
                "outcome": called.error or "done",
                "seconds": round(called.seconds, 4),
            }
            calls_log.info("%s: %s", called.tool, told["outcome"], extra={"fields": told})

    return seen


def _team_file(settings: Settings, profiles: Profiles) -> WatchedFile[Teams[Policy]] | None:
    if settings.teams_file is None:
        return None
    beside = Path(settings.teams_file).resolve().parent

    def parsed(content: bytes) -> Teams[Policy]:
        found = teams.parse(content, os.environ, beside, Policy, settings.auth_team_claim)
        if len(found.entries) > 1 and profiles.secrets:
            raise Unreadable("with several teams a credential profile would be everybody's: configure none")
        for entry in found.entries.values():
            try:
                narrowed(settings, entry.policy)
            except NothingLeft:
                raise Unreadable(
                    f"[teams.{entry.name}] policy: none of its toolsets is among those that are served"
                ) from None
        return found

    return _loaded(WatchedFile(settings.teams_file, parsed), "teams_file")


def _token_file(settings: Settings) -> WatchedFile[static_tokens.ByHash] | None:
    if settings.tokens_file is None:
        return None
    return _loaded(WatchedFile(settings.tokens_file, static_tokens.parse), "tokens_file")


def _loaded(file: WatchedFile[T], setting: str) -> WatchedFile[T]:
    try:
        file.load()
    except Unreadable as error:
        raise SettingsError(f"{described()[setting].name}: {error.why}") from None
    return file


def _away(
    issuer: Issuer | None,
    team_file: WatchedFile[Teams[Policy]] | None,
    token_file: WatchedFile[static_tokens.ByHash] | None,
) -> str | None:
    """What nobody can be let in without. Anybody may ask, so that what is wrong with it is said in the log alone."""
    if issuer is not None and not issuer.ready:
        return "the issuer's keys have not come yet"
    for file, what in ((team_file, "teams"), (token_file, "tokens")):
        if file is not None:
            try:
                _ = file.now
            except NotReady:
                return f"the {what} file cannot be used; the log says why"
    return None


async def serve(hosted: Hosted, listening: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Find the issuer, serve, and look for one that is away meanwhile.

    Raises:
        SettingsError: the issuer is another one, or turned out to be.
    """
    try:
        await hosted.find_issuer()
        serving = asyncio.ensure_future(listening())
        looking = asyncio.ensure_future(hosted.keep_looking())
        try:
            await asyncio.wait([serving, looking], return_when=asyncio.FIRST_EXCEPTION)
        finally:
            looking.cancel()
            if not serving.done():
                serving.cancel()
        for task in (looking, serving):
            with suppress(asyncio.CancelledError):
                await task
    finally:
        await hosted.aclose()
