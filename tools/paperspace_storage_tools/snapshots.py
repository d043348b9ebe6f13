"""The six tools for snapshots: a machine's disk at one moment, and going back to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import Annotated

from msgspec.structs import replace as replaced
from pydantic import Field, model_validator

from paperspace_storage_tools.arguments import (
    LARGEST_PAGE,
    Arguments,
    ById,
    Confirm,
    Flag,
    Identifier,
    Name,
    NameFilter,
    Note,
    Order,
    OrderBy,
    Paging,
    Seconds,
)
from paperspace_storage_tools.errors import Failure, OutcomeUnknown, SafetySnapshotKept, Unsupported
from paperspace_storage_tools.globs import matcher
from paperspace_storage_tools.machine_events import follow
from paperspace_storage_tools.models import Deleted, Page, Restored, Snapshot, SnapshotList
from paperspace_storage_tools.ports import (
    AtStake,
    Call,
    NewSnapshot,
    PlaceQuery,
    Schedule,
    SnapshotChange,
    SnapshotQuery,
)
from paperspace_storage_tools.snapshot_summary import summarise
from paperspace_storage_tools.text import in_quotes
from paperspace_storage_tools.tool import Tool
from paperspace_storage_tools.walk import Keep, page_of

_MOST_PAGES = 10  # of later snapshots that a preview reads; beyond, it says "or more"
_MOST_NAMED = 5
_FREQUENCIES = ("hourly", "daily", "weekly", "monthly")  # live.openapi.yaml, Machine
_MOST_NEW = 20  # newest snapshots of a machine, among which its safety snapshot is looked for


class ListSnapshots(Paging):
    machine_id: Identifier | None = None
    name: NameFilter | None = None
    automatic: Annotated[Flag, Field(description="only such, or only others")] | None = None
    summary: Annotated[Flag, Field(description="count by machine")] | None = None
    order_by: OrderBy | None = None
    order: Order | None = None


class CreateSnapshot(Arguments):
    machine_id: Identifier
    name: Name
    note: Annotated[Note, Field(description="not on production")] | None = None
    wait_seconds: Seconds | None = None


class UpdateSnapshot(ById):
    name: Name | None = None
    note: Annotated[Note, Field(description="not on production")] | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> UpdateSnapshot:
        if self.name is None and self.note is None:
            raise ValueError("give at least one of name, note")
        return self


class DeleteSnapshot(ById):
    confirm: Confirm | None = None
    wait_seconds: Seconds | None = None


class RestoreSnapshot(ById):
    create_snapshot_before_restore: Annotated[Flag, Field(description="default true")] = True
    confirm: Confirm | None = None
    wait_seconds: Seconds | None = None


async def list_snapshots(call: Call, arguments: ListSnapshots) -> SnapshotList:
    """A page, or with `summary` the machines; a summary is of the list in its usual order, newest first."""
    summary = bool(arguments.summary)
    asked = SnapshotQuery(
        machine_id=arguments.machine_id,
        automatic=arguments.automatic,
        order_by=None if summary else arguments.order_by,
        order=None if summary else arguments.order,
    )

    async def fetch(after: str | None, limit: int | None) -> Page[Snapshot]:
        return await call.storage.snapshots.list(replace(asked, after=after, limit=limit))

    keep = _filter(arguments)
    if summary:
        return await summarise(call, fetch, after=arguments.after, most=arguments.limit, keep=keep)
    page = await page_of(call, fetch, after=arguments.after, limit=arguments.limit, keep=keep)
    return SnapshotList(items=page.items, has_more=page.has_more, next_page=page.next_page, total=page.total)


def _filter(arguments: ListSnapshots) -> Keep[Snapshot] | None:
    if arguments.name is None and arguments.automatic is None:
        return None
    named = matcher(arguments.name or "*")
    automatic = arguments.automatic

    def keep(snapshot: Snapshot) -> bool:
        if automatic is not None and bool(snapshot.is_auto_snapshot) is not automatic:
            return False
        return arguments.name is None or named(snapshot.name)

    return keep


async def create_snapshot(call: Call, arguments: CreateSnapshot) -> Snapshot:
    async def wait(made: Snapshot) -> Snapshot:
        event = await follow(call, made.event, arguments.wait_seconds, f"Snapshot {made.id}")
        return replaced(made, event=event)

    new = NewSnapshot(machine_id=arguments.machine_id, name=arguments.name, note=arguments.note)
    return await call.storage.snapshots.create(new, then=wait if arguments.wait_seconds else None)


async def get_snapshot(call: Call, arguments: ById) -> Snapshot:
    return await call.storage.snapshots.get(arguments.id)


async def update_snapshot(call: Call, arguments: UpdateSnapshot) -> Snapshot:
    if call.protects and arguments.name is not None:
        snapshot = await call.storage.snapshots.get(arguments.id)
        if arguments.name != snapshot.name:
            call.refuse_protected(_at_stake(snapshot), "renamed")
    return await call.storage.snapshots.update(arguments.id, SnapshotChange(name=arguments.name, note=arguments.note))


async def delete_snapshot(call: Call, arguments: DeleteSnapshot) -> Deleted:
    async def look() -> AtStake:
        return _at_stake(await call.storage.snapshots.get(arguments.id))

    snapshot = await call.allow("delete", look, confirm=arguments.confirm)
    event = await call.storage.snapshots.delete(arguments.id)
    event = await follow(call, event, arguments.wait_seconds, f"Deletion of snapshot {arguments.id}")
    return Deleted(id=arguments.id, name=snapshot.name or None, event=event)


async def restore_snapshot(call: Call, arguments: RestoreSnapshot) -> Restored:
    """Restore, after a safety snapshot unless the caller declined one.

    Production makes the safety snapshot itself; over the published API it is a request of its own before the
    restore. A restore is never sent without the safety snapshot that was asked for.
    """
    safe = arguments.create_snapshot_before_restore
    seen: list[Snapshot] = []
    newer: list[Snapshot] = []

    async def look() -> AtStake:
        snapshot = await call.storage.snapshots.get(arguments.id)
        seen[:] = [snapshot]
        if safe and not snapshot.machine_id and not await call.storage.snapshots.makes_safety_snapshots():
            raise Unsupported(
                f"The API does not say which machine snapshot {arguments.id} belongs to, so no safety snapshot can be "
                "made of it first. Ask the person whether to restore without one (createSnapshotBeforeRestore false)."
            )
        preview, newer[:] = await _restore_preview(call, snapshot, safe)
        return preview

    async def remark() -> tuple[str, ...]:
        machine_id = seen[0].machine_id
        return _schedule(await call.storage.machines.schedule(machine_id)) if machine_id else ()

    await call.allow("restore", look, confirm=arguments.confirm, remark=remark)
    snapshot = seen[0]
    safety: Snapshot | None = None
    by_api = await call.storage.snapshots.makes_safety_snapshots()
    if safe and not by_api and snapshot.machine_id:
        name = f"Before restore of {snapshot.name or snapshot.id}"[:255]
        try:
            safety = await call.storage.snapshots.create(
                NewSnapshot(machine_id=snapshot.machine_id, name=name), again=False
            )
        except OutcomeUnknown as unknown:
            raise OutcomeUnknown(
                f"The restore was not sent, for it is not sure that its safety snapshot exists. {unknown.what}",
                unknown.check,
            ) from None
    try:
        event = await call.storage.snapshots.restore(arguments.id, safety_snapshot=safe and by_api)
    except Failure as failure:
        if safety is None:
            raise
        raise SafetySnapshotKept(failure, safety.id) from None
    event = await follow(call, event, arguments.wait_seconds, f"Restore of snapshot {arguments.id}")
    if safe and by_api and snapshot.machine_id:
        safety = await _safety_snapshot(call, snapshot.machine_id, {snapshot.id, *(one.id for one in newer)})
    return Restored(
        id=arguments.id,
        machine_id=snapshot.machine_id,
        status="done" if event is not None and event.state == "done" else "initiated",
        event=event,
        safety_snapshot=safety,
    )


async def _safety_snapshot(call: Call, machine_id: str, known: set[str]) -> Snapshot | None:
    """The snapshot that the API has made before a restore: it does not say which, so it is found by looking.

    It is automatic, and newer than all that were there. Where none or several are, a notice says what to do.
    """
    newest = SnapshotQuery(machine_id=machine_id, limit=_MOST_NEW, order_by="dtCreated", order="desc")
    try:
        items = (await call.storage.snapshots.list(newest)).items
    except Failure as failure:
        call.notice(f"The restore was accepted, but its safety snapshot could not be looked up: {failure.short()}")
        return None
    new = [one for one in takewhile(lambda one: one.id not in known, items) if one.is_auto_snapshot]
    if len(new) == 1 and any(one.id in known for one in items):
        call.notice("The API marks the safety snapshot automatic: it goes when newer automatic ones take its place.")
        return new[0]
    call.notice(
        "The API makes the safety snapshot itself, as an automatic one; it cannot be told yet which one it is. "
        "list_snapshots of this machine shows it, newest first."
    )
    return None


async def _restore_preview(call: Call, snapshot: Snapshot, safe: bool) -> tuple[AtStake, list[Snapshot]]:
    """What a restore would do, and the machine's snapshots that are newer than this one.

    `newer` is empty where that cannot be known.
    """
    base = _at_stake(snapshot)
    machine = f"machine {snapshot.machine_id}" if snapshot.machine_id else "its machine"
    lost = f"everything written to {machine} since this snapshot is lost"
    later: list[Snapshot] = []
    if snapshot.machine_id:
        later, more = await _later(call, snapshot, snapshot.machine_id)
        if later:
            names = ", ".join(in_quotes(one.name or one.id) for one in later[:_MOST_NAMED])
            rest = "" if len(later) <= _MOST_NAMED and not more else ", …"
            count = f"{len(later)}{' or more' if more else ''}"
            many = "later snapshot holds" if count == "1" else f"{count} later snapshots hold"
            lost += f", also what its {many} ({names}{rest})"
    safety = "a safety snapshot is made first" if safe else "WITHOUT a safety snapshot first"
    named = await _names_of_machine(call, snapshot.machine_id)
    unsaid = "the machine" if named is None else base.unsaid
    return replace(base, facts=(*base.facts, lost, safety), also=named or (), unsaid=unsaid), later


def _schedule(schedule: Schedule | None) -> tuple[str, ...]:
    """When the machine that is written over is snapshotted by itself, and how many of those are kept."""
    if schedule is None or schedule.enabled is None:
        return ()
    if not schedule.enabled:
        return ("its machine takes no automatic snapshots",)
    often = f" {schedule.frequency}" if schedule.frequency in _FREQUENCIES else ""
    kept = schedule.kept
    return (f"its machine takes automatic snapshots{often}" + (f" and keeps the newest {kept}" if kept else ""),)


async def _names_of_machine(call: Call, id: str | None) -> tuple[str, ...] | None:
    """What protection may know the machine by that is written over: its id, and its name where anything is protected.

    None where the API does not say it. The published dialect knows no machines, so there it is the id alone.
    """
    if id is None:
        return None
    if not call.protects:
        return (id,)
    after: str | None = None
    for _ in range(_MOST_PAGES):
        try:
            page = await call.storage.machines.list(PlaceQuery(after=after, limit=LARGEST_PAGE))
        except Unsupported:
            return (id,)
        for machine in page.items:
            if machine.id == id:
                return None if machine.name is None else (id, machine.name)
        after = page.next_page
        if after is None:
            break
    return None


async def _later(call: Call, snapshot: Snapshot, machine_id: str) -> tuple[list[Snapshot], bool]:
    """The machine's snapshots after this one, newest first, and whether there may be more.

    Production's snapshots carry no date, so the order of the list is what tells.
    """
    later: list[Snapshot] = []
    after: str | None = None
    for _ in range(_MOST_PAGES):
        page = await call.storage.snapshots.list(
            SnapshotQuery(machine_id=machine_id, after=after, limit=100, order_by="dtCreated", order="desc")
        )
        for one in page.items:
            if one.id == snapshot.id:
                return later, False
            later.append(one)
        after = page.next_page
        if after is None:
            return [], False  # not in its machine's list: nothing can be said of what came later
    return later, True


def _at_stake(snapshot: Snapshot) -> AtStake:
    facts = (
        f"of machine {snapshot.machine_id}" if snapshot.machine_id else None,
        f"{snapshot.storage_size / 1024**3:.1f} GiB" if snapshot.storage_size is not None else None,
        "automatic" if snapshot.is_auto_snapshot else None,
        f"taken {snapshot.dt_created}" if snapshot.dt_created else None,
    )
    return AtStake(
        kind="snapshot",
        id=snapshot.id,
        name=snapshot.name or "",
        facts=tuple(fact for fact in facts if fact),
        unsaid="the name" if snapshot.name is None else "",
    )


LIST_SNAPSHOTS = Tool(
    name="list_snapshots",
    title="List snapshots",
    description="Find or count snapshots.",
    kind="read",
    toolset="snapshots",
    arguments=ListSnapshots,
    result=SnapshotList,
    run=list_snapshots,
    repeatable=True,
)
CREATE_SNAPSHOT = Tool(
    name="create_snapshot",
    title="Create snapshot",
    description="Snapshot a machine's disk. No backup: it goes when its machine goes.",
    kind="write",
    toolset="snapshots",
    arguments=CreateSnapshot,
    result=Snapshot,
    run=create_snapshot,
    brief=True,
)
GET_SNAPSHOT = Tool(
    name="get_snapshot",
    title="Get snapshot",
    description="One snapshot by id.",
    kind="read",
    toolset="snapshots",
    arguments=ById,
    result=Snapshot,
    run=get_snapshot,
    repeatable=True,
    brief=True,
)
UPDATE_SNAPSHOT = Tool(
    name="update_snapshot",
    title="Update snapshot",
    description="Change a snapshot's name or note.",
    kind="write",
    toolset="snapshots",
    arguments=UpdateSnapshot,
    result=Snapshot,
    run=update_snapshot,
    repeatable=True,
    brief=True,
)
DELETE_SNAPSHOT = Tool(
    name="delete_snapshot",
    title="Delete snapshot",
    description="Destroy a snapshot for good; its machine stays.",
    kind="destructive",
    toolset="snapshots",
    arguments=DeleteSnapshot,
    result=Deleted,
    run=delete_snapshot,
    overwrites=True,
    repeatable=True,
)
RESTORE_SNAPSHOT = Tool(
    name="restore_snapshot",
    title="Restore snapshot",
    description="Put a machine's disk back to a snapshot; all written since is lost.",
    kind="destructive",
    toolset="snapshots",
    arguments=RestoreSnapshot,
    result=Restored,
    run=restore_snapshot,
    overwrites=True,
)
