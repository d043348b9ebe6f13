"""The command `serve`: settings into a server, on the transport they name."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from paperspace_storage_server.commands.flags import add_selection, add_switch, settings_of

if TYPE_CHECKING:
    from paperspace_storage_server.calls.service import Service


def add(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--transport", metavar="KIND", help="stdio (default), streamable-http or sse [PAPERSPACE_MCP_TRANSPORT]")
    add("--host", help="loopback address to bind for the HTTP transports, default 127.0.0.1 [PAPERSPACE_MCP_HOST]")
    add("--port", help="port for the HTTP transports, default 8000 [PAPERSPACE_MCP_PORT]")
    add_switch(parser, "--sandbox", "use the embedded sandbox: no key, no network [PAPERSPACE_MCP_SANDBOX]")
    add("--api-url", metavar="URL", help="the API's base, default https://api.paperspace.com/v1 [PAPERSPACE_API_URL]")
    add("--dialect", help="auto (default), published or live [PAPERSPACE_MCP_DIALECT]")
    add_selection(parser)
    add("--confirm", help="before a delete or restore: auto (default) or never [PAPERSPACE_MCP_CONFIRM]")
    add("--protect", metavar="GLOBS", help="names and ids nothing may destroy or replace [PAPERSPACE_MCP_PROTECT]")
    add(
        "--aws-profiles",
        metavar="NAMES",
        help="profiles of ~/.aws/credentials that may be used, or * [PAPERSPACE_MCP_AWS_PROFILES]",
    )
    add("--call-timeout", metavar="SECONDS", help="budget of one call, default 50 [PAPERSPACE_MCP_CALL_TIMEOUT]")
    add("--max-attempts", metavar="N", help="tries of one API request, default 4 [PAPERSPACE_MCP_MAX_ATTEMPTS]")
    add("--audit-file", metavar="FILE", help="one JSON line per write [PAPERSPACE_MCP_AUDIT_FILE]")
    add("--log-level", metavar="LEVEL", help="debug to critical, default warning [PAPERSPACE_MCP_LOG_LEVEL]")
    parser.epilog = (
        "The API key comes from PAPERSPACE_API_KEY (or PAPERSPACE_API_TOKEN), else from `pspace login`. "
        "Every setting can stand in ~/.paperspace/mcp.toml, except credential profiles: "
        "PAPERSPACE_MCP_CREDENTIAL_<PROFILE>_ACCESS_KEY and ..._SECRET_KEY (and ..._ENDPOINT, ..._BUCKET)."
    )


def run(options: Namespace) -> int:
    from paperspace_storage_server.settings import SettingsError

    settings = settings_of(options)
    if settings.transport == "stdio":
        from paperspace_storage_server.process.life import die_by_signal, die_with_host

        die_by_signal()
        die_with_host()
    from paperspace_storage_server.compose import compose
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
    app = web.streamable_http_app(server) if http else web.sse_app(server)
    path = "/mcp" if http else "/sse"
    try:
        what = f"MCP ({settings.transport}, {path})"
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
