"""The five tools for shared drives: network drives that machines of one private network mount."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field, model_validator

from paperspace_storage_tools.arguments import (
    Arguments,
    ById,
    Confirm,
    Gigabytes,
    Identifier,
    Name,
    NameFilter,
    Order,
    OrderBy,
    Paging,
    RegionFilter,
    Word,
)
from paperspace_storage_tools.globs import exact_or_none
from paperspace_storage_tools.models import Deleted, Page, SharedDrive
from paperspace_storage_tools.ports import AtStake, Call, DriveChange, DriveQuery, Look, NewDrive
from paperspace_storage_tools.tool import Tool
from paperspace_storage_tools.walk import in_place, page_of


class ListSharedDrives(Paging):
    name: NameFilter | None = None
    region: RegionFilter | None = None
    order_by: OrderBy | None = None
    order: Order | None = None


class CreateSharedDrive(Arguments):
    name: Name
    size: Annotated[Gigabytes, Field(description="GB")]
    region: Word
    private_network_id: Identifier


class UpdateSharedDrive(ById):
    name: Name | None = None
    size: Annotated[Gigabytes, Field(description="GB; production cannot change it")] | None = None
    confirm: Confirm | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> UpdateSharedDrive:
        if self.name is None and self.size is None:
            raise ValueError("give at least one of name, size")
        return self


class DeleteSharedDrive(ById):
    confirm: Confirm | None = None


async def list_shared_drives(call: Call, arguments: ListSharedDrives) -> Page[SharedDrive]:
    asked = DriveQuery(
        name=exact_or_none(arguments.name),
        region=exact_or_none(arguments.region),
        order_by=arguments.order_by,
        order=arguments.order,
    )
    return await page_of(
        call,
        lambda after, limit: call.storage.drives.list(replace(asked, after=after, limit=limit)),
        after=arguments.after,
        limit=arguments.limit,
        keep=in_place(arguments.name, arguments.region),
        count=True,
    )


async def create_shared_drive(call: Call, arguments: CreateSharedDrive) -> SharedDrive:
    return await call.storage.drives.create(
        NewDrive(
            name=arguments.name,
            size=arguments.size,
            region=arguments.region,
            private_network_id=arguments.private_network_id,
        )
    )


async def get_shared_drive(call: Call, arguments: ById) -> SharedDrive:
    return await call.storage.drives.get(arguments.id)


async def update_shared_drive(call: Call, arguments: UpdateSharedDrive) -> SharedDrive:
    change = DriveChange(name=arguments.name, size=arguments.size)
    await call.storage.drives.check_change(change)
    if arguments.size is not None or call.protects:
        drive = await call.storage.drives.get(arguments.id)
        if arguments.name not in (None, drive.name):
            call.refuse_protected(_at_stake(drive), "renamed")
        if arguments.size is not None and (drive.size is None or arguments.size < drive.size):
            await call.allow("shrink", _look(call, arguments.id, drive, to=arguments.size), confirm=arguments.confirm)
    return await call.storage.drives.update(arguments.id, change)


async def delete_shared_drive(call: Call, arguments: DeleteSharedDrive) -> Deleted:
    drive = await call.allow("delete", _look(call, arguments.id), confirm=arguments.confirm)
    await call.storage.drives.delete(arguments.id)
    return Deleted(id=arguments.id, name=drive.name or None)


def _look(call: Call, id: str, seen: SharedDrive | None = None, *, to: int | None = None) -> Look:
    """Looks at what is at stake, the first time at what was `seen`; `to` is the size in GB it would have."""
    first = [seen] if seen is not None else []

    async def look() -> AtStake:
        drive = first.pop() if first else await call.storage.drives.get(id)
        return _at_stake(drive, *([f"would have {to} GB"] if to is not None else []))

    return look


def _at_stake(drive: SharedDrive, *more: str) -> AtStake:
    facts = (
        f"{drive.size} GB" if drive.size is not None else None,
        *more,
        f"region {drive.region}" if drive.region else None,
        f"network {drive.private_network_id}" if drive.private_network_id else None,
        f"created {drive.dt_created}" if drive.dt_created else None,
    )
    return AtStake(
        kind="shared drive",
        id=drive.id,
        name=drive.name or "",
        facts=tuple(fact for fact in facts if fact),
        unsaid="the name" if drive.name is None else "",
    )


LIST_SHARED_DRIVES = Tool(
    name="list_shared_drives",
    title="List shared drives",
    description="Find the team's network drives, with their mount points.",
    kind="read",
    toolset="shared-drives",
    arguments=ListSharedDrives,
    result=Page[SharedDrive],
    run=list_shared_drives,
    repeatable=True,
)
CREATE_SHARED_DRIVE = Tool(
    name="create_shared_drive",
    title="Create shared drive",
    description="Make a network drive on a private network. Costs money.",
    kind="write",
    toolset="shared-drives",
    arguments=CreateSharedDrive,
    result=SharedDrive,
    run=create_shared_drive,
    brief=True,
)
GET_SHARED_DRIVE = Tool(
    name="get_shared_drive",
    title="Get shared drive",
    description="One drive by id.",
    kind="read",
    toolset="shared-drives",
    arguments=ById,
    result=SharedDrive,
    run=get_shared_drive,
    repeatable=True,
    brief=True,
)
UPDATE_SHARED_DRIVE = Tool(
    name="update_shared_drive",
    title="Update shared drive",
    description="Rename or resize a drive.",
    kind="write",
    toolset="shared-drives",
    arguments=UpdateSharedDrive,
    result=SharedDrive,
    run=update_shared_drive,
    overwrites=True,  # a smaller size can lose data
    repeatable=True,
    brief=True,
)
DELETE_SHARED_DRIVE = Tool(
    name="delete_shared_drive",
    title="Delete shared drive",
    description="Destroy a drive and all files on it, for good.",
    kind="destructive",
    toolset="shared-drives",
    arguments=DeleteSharedDrive,
    result=Deleted,
    run=delete_shared_drive,
    overwrites=True,
    repeatable=True,
)
