"""Every tool, once. The order is the order of `tools/list`."""

from __future__ import annotations

from typing import Final, get_args

from paperspace_storage_tools import lookups, machine_events, shared_drives, snapshots, storage_providers, utilization
from paperspace_storage_tools.tool import AnyTool, Toolset

TOOLSETS: Final[tuple[Toolset, ...]] = get_args(Toolset)

CATALOGUE: Final[tuple[AnyTool, ...]] = (
    shared_drives.LIST_SHARED_DRIVES,
    shared_drives.CREATE_SHARED_DRIVE,
    shared_drives.GET_SHARED_DRIVE,
    shared_drives.UPDATE_SHARED_DRIVE,
    shared_drives.DELETE_SHARED_DRIVE,
    snapshots.LIST_SNAPSHOTS,
    snapshots.CREATE_SNAPSHOT,
    snapshots.GET_SNAPSHOT,
    snapshots.UPDATE_SNAPSHOT,
    snapshots.DELETE_SNAPSHOT,
    snapshots.RESTORE_SNAPSHOT,
    storage_providers.LIST_STORAGE_PROVIDERS,
    storage_providers.CREATE_STORAGE_PROVIDER,
    storage_providers.GET_STORAGE_PROVIDER,
    storage_providers.UPDATE_STORAGE_PROVIDER,
    storage_providers.DELETE_STORAGE_PROVIDER,
    utilization.GET_STORAGE_UTILIZATION,
    machine_events.GET_MACHINE_EVENT,
    lookups.LIST_MACHINES,
    lookups.LIST_PRIVATE_NETWORKS,
)
