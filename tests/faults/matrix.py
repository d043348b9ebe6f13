"""Fault x operation x dialect: what the API saw, what is there afterwards, and what the caller reads."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from paperspace_storage_server.api.upstream import DIALECTS
from paperspace_storage_server.wire.messages import Dialect
from support.fault_proxy import FAULTS, SLOW, Fault, Rule
from support.faulted import Bed, faulted

Act = Literal["create", "read", "update", "delete", "restore"]
Often = Literal["once", "always"]
ACTS: tuple[Act, ...] = ("create", "read", "update", "delete", "restore")
METHODS: dict[Act, str] = {"create": "POST", "read": "GET", "update": "PUT", "delete": "DELETE", "restore": "POST"}
_AT_ONCE = 6  # cases
_HEAD = (
    "| fault | hits | dialect | requests | effect there | what the caller reads |\n"
    "| --- | --- | --- | --- | --- | --- |"
)
SHORT = 2.0  # seconds: the budget of a case that ends by a time limit


@dataclass(frozen=True, slots=True)
class Row:
    """One case. `requests` counts by method; `done` says whether the operation's effect is there afterwards."""

    fault: str
    acted: bool
    often: Often
    act: Act
    dialect: Dialect
    requests: dict[str, int]
    main: int
    committed: int
    ok: bool
    done: bool
    made: int
    text: str


async def rows(faults: Sequence[Fault] = FAULTS, often: Sequence[Often] = ("once", "always")) -> list[Row]:
    """All cases, a few at a time; each has a server and a sandbox of its own."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(fault: Fault, how: Often, act: Act, dialect: Dialect) -> Row:
        async with gate:
            return await row(fault, how, act, dialect)

    return await asyncio.gather(
        *(one(fault, how, act, dialect) for act in ACTS for fault in faults for how in often for dialect in DIALECTS)
    )


async def row(fault: Fault, often: Often, act: Act, dialect: Dialect) -> Row:
    async with faulted(dialect, budget=SHORT if fault.name in SLOW else 50.0) as bed:
        drive = next(one for one in await bed.items("/shared-drives") if one["name"] == "team-home")
        snapshot = next(one for one in await bed.items("/snapshots") if one["name"] == "Before kernel upgrade")
        before = len(await bed.items("/shared-drives"))
        id = str(snapshot["id"] if act == "restore" else drive["id"])
        path = {"create": "/shared-drives$", "restore": "/restore$"}.get(act, f"/{id}$")
        bed.proxy.rules = (Rule(fault, METHODS[act], path, frozenset({1}) if often == "once" else None),)
        ok, text = await _call(bed, act, id, drive)
        seen, committed = list(bed.proxy.requests), list(bed.proxy.committed)
        drives = {str(one["id"]): one for one in await bed.items("/shared-drives")}
        main = [one for one in seen if one.method == METHODS[act] and re.search(path, one.target)]
        acted = [one for one in committed if one.method == METHODS[act] and re.search(path, one.target)]
        done = {
            "create": any(one["name"] == "fresh" for one in drives.values()),
            "read": True,
            "update": drives.get(id, {}).get("name") == "renamed",
            "delete": id not in drives,
            "restore": bool(acted),
        }[act]
        text = text.replace(id, "<id>")
        for one in drives:
            text = text.replace(one, "<new id>")
        return Row(
            fault=fault.name,
            acted=bool(fault.commit),
            often=often,
            act=act,
            dialect=dialect,
            requests=dict(sorted(Counter(one.method for one in seen).items())),
            main=len(main),
            committed=len(acted),
            ok=ok,
            done=done,
            made=len(drives) - before,
            text=text,
        )


async def _call(bed: Bed, act: Act, id: str, drive: dict[str, object]) -> tuple[bool, str]:
    if act == "create":
        network = drive["privateNetworkId" if bed.dialect == "published" else "networkId"]
        return await bed.call(
            "create_shared_drive", name="fresh", size=10, region=drive["region"], privateNetworkId=network
        )
    if act == "update":
        return await bed.call("update_shared_drive", id=id, name="renamed")
    if act == "restore":
        return await bed.call("restore_snapshot", id=id, createSnapshotBeforeRestore=False)
    return await bed.call("delete_shared_drive" if act == "delete" else "get_shared_drive", id=id)


def table(found: Sequence[Row]) -> str:
    """The matrix as Markdown, a table an operation; dialects that behave alike share a line."""
    parts: list[str] = []
    for act in ACTS:
        parts.append(f"\n## {act}\n\n{_HEAD}")
        merged: dict[tuple[str, Often], dict[str, list[str]]] = {}
        for one in found:
            if one.act == act:
                line = f"{_counted(one.requests)} | {_effect(one)} | {_reads(one)} |"
                merged.setdefault((one.fault, one.often), {}).setdefault(line, []).append(one.dialect)
        for (fault, often), lines in merged.items():
            for line, dialects in lines.items():
                spoken = "both" if len(dialects) == len(DIALECTS) else dialects[0]
                parts.append(f"| {fault} | {often} | {spoken} | {line}")
    return "\n".join(parts) + "\n"


def _counted(requests: dict[str, int]) -> str:
    return ", ".join(f"{count} {method}" for method, count in requests.items())


def _effect(one: Row) -> str:
    return "" if one.act == "read" else "yes" if one.done else "no"


def _reads(one: Row) -> str:
    if one.ok:
        notice = re.search(r'"notice":"([^"]*)"', one.text)
        return f"success{': ' + notice[1] if notice else ''}"
    text = re.sub(r"within [\d.]+ s", "within N s", one.text)
    return "**error**: " + text.replace("|", "\\|")


_INTRODUCTION = """\
# Every fault on every operation, in both dialects

Observed, not written: a real client calls the server, before a proxy that spoils the exchange, before the sandbox.
`docs/failures.md` says what it means.

    .venv/bin/python bench/faults.py --matrix > tests/faults/matrix.md    # about half a minute

`once` spoils the first request of the operation, `always` each of them; `acted` means that the sandbox did what was
asked before its answer was spoilt. GETs of a create are the look at what is there before, and the looks for what may be
new; a delete and a restore look first at what they would destroy. Pauses are not slept.
"""


def page(found: Sequence[Row]) -> str:
    """matrix.md, beside this module."""
    return _INTRODUCTION + table(found)
