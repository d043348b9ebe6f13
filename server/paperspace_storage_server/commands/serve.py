"""The command `serve`: settings into a server, on the transport they name."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings, SettingsError, described

if TYPE_CHECKING:
    from paperspace_storage_server.calls.service import Service
    from paperspace_storage_server.process.listen import Tls
    from paperspace_storage_server.process.telemetry import Telemetry

_LAST_BATCH = 0.6
"""Seconds that the end of a server on one's own machine waits for spans that are still to be sent: 2 s are promised."""
_LAST_BATCH_HOSTED = 2.0


def add(parser: ArgumentParser) -> None:
    add_settings(parser, "api", "selection", "guard", "serving", "logs", "hosting")


def run(options: Namespace) -> int:
    settings = settings_of(options)
    hosted = settings.authenticates and settings.transport == "streamable-http"
    if not hosted:
        _refuse_what_needs_authentication(settings)
    asked = any(name.startswith("OTEL_") for name in os.environ)
    telemetry: Telemetry | None = None

    def send_the_rest() -> None:
        if telemetry is not None:
            telemetry.end(_LAST_BATCH_HOSTED if hosted else _LAST_BATCH)

    if settings.transport == "stdio":
        from paperspace_storage_server.process.life import die_by_signal, die_with_host

        die_by_signal(send_the_rest if asked else None)
        die_with_host()
    if asked:
        telemetry = _telemetry(settings)
    try:
        return (serve_hosted if hosted else _serve)(settings, telemetry)
    finally:
        send_the_rest()


def _serve(settings: Settings, telemetry: Telemetry | None = None) -> int:
    from paperspace_storage_server.compose import compose, surfaces
    from paperspace_storage_server.mcp.server import build_server
    from paperspace_storage_server.process.loop import run_on_loop

    service = compose(settings, telemetry)
    server = build_server(service, telemetry)
    if settings.transport == "stdio":
        if sys.stdin.isatty():
            print("Waiting for an MCP host on stdin. To try it out: paperspace-storage-mcp demo", file=sys.stderr)
        from paperspace_storage_server.mcp.stdio import serve_stdio

        run_on_loop(_closing(serve_stdio(server), service))
        return 0
    from paperspace_storage_server.mcp import web
    from paperspace_storage_server.process.listen import serve_app

    http = settings.transport == "streamable-http"
    app = surfaces(
        settings, service, (web.streamable_http_app if http else web.sse_app)(server, settings.host), telemetry
    )
    what = _served(settings, "/mcp" if http else "/sse")
    try:
        run_on_loop(_closing(serve_app(app, settings.host, settings.port, what=what), service))
    except OSError as error:
        raise SettingsError(
            f"PAPERSPACE_MCP_PORT (--port): cannot listen there ({error.strerror}); choose another"
        ) from None
    return 0


def _telemetry(settings: Settings) -> Telemetry | None:
    """Raises `SettingsError`."""
    from paperspace_storage_server import __version__
    from paperspace_storage_server.guard.secrets import Vault
    from paperspace_storage_server.process.logs import log_to_stderr
    from paperspace_storage_server.process.telemetry import WrongTelemetry, begin

    log_to_stderr(settings.log_level, Vault(), settings.log_format)
    try:
        return begin(os.environ, __version__)
    except WrongTelemetry as error:
        raise SettingsError(str(error)) from None


def _served(settings: Settings, path: str) -> str:
    served = [f"MCP ({settings.transport}, {path})"] if "mcp" in settings.surfaces else []
    return " and ".join([*served, *(["REST (/v1)"] if "rest" in settings.surfaces else [])])


async def _closing(work: Coroutine[Any, Any, None], service: Service) -> None:
    try:
        await work
    finally:
        await service.aclose()


def serve_hosted(settings: Settings, telemetry: Telemetry | None = None) -> int:
    """Serve people who show a token. Raises `SettingsError`."""
    from paperspace_storage_server import hosting
    from paperspace_storage_server.mcp.web import path_of
    from paperspace_storage_server.process.listen import serve_app
    from paperspace_storage_server.process.loop import run_on_loop

    hosted = hosting.host(settings, telemetry)
    tls = _tls(settings)
    if hosted.metrics is not None and settings.metrics_port is not None:
        try:
            port = hosted.metrics.serve(settings.metrics_host, settings.metrics_port)
        except OSError as error:
            raise SettingsError(
                f"{described()['metrics_port'].name}: cannot listen there ({error.strerror}); choose another"
            ) from None
        print(f"Metrics on http://{settings.metrics_host}:{port}/metrics", file=sys.stderr, flush=True)
    try:
        run_on_loop(
            hosting.serve(
                hosted,
                lambda: serve_app(
                    hosted.app,
                    settings.host,
                    settings.port,
                    what=_served(settings, path_of(settings.public_url)),
                    ending=hosted.ending,
                    tls=tls,
                    proxies=settings.trusted_proxies,
                ),
            )
        )
    except OSError as error:
        raise SettingsError(
            f"PAPERSPACE_MCP_PORT (--port): cannot listen there ({error.strerror}); choose another"
        ) from None
    return 0


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    import ssl

    from paperspace_storage_server.process.listen import Tls

    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # of the files, or of what is in them
        why = error.strerror or error.args[0]
        raise SettingsError(
            f"{described()['tls_cert'].name}: no certificate with its key can be read from the two files ({why})"
        ) from None
    return Tls(settings.tls_cert, settings.tls_key)


def _refuse_what_needs_authentication(settings: Settings) -> None:
    """A setting that nothing obeys must not look as if it did."""
    given = [one for one in described().values() if one.group == "hosting" and settings.origin(one.field)]
    if "rest" in settings.surfaces:
        given = [one for one in given if one.field != "cors_origins"]
    if given:
        raise SettingsError(
            f"{given[0].name}: counts only where people show a token, with --transport streamable-http and "
            "PAPERSPACE_MCP_AUTH_ISSUER or PAPERSPACE_MCP_TOKENS_FILE; leave it out"
        )
