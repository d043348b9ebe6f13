"""The command `serve`: settings into a server, on the transport they name."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings, SettingsError, described

if TYPE_CHECKING:
    from paperspace_storage_server.calls.service import Service


def add(parser: ArgumentParser) -> None:
    add_settings(parser, "api", "selection", "guard", "serving", "logs", "hosting")


def run(options: Namespace) -> int:
    settings = settings_of(options)
    _refuse_what_is_not_served_yet(settings)
    if settings.transport == "stdio":
        from paperspace_storage_server.process.life import die_by_signal, die_with_host

        die_by_signal()
        die_with_host()
    from paperspace_storage_server.compose import compose, surfaces
    from paperspace_storage_server.mcp.server import build_server
    from paperspace_storage_server.process.loop import run_on_loop

    service = compose(settings)
    server = build_server(service)
    if settings.transport == "stdio":
        if sys.stdin.isatty():
            print("Waiting for an MCP host on stdin. To try it out: paperspace-storage-mcp demo", file=sys.stderr)
        from paperspace_storage_server.mcp.stdio import serve_stdio

        run_on_loop(_closing(serve_stdio(server), service))
        return 0
    from paperspace_storage_server.mcp import web
    from paperspace_storage_server.process.listen import serve_app

    http = settings.transport == "streamable-http"
    app = surfaces(settings, service, (web.streamable_http_app if http else web.sse_app)(server, settings.host))
    served = [f"MCP ({settings.transport}, {'/mcp' if http else '/sse'})"] if "mcp" in settings.surfaces else []
    served += ["REST (/v1)"] if "rest" in settings.surfaces else []
    try:
        what = " and ".join(served)
        run_on_loop(_closing(serve_app(app, settings.host, settings.port, what=what), service))
    except OSError as error:
        raise SettingsError(
            f"PAPERSPACE_MCP_PORT (--port): cannot listen there ({error.strerror}); choose another"
        ) from None
    return 0


async def _closing(work: Coroutine[Any, Any, None], service: Service) -> None:
    try:
        await work
    finally:
        await service.aclose()


def _refuse_what_is_not_served_yet(settings: Settings) -> None:
    """A setting that nothing obeys must not look as if it did: above all no authentication."""
    given = [one for one in described().values() if one.group == "hosting" and settings.origin(one.field)]
    if "rest" in settings.surfaces:
        given = [one for one in given if one.field != "cors_origins"]
    if given:
        raise SettingsError(f"{given[0].name}: this version does not serve it yet; leave it out")
