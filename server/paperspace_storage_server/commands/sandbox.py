"""The command `sandbox`: the emulated API alone, over HTTP."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8099, help="port on 127.0.0.1, default 8099 (no variable)")
    parser.add_argument("--dialect", choices=("published", "live"), default="live", help="default live (no variable)")
    parser.add_argument("--db", type=Path, metavar="FILE", help="keep the state in FILE (no variable)")
    parser.add_argument(
        "--large", action="store_true", help="a new key finds 2,000 snapshots and 150 drives (no variable)"
    )


def run(options: Namespace) -> int:
    from paperspace_storage_server.process.listen import serve_app
    from paperspace_storage_server.process.loop import run_on_loop
    from paperspace_storage_server.sandbox import SandboxError, create_app
    from paperspace_storage_server.settings import SettingsError

    try:
        app = create_app(options.dialect, db=options.db, large=options.large)
        run_on_loop(serve_app(app, "127.0.0.1", options.port, what=f"Sandbox ({options.dialect}, /v1, any key)"))
    except SandboxError as error:
        raise SettingsError(f"--db: {error}") from None
    except OSError as error:
        raise SettingsError(f"--port: cannot listen there ({error.strerror}); choose another") from None
    return 0
