"""The parts that a hosted server is put together from: files, store, metrics. Knows no surface and no gate."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from paperspace_storage_server.calls.call import Called
from paperspace_storage_server.compose import seen_by_span, seen_through
from paperspace_storage_server.guard.profiles import Profiles
from paperspace_storage_server.hosted import static_tokens, teams
from paperspace_storage_server.hosted.identity import NotReady
from paperspace_storage_server.hosted.issuer import Issuer
from paperspace_storage_server.hosted.policies import NothingLeft, narrowed
from paperspace_storage_server.hosted.teams import Teams
from paperspace_storage_server.hosted.watched import Unreadable, WatchedFile
from paperspace_storage_server.http.transport import Through
from paperspace_storage_server.settings import Settings, SettingsError, described, home
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.state.local import LocalStore
from paperspace_storage_server.state.store import Store

if TYPE_CHECKING:
    from paperspace_storage_server.hosted.metrics import Metrics
    from paperspace_storage_server.process.telemetry import Telemetry

T = TypeVar("T")
logger = logging.getLogger(__name__)
calls_log = logging.getLogger("paperspace_storage_server.calls")


def store(settings: Settings) -> Store:
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


def metrics(settings: Settings) -> Metrics | None:
    if settings.metrics_port is None:
        return None
    try:
        from paperspace_storage_server.hosted.metrics import Metrics
    except ImportError:
        name = described()["metrics_port"].name
        raise SettingsError(f"{name}: needs the extra: pip install 'paperspace-storage-mcp[hosted]'") from None
    return Metrics()


def seen_by(metrics: Metrics | None, telemetry: Telemetry | None) -> Callable[[Called], None]:
    tell_span = seen_by_span(telemetry)

    def seen(called: Called) -> None:
        if metrics is not None:
            metrics.called(called)
        tell_span(called)
        if calls_log.isEnabledFor(logging.INFO):
            told = {
                "requestId": called.request_id,
                "principal": called.principal,
                "team": called.team,
                "tool": called.tool,
                "outcome": called.outcome,
                "seconds": round(called.seconds, 4),
            }
            calls_log.info("%s: %s", called.tool, told["outcome"], extra={"fields": told})

    return seen


def through(metrics: Metrics | None, telemetry: Telemetry | None) -> Through:
    """What each team's requests to the API are seen through."""
    traced = seen_through(telemetry)
    if metrics is None:
        return traced
    return lambda transport, base_url: traced(metrics.through(transport, base_url), base_url)


def team_file(settings: Settings, profiles: Profiles) -> WatchedFile[Teams[Policy]] | None:
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


def token_file(settings: Settings) -> WatchedFile[static_tokens.ByHash] | None:
    if settings.tokens_file is None:
        return None
    return _loaded(WatchedFile(settings.tokens_file, static_tokens.parse), "tokens_file")


def _loaded(file: WatchedFile[T], setting: str) -> WatchedFile[T]:
    try:
        file.load()
    except Unreadable as error:
        raise SettingsError(f"{described()[setting].name}: {error.why}") from None
    return file


def away(
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
