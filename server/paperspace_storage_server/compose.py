"""The composition root: settings become everything that a call needs. Nothing is sent, and nothing heavy imported,
before the first call."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from paperspace_storage_server import __version__
from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.calls.call import Called, Process, Team
from paperspace_storage_server.calls.service import Service
from paperspace_storage_server.guard.allowance import Allowance
from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_server.guard.confirm import Questions, QuestionsHere
from paperspace_storage_server.guard.hygiene import Hygiene
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.guard.protect import Protection
from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.guard.stream import standard_error
from paperspace_storage_server.http.budget import Clock
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.http.transport import Through, Transport
from paperspace_storage_server.process.logs import log_to_stderr
from paperspace_storage_server.settings import Settings, SettingsError, home, load_profiles
from paperspace_storage_server.state.local import LocalStore
from paperspace_storage_server.wire.messages import Dialect
from paperspace_storage_tools.errors import Failure

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from paperspace_storage_server.process.telemetry import Telemetry
    from paperspace_storage_server.state.seal import Sealer

logger = logging.getLogger(__name__)

SANDBOX_URL = "http://sandbox.localhost/v1"
SANDBOX_KEY = SecretStr("sandbox-team-of-this-process")


def compose(settings: Settings, telemetry: Telemetry | None = None) -> Service:
    """The service of these settings, and logs onto stderr with its secrets masked.

    Raises:
        SettingsError: a credential profile that is not whole.
    """
    process = Process(settings, audit_of(settings), sealer_of(settings), seen_by_span(telemetry))
    connect = partial(open_upstream, through=seen_through(telemetry))
    service = make_service(settings, load_profiles(settings), connect, process=process)
    log_to_stderr(settings.log_level, service.team.vault)
    return service


def seen_by_span(telemetry: Telemetry | None) -> Callable[[Called], None]:
    """Who called and how it ended is told to the span of the request, where there is one."""
    if telemetry is None:
        return lambda called: None
    from paperspace_storage_server.calls.traced import tell_span

    return tell_span


def seen_through(telemetry: Telemetry | None) -> Through:
    """Each request to the API gets its span and its duration, where there is somebody to tell."""

    def through(transport: Transport, base_url: str) -> Transport:
        if telemetry is None:
            return transport
        from paperspace_storage_server.process.traced import Traced

        return Traced(transport, base_url, telemetry.tracer, telemetry.meter)

    return through


def surfaces(settings: Settings, service: Service, mcp: ASGIApp, telemetry: Telemetry | None = None) -> ASGIApp:
    """What is served over HTTP: MCP, REST below /v1, or both.

    Raises:
        SettingsError: the file of the REST surface's token cannot be written.
    """
    if "rest" not in settings.surfaces:
        return mcp
    from starlette.applications import Starlette

    from paperspace_storage_server.process.paths import below
    from paperspace_storage_server.rest.app import Requester, rest_app
    from paperspace_storage_server.rest.hosts import KnownHosts, on_loopback
    from paperspace_storage_server.rest.operations import PREFIX
    from paperspace_storage_server.rest.token import NeedsToken, make_token

    file = settings.rest_token_file or home() / "rest-token"
    try:
        token = make_token(file)
    except OSError as error:
        raise SettingsError(
            f"PAPERSPACE_MCP_REST_TOKEN_FILE (--rest-token-file): {file} cannot be written ({error.strerror}); name "
            "another"
        ) from None
    service.team.vault.keep(token)
    print(f"The bearer token of {PREFIX} is in {file}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever started it
    known = on_loopback(settings.host)
    rest: ASGIApp = KnownHosts(
        NeedsToken(rest_app(lambda scope: Requester(service), telemetry=telemetry), token), known
    )
    if settings.cors_origins:
        from starlette.middleware.cors import CORSMiddleware

        rest = CORSMiddleware(
            rest, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]
        )
    return below(PREFIX, rest, otherwise=mcp if "mcp" in settings.surfaces else Starlette())


def make_service(
    settings: Settings,
    profiles: Profiles,
    open_upstream: Callable[[Settings], Upstream],
    *,
    clock: Clock = time.monotonic,
    process: Process | None = None,
    questions: Questions | None = None,
    name: str | None = None,
    counted_as: str | None = None,
    closed: Callable[[], Failure] | None = None,
) -> Service:
    """A service whose vault knows the operator's secrets from the start. `clock` times its open questions.

    Of several teams each has a `name`, the rest of the process in common, and questions of its own; `counted_as` is
    whose deletions are counted together, where that is not the name. `closed` is why no call can be made.
    """
    if counted_as is None:
        counted_as = "this user" if name is None else f"team {name}"
    vault = Vault()
    for secret in (settings.api_key, *profiles.secrets):
        if secret is not None:
            vault.keep(secret)
    process = process or Process(settings, audit_of(settings), sealer_of(settings))
    upstream, limit = open_upstream(settings), settings.max_destructive
    team = Team(
        vault=vault,
        hygiene=Hygiene(vault),
        profiles=profiles,
        protection=Protection(settings.protect),
        upstream=upstream,
        questions=questions or QuestionsHere(clock),
        allowance=Allowance(
            upstream.store,
            counted_as,
            limit.count if limit else None,
            limit.seconds if limit else 0,
        ),
        name=name,
        closed=closed,
    )
    return Service(process, team)


def audit_of(settings: Settings) -> AuditFile | None:
    """The audit file of these settings, if any."""
    to = standard_error() if settings.audit_file == "stderr" else settings.audit_file
    return AuditFile(to) if to else None


def sealer_of(settings: Settings) -> Callable[[], Sealer]:
    """The keys are the settings', else one in a file beside mcp.toml; a sandbox in this process ends with it."""

    @cache
    def sealer() -> Sealer:
        from paperspace_storage_server.state.seal import Sealer, keys_of, local_keys

        if settings.state_keys:
            return Sealer(keys_of([key.get_secret_value() for key in settings.state_keys]))
        if settings.sandbox:
            return Sealer([os.urandom(32)])
        return Sealer(local_keys(home() / "mcp-state.key", logger.warning))

    return sealer


def open_upstream(settings: Settings, *, through: Through = lambda transport, base_url: transport) -> Upstream:
    """To the API that the settings name, or to a sandbox in this process, which speaks production's dialect
    unless told otherwise."""
    policy = RetryPolicy(settings.max_attempts)
    agent = f"paperspace-storage-mcp/{__version__}"
    if settings.sandbox:
        dialect: Dialect = "published" if settings.dialect == "published" else "live"

        def open_sandbox() -> Transport:
            from paperspace_storage_server.http.in_process import ThroughHttpx
            from paperspace_storage_server.sandbox.app import create_app

            return through(ThroughHttpx.to(create_app(dialect)), SANDBOX_URL)

        return Upstream(Http(SANDBOX_URL, SANDBOX_KEY, open_sandbox, policy=policy, user_agent=agent), dialect)

    def open_api() -> Transport:
        from paperspace_storage_server.http.pool import Pool

        return through(Pool(settings.api_url), settings.api_url)

    http = Http(settings.api_url, settings.api_key, open_api, policy=policy, user_agent=agent)
    store = LocalStore(home() / "mcp-state.sqlite", logger.warning)
    return Upstream(http, settings.dialect, store=store, team=team_of(settings))


def team_of(settings: Settings) -> str:
    """What tells the key's team from all others in a store, for whoever does not know the key."""
    return hashlib.sha256(f"{settings.api_url}\n{_opened(settings.api_key)}".encode()).hexdigest()


def _opened(key: SecretStr | None) -> str:
    return key.get_secret_value() if key else ""
