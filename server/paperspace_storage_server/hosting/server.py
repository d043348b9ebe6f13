"""A hosted server put together: the surfaces behind limits, behind the gate, and what goes on beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from paperspace_storage_server.calls.principal import principal_in, scope_of
from paperspace_storage_server.compose import audit_of
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.hosted import static_tokens
from paperspace_storage_server.hosted.authenticate import Authenticate
from paperspace_storage_server.hosted.challenges import Refusal, Resource
from paperspace_storage_server.hosted.connect import ConnectPage
from paperspace_storage_server.hosted.health import Health, HealthRoutes
from paperspace_storage_server.hosted.identity import NotReady
from paperspace_storage_server.hosted.issuer import Issuer, WrongIssuer
from paperspace_storage_server.hosted.jwt_tokens import JwtTokens
from paperspace_storage_server.hosted.limits import Limits
from paperspace_storage_server.hosted.static_tokens import StaticTokens
from paperspace_storage_server.hosted.watched import WatchedFile
from paperspace_storage_server.hosting import parts
from paperspace_storage_server.hosting.connected_teams import OwnKeys
from paperspace_storage_server.hosting.connecting import Connect, connect
from paperspace_storage_server.hosting.making import BEYOND_A_CALL, Maker
from paperspace_storage_server.hosting.team_services import TeamServices
from paperspace_storage_server.http.fetch import fetch_json, post_form
from paperspace_storage_server.process.listen import Ending
from paperspace_storage_server.process.logs import log_to_stderr
from paperspace_storage_server.process.paths import below
from paperspace_storage_server.settings import Settings, SettingsError, described, load_profiles
from paperspace_storage_tools.tool import AnyTool

if TYPE_CHECKING:
    from paperspace_storage_server.hosted.metrics import Metrics
    from paperspace_storage_server.process.telemetry import Telemetry

logger = logging.getLogger(__name__)

TURNING_AWAY = 2.0
"""Seconds for which a server that was told to end still listens, so that balancers see that it is not ready."""
_TRIED_AGAIN = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between tries to reach the issuer; the last for all after it


@dataclass(slots=True)
class Hosted:
    """A hosted server that is put together: what is served, and what goes on beside it."""

    services: TeamServices
    issuer: Issuer | None
    health: Health
    app: ASGIApp
    metrics: Metrics | None
    ended: asyncio.Event
    connecting: Connect | None = None

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
            if self.connecting is not None:
                self.connecting.page.signing_in.check_issuer()
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


def host(settings: Settings, telemetry: Telemetry | None = None) -> Hosted:
    """Everything of a hosted server; nothing is asked of anybody yet.

    Raises:
        SettingsError: a file that cannot be used, or an extra that is not installed.
    """
    vault = Vault()
    for secret in (settings.api_key, settings.redis_url, settings.oidc_client_secret, *settings.state_keys):
        if secret is not None:
            vault.keep(secret)
    log_to_stderr(settings.log_level, vault, settings.log_format)
    metrics = parts.metrics(settings)
    profiles = load_profiles(settings)
    team_file = parts.team_file(settings, profiles)
    token_file = parts.token_file(settings)
    issuer = Issuer(settings.auth_issuer, fetch_json) if settings.auth_issuer else None
    seen, through = parts.seen_by(metrics, telemetry), parts.through(metrics, telemetry)
    maker = Maker(settings, vault, parts.store(settings), audit_of(settings), seen, through)
    connecting = None
    if settings.connect and issuer is not None and team_file is not None:
        connecting = connect(settings, maker, issuer, team_file, post_form)
    services = TeamServices(maker, profiles, team_file, connecting.teams if connecting else None)
    ended = asyncio.Event()
    health = Health(lambda: parts.away(issuer, team_file, token_file), maker.store.ping)
    if metrics is not None:
        metrics.watch(health)
    app = _app(settings, services, issuer, token_file, metrics, ended, telemetry)
    if connecting is not None:
        app = ConnectPage(app, connecting.page)
    return Hosted(services, issuer, health, HealthRoutes(app, health), metrics, ended, connecting)


def _app(
    settings: Settings,
    services: TeamServices,
    issuer: Issuer | None,
    token_file: WatchedFile[static_tokens.ByHash] | None,
    metrics: Metrics | None,
    ended: asyncio.Event,
    telemetry: Telemetry | None,
) -> ASGIApp:
    """The surfaces, behind limits, behind the gate, behind what web pages may ask."""
    resource = Resource(settings.public_url, settings.auth_issuer)

    def refused(refusal: Refusal) -> None:
        logger.info("Refused with %d: %s", refusal.status, refusal.error)
        if metrics is not None:
            metrics.refused(refusal)

    app = _surfaces(settings, services, resource, ended, telemetry)
    if services.connected is not None:
        app = OwnKeys(app, services.connected, refused)
    app = Limits(app, settings.rate, refused=refused)
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


def _surfaces(
    settings: Settings,
    services: TeamServices,
    resource: Resource,
    ended: asyncio.Event,
    telemetry: Telemetry | None,
) -> ASGIApp:
    from starlette.applications import Starlette

    app: ASGIApp = Starlette()
    if "mcp" in settings.surfaces:
        from paperspace_storage_server.mcp.server import build_server
        from paperspace_storage_server.mcp.web import hosted_app

        app = hosted_app(
            build_server(services, telemetry),
            url=settings.public_url,
            bound=settings.host,
            origins=settings.cors_origins,
            stateless=settings.redis_url is not None,
            refuse=lambda missing: resource.too_little(missing).response(problem=False),
            ended=ended,
        )
    if "rest" in settings.surfaces:
        from paperspace_storage_server.rest.app import Requester, rest_app
        from paperspace_storage_server.rest.hosts import KnownHosts, of_public, on_loopback
        from paperspace_storage_server.rest.operations import PREFIX

        def requester_of(scope: Scope) -> Requester:
            principal = principal_in(scope)
            return Requester(services.of(principal), principal.key if principal else None)

        def may(scope: Scope, tool: AnyTool) -> Response | None:
            principal = principal_in(scope)
            missing = principal.lacks(scope_of(tool)) if principal else []
            return resource.too_little(missing).response(problem=True) if missing else None

        known = of_public(settings.public_url) if settings.public_url else on_loopback(settings.host)
        app = below(PREFIX, KnownHosts(rest_app(requester_of, may=may, telemetry=telemetry), known), otherwise=app)
    return app


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
