"""The ports of the tools, implemented. No tool knows which dialect the API speaks."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import SecretStr

from paperspace_storage_server.api import settle
from paperspace_storage_server.api.creating import Wanted, create
from paperspace_storage_server.api.perform import Performing, Quoting
from paperspace_storage_server.api.upstream import Upstream
from paperspace_storage_server.http.budget import Budget
from paperspace_storage_tools.arguments import LARGEST_PAGE
from paperspace_storage_tools.errors import Failure, Malformed, OutcomeUnknown, Refused
from paperspace_storage_tools.models import (
    Machine,
    MachineEvent,
    Page,
    PrivateNetwork,
    SharedDrive,
    Snapshot,
    StorageProvider,
    StorageUtilization,
)
from paperspace_storage_tools.ports import (
    DriveChange,
    DriveQuery,
    NewDrive,
    NewProvider,
    NewSnapshot,
    PlaceQuery,
    Query,
    Schedule,
    SnapshotChange,
    SnapshotQuery,
    Then,
)

_AT_ONCE = 3.0  # seconds for what a question can do without


class PaperspaceStorage(Performing):
    """The API within one call's budget: one attribute a resource group."""

    def __init__(
        self,
        upstream: Upstream,
        budget: Budget,
        learn: Callable[[SecretStr], None],
        notice: Callable[[str], None],
        quoting: Quoting,
    ) -> None:
        super().__init__(upstream, budget, learn, notice, quoting)
        self.drives = _Drives(self)
        self.snapshots = _Snapshots(self)
        self.providers = _Providers(self)
        self.utilization = _Utilization(self)
        self.events = _Events(self)
        self.machines = _Machines(self)
        self.networks = _Networks(self)

    def at_once(self) -> Performing:
        """The API within a few seconds, for what the call can do without."""
        budget = Budget.of(min(_AT_ONCE, self.budget.left() / 4))
        return Performing(self.upstream, budget, self._learn, self.notice, self._quoting)

    async def team_name(self) -> str | None:
        """What people know the team by; None where the API does not say it, or not at once."""
        upstream = self.upstream
        if upstream.team_name is None:
            try:
                upstream.team_name = await self.at_once().perform(lambda codec: codec.team_name())
            except (Refused, Malformed):
                upstream.team_name = ""  # nor will it the next time
            except Failure:
                return None
        return upstream.team_name or None


class _Drives:
    def __init__(self, api: Performing) -> None:
        self._api = api

    async def list(self, query: DriveQuery) -> Page[SharedDrive]:
        return await self._api.perform(lambda codec: codec.list_drives(query))

    async def create(self, new: NewDrive) -> SharedDrive:
        def fits(drive: SharedDrive) -> bool:
            return (drive.name, drive.size, drive.region) == (new.name, new.size, new.region) and (
                drive.private_network_id in (None, new.private_network_id)
            )

        wanted = Wanted(
            kind="shared drive",
            name=new.name,
            fields=(new.name, new.size, new.region, new.private_network_id),
            fits=fits,
            make=lambda codec: codec.create_drive(new),
            page=lambda after: self._api.perform(
                lambda codec: codec.list_drives(
                    DriveQuery(name=new.name, after=after, limit=LARGEST_PAGE), named=new.name
                )
            ),
            check="Look with list_shared_drives before trying again.",
        )
        return await create(self._api, wanted)

    async def get(self, id: str) -> SharedDrive:
        return await self._api.perform(lambda codec: codec.get_drive(id))

    async def check_change(self, change: DriveChange) -> None:
        if change.size is not None:  # the name alone can be changed in every dialect
            (await self._api.codec()).check_drive(change)

    async def update(self, id: str, change: DriveChange) -> SharedDrive:
        def has_it(drive: SharedDrive) -> bool:
            return change.name in (None, drive.name) and change.size in (None, drive.size)

        return await settle.update(
            self._api, lambda codec: codec.update_drive(id, change), lambda: self.get(id), has_it
        )

    async def delete(self, id: str) -> None:
        await settle.delete(self._api, lambda codec: codec.delete_drive(id), lambda: self.get(id), f"shared drive {id}")


