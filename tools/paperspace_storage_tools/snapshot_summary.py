"""A list of snapshots, however long, as one line a machine: counted here, so that no model counts by hand."""

from __future__ import annotations

from dataclasses import dataclass

from paperspace_storage_tools import cursors
from paperspace_storage_tools.arguments import LARGEST_PAGE
from paperspace_storage_tools.cursors import Place
from paperspace_storage_tools.models import MachineSnapshots, Named, Snapshot, SnapshotList
from paperspace_storage_tools.ports import Call
from paperspace_storage_tools.walk import Fetch, Keep, Walk


@dataclass(slots=True)
class _Tally:
    newest: Snapshot
    oldest: Snapshot
    snapshots: int = 0
    automatic: int | None = None


async def summarise(
    call: Call, fetch: Fetch[Snapshot], *, after: str | None, most: int | None, keep: Keep[Snapshot] | None
) -> SnapshotList:
    """The machines of the snapshots that `keep` keeps, those with the most snapshots first, `most` of them.

    The list must come newest first. Where the budget ends before it, what is counted is the list so far: then there
    is a cursor, and no total.
    """
    walk = Walk(call, fetch, cursors.read(after) if after is not None else Place())
    tallies: dict[str | None, _Tally] = {}
    async for snapshot in walk.items():
        if keep is not None and not keep(snapshot):
            continue
        tally = tallies.setdefault(snapshot.machine_id, _Tally(snapshot, snapshot))
        tally.oldest = snapshot
        tally.snapshots += 1
        if snapshot.is_auto_snapshot is not None:
            tally.automatic = (tally.automatic or 0) + snapshot.is_auto_snapshot
    total = sum(tally.snapshots for tally in tallies.values())
    ranked = sorted(tallies.items(), key=lambda one: -one[1].snapshots)
    most = most or LARGEST_PAGE
    if rest := ranked[most:]:
        left_out = sum(tally.snapshots for _, tally in rest)
        call.notice(f"{len(rest)} more machines with {left_out} snapshots are not shown: raise limit, or filter.")
    if after is not None:
        call.notice("This counts from `after` on, not the whole list.")
    elif walk.rest is not None:
        call.notice("This counts the list so far, not all of it.")
    return SnapshotList(
        machines=[_line(machine, tally) for machine, tally in ranked[:most]],
        has_more=True if walk.rest is not None else None,
        next_page=cursors.write(walk.rest) if walk.rest is not None else None,
        total=total if after is None and walk.rest is None else None,
    )


def _line(machine: str | None, tally: _Tally) -> MachineSnapshots:
    return MachineSnapshots(
        machine_id=machine,
        snapshots=tally.snapshots,
        automatic=tally.automatic,
        newest=Named(id=tally.newest.id, name=tally.newest.name),
        oldest=Named(id=tally.oldest.id, name=tally.oldest.name),
    )
