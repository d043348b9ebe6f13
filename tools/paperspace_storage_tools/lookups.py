"""The two tools that look up what a first snapshot or a first drive needs: machines and private networks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from paperspace_storage_tools.arguments import NameFilter, Paging, RegionFilter
from paperspace_storage_tools.globs import exact_or_none
from paperspace_storage_tools.models import Machine, Page, PrivateNetwork
from paperspace_storage_tools.ports import Call, PlaceQuery
from paperspace_storage_tools.tool import Tool
from paperspace_storage_tools.walk import in_place, page_of

PlaceT = TypeVar("PlaceT", Machine, PrivateNetwork)


class LookUp(Paging):
    name: NameFilter | None = None
    region: RegionFilter | None = None


async def list_machines(call: Call, arguments: LookUp) -> Page[Machine]:
    return await _look_up(call, call.storage.machines.list, arguments)


async def list_private_networks(call: Call, arguments: LookUp) -> Page[PrivateNetwork]:
    return await _look_up(call, call.storage.networks.list, arguments)


async def _look_up(
    call: Call, pages: Callable[[PlaceQuery], Awaitable[Page[PlaceT]]], arguments: LookUp
) -> Page[PlaceT]:
    name, region = exact_or_none(arguments.name), exact_or_none(arguments.region)

    async def fetch(after: str | None, limit: int | None) -> Page[PlaceT]:
        return await pages(PlaceQuery(name=name, region=region, after=after, limit=limit))

    return await page_of(
        call,
        fetch,
        after=arguments.after,
        limit=arguments.limit,
        keep=in_place(arguments.name, arguments.region),
        count=True,
    )


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