class _Snapshots:
    def __init__(self, api: Performing) -> None:
        self._api = api

    async def list(self, query: SnapshotQuery) -> Page[Snapshot]:
        return await self._api.perform(lambda codec: codec.list_snapshots(query))

    async def create(self, new: NewSnapshot, *, again: bool = True, then: Then | None = None) -> Snapshot:
        def fits(snapshot: Snapshot) -> bool:
            return (snapshot.machine_id, snapshot.name) == (new.machine_id, new.name) and (
                snapshot.note == new.note or new.note is None
            )

        wanted = Wanted(
            kind="snapshot",
            name=f"{new.machine_id}/{new.name}",
            fields=(new.machine_id, new.name, new.note),
            fits=fits,
            make=lambda codec: codec.create_snapshot(new),
            page=lambda after: self._api.perform(
                lambda codec: codec.list_snapshots(
                    SnapshotQuery(machine_id=new.machine_id, after=after, limit=LARGEST_PAGE), named=new.name
                )
            ),
            check="Look with list_snapshots (machineId) before trying again.",
        )
        return await create(self._api, wanted, again=again, then=then)

    async def get(self, id: str) -> Snapshot:
        return await self._api.perform(lambda codec: codec.get_snapshot(id))

    async def update(self, id: str, change: SnapshotChange) -> Snapshot:
        def has_it(snapshot: Snapshot) -> bool:
            return change.name in (None, snapshot.name) and change.note in (None, snapshot.note)

        return await settle.update(
            self._api, lambda codec: codec.update_snapshot(id, change), lambda: self.get(id), has_it
        )

    async def delete(self, id: str) -> MachineEvent | None:
        return await settle.delete(
            self._api, lambda codec: codec.delete_snapshot(id), lambda: self.get(id), f"snapshot {id}"
        )

    async def restore(self, id: str, *, safety_snapshot: bool) -> MachineEvent | None:
        try:
            return await self._api.perform(lambda codec: codec.restore_snapshot(id, safety_snapshot))
        except Failure as failure:
            if not failure.in_doubt:
                raise
            raise OutcomeUnknown(
                f"It is unknown whether the restore of snapshot {id} began: {failure.short()} It was not repeated.",
                "Ask the person to look at the machine before trying again.",
            ) from None

    async def makes_safety_snapshots(self) -> bool:
        return (await self._api.codec()).makes_safety_snapshots


class _Providers:
    def __init__(self, api: Performing) -> None:
        self._api = api

    async def list(self, query: Query) -> Page[StorageProvider]:
        return await self._api.perform(lambda codec: codec.list_providers(query))

    async def create(self, new: NewProvider) -> StorageProvider:
        def fits(provider: StorageProvider) -> bool:
            return (provider.name, provider.type) == (new.name, new.type) and (
                new.bucket in (None, provider.bucket)
                and new.region in (None, provider.region)
                and new.endpoint in (None, provider.endpoint)
            )

        wanted = Wanted(
            kind="storage provider",
            name=new.name,
            fields=(new.name, new.type, new.bucket, new.region, new.endpoint, new.is_team_default),
            fits=fits,
            make=lambda codec: codec.create_provider(new),
            page=lambda after: self._api.perform(
                lambda codec: codec.list_providers(Query(after=after, limit=LARGEST_PAGE), named=new.name)
            ),
            check="Look with list_storage_providers before trying again.",
        )
        return await create(self._api, wanted)

    async def get(self, id: str) -> StorageProvider:
        return await self._api.perform(lambda codec: codec.get_provider(id))

    async def check_new(self, new: NewProvider) -> None:
        (await self._api.codec()).check_provider(new)

    async def update(self, id: str, new: NewProvider, present: StorageProvider) -> StorageProvider:
        def readable(provider: StorageProvider | NewProvider) -> tuple[object, ...]:
            default = None if new.is_team_default is None else bool(provider.is_team_default)
            return provider.name, provider.bucket, provider.region, provider.endpoint, default

        def has_it(provider: StorageProvider) -> bool:
            """Keys cannot be read. But a PUT replaces all or nothing, so what can be read tells where that changes."""
            return readable(provider) == readable(new) != readable(present)

        return await settle.update(
            self._api, lambda codec: codec.update_provider(id, new, present), lambda: self.get(id), has_it
        )

    async def delete(self, id: str) -> None:
        await settle.delete(
            self._api, lambda codec: codec.delete_provider(id), lambda: self.get(id), f"storage provider {id}"
        )


class _Utilization:
    def __init__(self, api: Performing) -> None:
        self._api = api

    async def get(self) -> StorageUtilization:
        return await self._api.perform(lambda codec: codec.utilization())


class _Events:
    def __init__(self, api: Performing) -> None:
        self._api = api

    async def get(self, id: str) -> MachineEvent:
        return await self._api.perform(lambda codec: codec.get_event(id))


class _Machines:
    def __init__(self, api: PaperspaceStorage) -> None:
        self._api = api

    async def list(self, query: PlaceQuery) -> Page[Machine]:
        return await self._api.perform(lambda codec: codec.list_machines(query))

    async def schedule(self, id: str) -> Schedule | None:
        try:
            return await self._api.at_once().perform(lambda codec: codec.schedule(id))
        except Failure:
            return None


class _Networks:
    def __init__(self, api: Performing) -> None:
        self._api = api

    async def list(self, query: PlaceQuery) -> Page[PrivateNetwork]:
        return await self._api.perform(lambda codec: codec.list_networks(query))
