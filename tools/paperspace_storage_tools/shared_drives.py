"""The five tools for shared drives: network drives that machines of one private network mount."""

from __future__ import annotations

from pydantic import model_validator

from paperspace_storage_tools.arguments import (
    Arguments,
    ById,
    Confirm,
    Gigabytes,
    Identifier,
    Name,
    Order,
    OrderBy,
    Paging,
    Word,
)
from paperspace_storage_tools.models import Deleted, Page, SharedDrive
from paperspace_storage_tools.ports import AtStake, Call, DriveChange, DriveQuery, NewDrive
from paperspace_storage_tools.tool import Tool


class ListSharedDrives(Paging):
    name: Word | None = None
    region: Word | None = None
    order_by: OrderBy | None = None
    order: Order | None = None


class CreateSharedDrive(Arguments):
    name: Name
    size: Gigabytes
    region: Word
    private_network_id: Identifier


class UpdateSharedDrive(ById):
    name: Name | None = None
    size: Gigabytes | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> UpdateSharedDrive:
        if self.name is None and self.size is None:
            raise ValueError("give at least one of name, size")
        return self


class DeleteSharedDrive(ById):
    confirm: Confirm | None = None


async def list_shared_drives(call: Call, arguments: ListSharedDrives) -> Page[SharedDrive]:
    return await call.storage.drives.list(
        DriveQuery(
            name=arguments.name,
            region=arguments.region,
            after=arguments.after,
            limit=arguments.limit,
            order_by=arguments.order_by,
            order=arguments.order,
        )
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
    if call.protects:
        drive = await call.storage.drives.get(arguments.id)
        if arguments.name is not None and arguments.name != drive.name:
            call.refuse_protected(_at_stake(drive, arguments.id), "renamed")
        if arguments.size is not None and (drive.size is None or arguments.size < drive.size):
            call.refuse_protected(_at_stake(drive, arguments.id), "shrunk")
    return await call.storage.drives.update(arguments.id, DriveChange(name=arguments.name, size=arguments.size))


async def delete_shared_drive(call: Call, arguments: DeleteSharedDrive) -> Deleted:
    async def look() -> AtStake:
        return _at_stake(await call.storage.drives.get(arguments.id), arguments.id)

    await call.allow("delete", look, confirm=arguments.confirm)
    await call.storage.drives.delete(arguments.id)
    return Deleted(id=arguments.id)


def _at_stake(drive: SharedDrive, asked: str) -> AtStake:
    facts = (
        f"{drive.size} GB" if drive.size is not None else None,
        f"region {drive.region}" if drive.region else None,
        f"network {drive.private_network_id}" if drive.private_network_id else None,
        f"created {drive.dt_created}" if drive.dt_created else None,
    )
    also = (asked,) if asked != drive.id else ()
    return AtStake(
        kind="shared drive",
        id=drive.id,
        name=drive.name or "",
        facts=tuple(fact for fact in facts if fact),
        also=also,
    )


LIST_SHARED_DRIVES = Tool(
    name="list_shared_drives",
    title="List shared drives",
    description="Find the team's network drives, with their ids and networks.",
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
    description="Make a network drive of `size` GB on a private network. Costs money.",
    kind="write",
    toolset="shared-drives",
    arguments=CreateSharedDrive,
    result=SharedDrive,
    run=create_shared_drive,
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
)
UPDATE_SHARED_DRIVE = Tool(
    name="update_shared_drive",
    title="Update shared drive",
    description="Rename a drive or set its size in GB.",
    kind="write",
    toolset="shared-drives",
    arguments=UpdateSharedDrive,
    result=SharedDrive,
    run=update_shared_drive,
    overwrites=True,  # a smaller size can lose data
    repeatable=True,
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
