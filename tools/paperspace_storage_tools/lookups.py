"""The two tools that look up what a first snapshot or a first drive needs: machines and private networks."""

from __future__ import annotations

from paperspace_storage_tools.arguments import Paging, Word
from paperspace_storage_tools.models import Machine, Page, PrivateNetwork
from paperspace_storage_tools.ports import Call, PlaceQuery
from paperspace_storage_tools.tool import Tool


class LookUp(Paging):
    name: Word | None = None
    region: Word | None = None


async def list_machines(call: Call, arguments: LookUp) -> Page[Machine]:
    return await call.storage.machines.list(_query(arguments))


async def list_private_networks(call: Call, arguments: LookUp) -> Page[PrivateNetwork]:
    return await call.storage.networks.list(_query(arguments))


def _query(arguments: LookUp) -> PlaceQuery:
    return PlaceQuery(name=arguments.name, region=arguments.region, after=arguments.after, limit=arguments.limit)


LIST_MACHINES = Tool(
    name="list_machines",
    title="List machines",
    description="Find a machineId for create_snapshot.",
    kind="read",
    toolset="lookups",
    arguments=LookUp,
    result=Page[Machine],
    run=list_machines,
    repeatable=True,
)
LIST_PRIVATE_NETWORKS = Tool(
    name="list_private_networks",
    title="List private networks",
    description="Find a privateNetworkId for create_shared_drive.",
    kind="read",
    toolset="lookups",
    arguments=LookUp,
    result=Page[PrivateNetwork],
    run=list_private_networks,
    repeatable=True,
)
