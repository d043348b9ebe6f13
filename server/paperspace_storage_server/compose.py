"""Putting one server together: settings into a connection, secrets into the vault, logs onto stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from paperspace_storage_server import __version__
from paperspace_storage_server.api.upstream import Connection
from paperspace_storage_server.http.client import Http
from paperspace_storage_server.http.retry import RetryPolicy
from paperspace_storage_server.mcp.server import Service, make_service
from paperspace_storage_server.process.logs import log_to_stderr
from paperspace_storage_server.settings import Settings, load_profiles
from paperspace_storage_server.wire.messages import Dialect

if TYPE_CHECKING:
    import httpx

SANDBOX_URL = "http://sandbox.localhost/v1"
SANDBOX_KEY = SecretStr("sandbox-team-of-this-process")


def open_service(settings: Settings) -> Service:
    """The service of these settings; nothing is sent, and nothing heavy imported, before the first call.

    Raises:
        SettingsError: a credential profile that is not whole.
    """
    service = make_service(settings, load_profiles(settings), open_connection)
    log_to_stderr(settings.log_level, service.guard.vault)
    return service


def open_connection(settings: Settings) -> Connection:
    """To the API that the settings name, or to a sandbox in this process, which speaks production's dialect
    unless told otherwise."""
    policy = RetryPolicy(settings.max_attempts)
    agent = f"paperspace-storage-mcp/{__version__}"
    if settings.sandbox:
        dialect: Dialect = "published" if settings.dialect == "published" else "live"

        def open_sandbox() -> httpx.AsyncClient:
            from paperspace_storage_server.http.pool import open_pool
            from paperspace_storage_server.sandbox.app import create_app

            return open_pool(SANDBOX_URL, create_app(dialect))

        return Connection(Http(SANDBOX_URL, SANDBOX_KEY, open_sandbox, policy=policy, user_agent=agent), dialect)

    def open_api() -> httpx.AsyncClient:
        from paperspace_storage_server.http.pool import open_pool

        return open_pool(settings.api_url)

    http = Http(settings.api_url, settings.api_key, open_api, policy=policy, user_agent=agent)
    return Connection(http, settings.dialect)
