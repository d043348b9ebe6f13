"""The command `doctor`: what stands between this machine and a working server, each point with its mend."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from paperspace_storage_server.commands.doctor.points import Point
from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings, SettingsError
from paperspace_storage_tools.text import clean

if TYPE_CHECKING:
    from paperspace_storage_server.commands.hosts import Configured, Unreadable


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a program: {ok, points, hosts} (no variable)")
    parser.add_argument(
        "--api",
        action="store_true",
        help="compare the API's own openapi.json with what this server sends and reads (no variable)",
    )
    add_settings(parser, "api", "selection", "guard", "serving", "logs", "hosting")
    parser.epilog = (
        "It asks the API one harmless question, and starts nothing but this installation, as a host would. Exit code: "
        f"0 it would work; 1 it would not; 2 wrong settings. {parser.epilog}"
    )


def run(options: Namespace) -> int:
    from paperspace_storage_server.commands.hosts import configured_hosts
    from paperspace_storage_server.process.loop import run_on_loop

    try:
        settings = settings_of(options)
    except SettingsError as error:
        points = [Point("settings", False, str(error), "Correct it, then run this again.")]
        _print(points, [], as_json=options.json)
        return 2
    if options.api and settings.sandbox:
        raise SettingsError("--api: the embedded sandbox stands in this process; leave out one of both")
    points = run_on_loop(_points(settings, api=options.api))
    hosts = configured_hosts(Path.cwd())
    _print(points, hosts, as_json=options.json)
    return 0 if _works(points, hosts) else 1


async def _points(settings: Settings, *, api: bool) -> list[Point]:
    from paperspace_storage_server.commands.doctor.points import description, points_here, points_of_api

    points = [*points_here(settings), *await points_of_api(settings)]
    return [*points, *await description(settings)] if api else points


def _works(points: Sequence[Point], hosts: Sequence[Configured | Unreadable]) -> bool:
    """An entry that starts this installation must answer; of another, and of a file that nobody can read, nothing is
    known."""
    return all(point.ok for point in points) and not any(getattr(host, "answers", None) is False for host in hosts)


def _print(points: Sequence[Point], hosts: Sequence[Configured | Unreadable], *, as_json: bool) -> None:
    ok = _works(points, hosts)
    if as_json:
        listed = [{to_camel(name): value for name, value in asdict(host).items()} for host in hosts]
        print(json.dumps({"ok": ok, "points": [asdict(point) for point in points], "hosts": listed}))
        return
    width = max(len(name) for name in (*(point.point for point in points), *(host.host for host in hosts)))
    for point in points:
        _line("ok" if point.ok else "FAIL", f"{point.point:<{width}}  {point.found}")
        if point.mend is not None:
            _line("", f"{'':<{width}}  -> {point.mend}")
    for host in hosts:
        answers = getattr(host, "answers", None)
        entry = f"{getattr(host, 'entry', 'its entries')} in {host.file}"
        state = "--" if answers is None else "ok" if answers else "FAIL"
        _line(state, f"{host.host:<{width}}  {entry}: {host.trouble or 'it answers'}")
        if answers is False:
            _line("", f"{'':<{width}}  -> Mend that in the entry, or write it anew with `install {host.host}`.")
    if not hosts:
        _line("--", f"{'hosts':<{width}}  none has an entry; `install HOST` writes one")
    print("It would work." if ok else "It would not work yet.")


def _line(state: str, text: str) -> None:
    print(f"{state:<4}  {clean(text)}")
