"""The tool that tells how much the team stores."""

from __future__ import annotations

from paperspace_storage_tools.arguments import Arguments
from paperspace_storage_tools.models import StorageUtilization
from paperspace_storage_tools.ports import Call
from paperspace_storage_tools.tool import Tool


class GetStorageUtilization(Arguments):
    pass


async def get_storage_utilization(call: Call, arguments: GetStorageUtilization) -> StorageUtilization:
    return await call.storage.utilization.get()


GET_STORAGE_UTILIZATION = Tool(
    name="get_storage_utilization",
    title="Get storage utilization",
    description="Bytes the team stores, by kind.",
    kind="read",
    toolset="utilization",
    arguments=GetStorageUtilization,
    result=StorageUtilization,
    run=get_storage_utilization,
    repeatable=True,
)
