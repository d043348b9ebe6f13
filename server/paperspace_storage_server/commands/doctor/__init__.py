"""The command `doctor`: what stands between this machine and a working server, each point with its mend."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from paperspace_storage_server.commands.doctor.points import Point
from paperspace_storage_server.commands.flags import add_settings, settings_of
from paperspace_storage_server.settings import Settings, SettingsError


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
    from paperspace_storage_server.process.loop import run_on_loop

    try:
        settings = settings_of(options)
    except SettingsError as error:
        _print([Point("settings", False, str(error), "Correct it, then run this again.")], as_json=options.json)
        return 2
    if options.api and settings.sandbox:
        raise SettingsError("--api: the embedded sandbox stands in this process; leave out one of both")
    points = run_on_loop(_points(settings, api=options.api))
    _print(points, as_json=options.json)
    return 0 if all(point.ok for point in points) else 1


async def _points(settings: Settings, *, api: bool) -> list[Point]:
    from paperspace_storage_server.commands.doctor.points import description, points_here, points_of_api

    points = [*points_here(settings), *await points_of_api(settings)]
    return [*points, *await description(settings)] if api else points


def _print(points: list[Point], *, as_json: bool) -> None:
    ok = all(point.ok for point in points)
    if as_json:
        print(json.dumps({"ok": ok, "points": [asdict(point) for point in points], "hosts": []}, ensure_ascii=False))
        return
    width = max(len(point.point) for point in points)
    for point in points:
        print(f"{'ok  ' if point.ok else 'FAIL'}  {point.point:<{width}}  {point.found}")
        if point.mend is not None:
            print(f"      {'':<{width}}  -> {point.mend}")
    print("It would work." if ok else "It would not work yet.")
