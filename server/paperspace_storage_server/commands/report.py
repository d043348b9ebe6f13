"""The command `report`: what the team stores, as the page that hosts show, with the data in it, or as text."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from paperspace_storage_server.commands.flags import add_settings, settings_of

if TYPE_CHECKING:
    from paperspace_storage_server.calls.service import Service

Seen = dict[str, Any]  # a tool's structured result, as JSON has it

_PARTS: Final = {
    "utilization": "get_storage_utilization",
    "drives": "list_shared_drives",
    "snapshots": "list_snapshots",
}
_KINDS: Final = ("datasets", "models", "notebooks", "sharedStorage")
_MOST_PAGES = 100  # of one list: 12,000 snapshots; beyond, the page says that the list goes on
_SHOWN = 5  # snapshots of one machine in the text; the page has them all
_BAR = 30  # characters


class NoReport(Exception):
    """What could not be read, in the tool's own words."""


def add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="where to write the page (HTML, readable by you alone); without it a text is printed (no variable)",
    )
    add_settings(parser, "api", "selection")


def run(options: Namespace) -> int:
    from paperspace_storage_server.compose import compose
    from paperspace_storage_server.process.files import CannotWrite, put, refuse_links
    from paperspace_storage_server.process.loop import run_on_loop
    from paperspace_storage_tools.page import html_with

    settings = settings_of(options)
    try:
        if options.file is not None:
            refuse_links(options.file)  # before anything is asked of the API
        seen = run_on_loop(_gather_and_close(compose(settings)))
        seen["made"] = f"Seen {datetime.now(UTC):%d %B %Y, %H:%M} UTC" + (
            ", in the sandbox" if settings.sandbox else ""
        )
        if options.file is not None:
            put(options.file, html_with(seen).encode(), mode=0o600)
            return 0
    except (NoReport, CannotWrite) as error:
        print(f"paperspace-storage-mcp: {error}", file=sys.stderr)
        return 1
    encoding = sys.stdout.encoding or "utf-8"  # a console may not have every character of a name
    print("\n".join(text_lines(seen)).encode(encoding, "replace").decode(encoding))
    return 0


async def gather(service: Service) -> Seen:
    """What the tools of this service answer: `utilization`, `drives`, `snapshots`, and `names` of machines by id.

    A part whose tool is not selected is absent.

    Raises:
        NoReport: a tool failed, or none of them is selected.
    """
    seen: Seen = {part: await _whole(service, tool) for part, tool in _PARTS.items() if tool in service.tools}
    if not seen:
        raise NoReport(f"nothing to report on: none of {', '.join(_PARTS.values())} is selected")
    if "list_machines" in service.tools:
        with suppress(NoReport):  # the published dialect has none: their ids are shown instead
            machines: list[Seen] = (await _whole(service, "list_machines"))["items"]
            seen["names"] = {one["id"]: one["name"] for one in machines if one.get("name")}
    return seen


async def _gather_and_close(service: Service) -> Seen:
    try:
        return await gather(service)
    finally:
        await service.aclose()


async def _whole(service: Service, tool: str) -> Seen:
    """The result of one tool; of a list, all pages as one."""
    from paperspace_storage_server.calls.unasked import Unasked
    from paperspace_storage_tools.arguments import LARGEST_PAGE

    pages = "after" in service.tools[tool].arguments.model_fields
    given: Seen = {"limit": LARGEST_PAGE} if pages else {}
    whole: Seen = {}
    for _ in range(_MOST_PAGES):
        outcome = await service.call(service.tools[tool], given, Unasked())
        if outcome.structured is None:
            raise NoReport(outcome.text)
        page: Seen = outcome.structured
        whole = {**page, "items": [*whole.get("items", []), *page["items"]]} if pages else page
        if not page.get("nextPage"):
            break
        given["after"] = page["nextPage"]
    return whole


def text_lines(seen: Seen) -> Iterator[str]:
    """The report for a terminal: plain text, without escape sequences."""
    yield f"Paperspace storage. {seen['made']}"
    if "utilization" in seen:
        yield from _utilization(seen["utilization"])
    if "drives" in seen:
        yield from _drives(seen["drives"])
    if "snapshots" in seen:
        yield from _snapshots(seen["snapshots"], seen.get("names", {}))


def _utilization(seen: Seen) -> Iterator[str]:
    kinds = {kind: seen[kind] for kind in _KINDS if kind in seen}
    total = seen.get("total", sum(kinds.values()))
    plan = f"; {_gb(seen['freeTotal'])} included in the plan" if "freeTotal" in seen else ""
    left = f", {_gb(seen['freeRemaining'])} of it left" if "freeRemaining" in seen else ""
    yield f"\nStored: {_gb(total)}{plan}{left}"
    for kind, size in kinds.items():
        share = size / total if total else 0.0
        yield f"  {kind:<14} {'#' * round(share * _BAR):<{_BAR}} {_gb(size):>12} {share:>7.1%}"


def _drives(seen: Seen) -> Iterator[str]:
    drives = seen["items"]
    provisioned = sum(one.get("size", 0) for one in drives)
    yield f"\nShared drives: {len(drives)}, {provisioned:,} GB provisioned{_goes_on(seen)}"
    for one in drives:
        yield f"  {one.get('size', 0):>7,} GB  {one.get('region', ''):<5} {_called(one)}"


def _snapshots(seen: Seen, names: dict[str, str]) -> Iterator[str]:
    machines: dict[str, list[Seen]] = {}
    for one in seen["items"]:
        machines.setdefault(one.get("machineId", ""), []).append(one)
    order = "" if all("dtCreated" in one for one in seen["items"]) else "; no dates, newest first as listed"
    yield f"\nSnapshots: {len(seen['items'])} of {len(machines)} machines{order}{_goes_on(seen)}"
    for machine, snapshots in machines.items():
        automatic = sum(one.get("isAutoSnapshot") is True for one in snapshots)
        called = f"{names[machine]} ({machine})" if machine in names else machine or "machine not told"
        yield f"  {called}: {len(snapshots)}, {automatic} automatic"
        for one in snapshots[:_SHOWN]:
            how = "automatic" if one.get("isAutoSnapshot") else "by hand  "
            made = f"{one['dtCreated']}  " if "dtCreated" in one else ""
            yield f"    {how}  {made}{_called(one)}"
        if len(snapshots) > _SHOWN:
            yield f"    ... and {len(snapshots) - _SHOWN} older"


def _called(one: Seen) -> str:
    return f"{one.get('name') or '(no name)'} ({one['id']})"


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"


def _goes_on(seen: Seen) -> str:
    return "; the list goes on" if seen.get("nextPage") else ""
