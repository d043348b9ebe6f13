"""The command line, nothing else. What a command needs is imported where it runs: `serve` must start fast."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from paperspace_storage_server import __version__

if TYPE_CHECKING:
    from paperspace_storage_server.calls.service import Service

COMMANDS = ("serve", "demo", "sandbox", "tools")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage: one line, exit 2."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; the exit code is 0 for done, 2 for wrong usage or settings, 1 for anything else."""
    # Importing makes hundreds of thousands of objects that all stay: the collector finds nothing in them, and takes a
    # tenth of the start for it. It is back on, without them, before anything is served (`_run`).
    gc.disable()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, "serve")
    options = vars(_parser().parse_args(given))
    command = options.pop("command")
    try:
        code = {"serve": _serve, "demo": _demo, "sandbox": _sandbox, "tools": _tools}[command](options)
    except KeyboardInterrupt:
        code = 1
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="paperspace-storage-mcp",
        description="MCP server for the Paperspace Storage API. Without a command it serves over stdio.",
        epilog="Try it without a key: paperspace-storage-mcp demo",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="serve MCP (the default)", formatter_class=_Help)
    add = serve.add_argument
    add("--transport", metavar="KIND", help="stdio (default), streamable-http or sse [PAPERSPACE_MCP_TRANSPORT]")
    add("--host", help="loopback address to bind for the HTTP transports, default 127.0.0.1 [PAPERSPACE_MCP_HOST]")
    add("--port", help="port for the HTTP transports, default 8000 [PAPERSPACE_MCP_PORT]")
    _switch(serve, "--sandbox", "use the embedded sandbox: no key, no network [PAPERSPACE_MCP_SANDBOX]")
    add("--api-url", metavar="URL", help="the API's base, default https://api.paperspace.com/v1 [PAPERSPACE_API_URL]")
    add("--dialect", help="auto (default), published or live [PAPERSPACE_MCP_DIALECT]")
    _selection(serve)
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
    serve.epilog = (
        "The API key comes from PAPERSPACE_API_KEY (or PAPERSPACE_API_TOKEN), else from `pspace login`. "
        "Every setting can stand in ~/.paperspace/mcp.toml, except credential profiles: "
        "PAPERSPACE_MCP_CREDENTIAL_<PROFILE>_ACCESS_KEY and ..._SECRET_KEY (and ..._ENDPOINT, ..._BUCKET)."
    )

    commands.add_parser("demo", help="the main job on the sandbox, through a real MCP client")

    sandbox = commands.add_parser("sandbox", help="the emulated API alone, over HTTP", formatter_class=_Help)
    sandbox.add_argument("--port", type=int, default=8099, help="port on 127.0.0.1, default 8099 (no variable)")
    sandbox.add_argument("--dialect", choices=("published", "live"), default="live", help="default live (no variable)")
    sandbox.add_argument("--db", type=Path, metavar="FILE", help="keep the state in FILE (no variable)")

    tools = commands.add_parser("tools", help="the catalogue and what it costs", formatter_class=_Help)
    tools.add_argument("--json", action="store_true", help="the whole tools/list answer (no variable)")
    _selection(tools)
    return parser


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)


def _switch(parser: argparse.ArgumentParser, flag: str, help: str) -> None:
    """On, or not said: there is no flag that lifts a read-only which the environment asks for."""
    parser.add_argument(flag, action="store_true", default=None, help=help)


def _selection(parser: argparse.ArgumentParser) -> None:
    """What decides which tools exist, and with which arguments."""
    add = parser.add_argument
    _switch(parser, "--read-only", "only the reading tools exist [PAPERSPACE_MCP_READ_ONLY]")
    add("--toolsets", metavar="NAMES", help="shared-drives,snapshots,... default all [PAPERSPACE_MCP_TOOLSETS]")
    add("--tools", metavar="NAMES", help="tools to keep [PAPERSPACE_MCP_TOOLS]")
    add("--exclude-tools", metavar="NAMES", help="tools to drop [PAPERSPACE_MCP_EXCLUDE_TOOLS]")
    add("--secret-arguments", metavar="HOW", help="allow (default) or deny [PAPERSPACE_MCP_SECRET_ARGUMENTS]")


def _serve(options: dict[str, Any]) -> int:
    from paperspace_storage_server.settings import SettingsError, load_settings

    try:
        settings = load_settings(options)
        if settings.transport == "stdio":
            from paperspace_storage_server.process.life import die_by_signal, die_with_host

            die_by_signal()
            die_with_host()
        from paperspace_storage_server.compose import compose
        from paperspace_storage_server.mcp.server import build_server

        service = compose(settings)
    except SettingsError as error:
        return _wrong(str(error))
    server = build_server(service)
    if settings.transport == "stdio":
        if sys.stdin.isatty():
            print("Waiting for an MCP host on stdin. To try it out: paperspace-storage-mcp demo", file=sys.stderr)
        from paperspace_storage_server.mcp.stdio import serve_stdio

        _run(_closing(serve_stdio(server), service))
        return 0
    from paperspace_storage_server.mcp import web
    from paperspace_storage_server.process.listen import serve_app

    http = settings.transport == "streamable-http"
    app = web.streamable_http_app(server) if http else web.sse_app(server)
    path = "/mcp" if http else "/sse"
    try:
        what = f"MCP ({settings.transport}, {path})"
        _run(_closing(serve_app(app, settings.host, settings.port, what=what), service))
    except OSError as error:
        return _wrong(f"PAPERSPACE_MCP_PORT (--port): cannot listen there ({error.strerror}); choose another")
    return 0


async def _closing(work: Coroutine[Any, Any, None], service: Service) -> None:
    try:
        await work
    finally:
        await service.aclose()


def _demo(options: dict[str, Any]) -> int:
    from paperspace_storage_server.demo import DemoFailed, run_demo

    try:
        _run(run_demo(lambda line: print(line, flush=True)))
    except DemoFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    print("All steps did what they should.")
    return 0


def _sandbox(options: dict[str, Any]) -> int:
    from paperspace_storage_server.process.listen import serve_app
    from paperspace_storage_server.sandbox import SandboxError, create_app

    try:
        app = create_app(options["dialect"], db=options["db"])
        _run(serve_app(app, "127.0.0.1", options["port"], what=f"Sandbox ({options['dialect']}, /v1, any key)"))
    except SandboxError as error:
        return _wrong(f"--db: {error}")
    except OSError as error:
        return _wrong(f"--port: cannot listen there ({error.strerror}); choose another")
    return 0


def _tools(options: dict[str, Any]) -> int:
    from paperspace_storage_server.catalogue_report import print_catalogue
    from paperspace_storage_server.settings import SettingsError, load_settings

    as_json = options.pop("json")
    try:
        settings = load_settings(options)
    except SettingsError as error:
        return _wrong(str(error))
    print_catalogue(settings, as_json=as_json)
    return 0


def _run(work: Coroutine[Any, Any, None]) -> None:
    """On uvloop where the extra `speed` is installed, else on asyncio's own loop."""
    gc.freeze()
    gc.enable()
    try:
        import uvloop  # pyright: ignore[reportMissingImports, reportMissingModuleSource]  # an optional extra
    except ImportError:
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            runner.run(work)


def _wrong(line: str) -> int:
    print(f"paperspace-storage-mcp: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
