"""The dialect of the published specification (`published.openapi.yaml`): bare arrays, 201 and 204, no events.

Filters, order and pages that it lacks are applied here, to the whole list it answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec.json import Decoder
from pydantic_core import to_json

from paperspace_storage_server.wire.answers import (
    IDS,
    WithIdT,
    expect_deleted,
    expect_done,
    lacks,
    of_id,
    of_new,
    page_locally,
    read,
    read_each,
)
from paperspace_storage_server.wire.messages import (
    Answer,
    Decoded,
    Dialect,
    Method,
    Operation,
    Request,
    path_of,
    query_of,
)
from paperspace_storage_server.wire.parsing import decoder
from paperspace_storage_tools.errors import Kind, Malformed, Unsupported
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
)

DEFAULT_LIMIT = 100
"""Items of a page where the caller names no limit: this API answers with everything it has."""

ResourceT = TypeVar("ResourceT", SharedDrive, Snapshot, StorageProvider)

_DRIVE = decoder(SharedDrive)
_DRIVES = decoder(list[SharedDrive])
_SNAPSHOT = decoder(Snapshot)
_SNAPSHOTS = decoder(list[Snapshot])
_PROVIDER = decoder(StorageProvider)
_PROVIDERS = decoder(list[StorageProvider])
_UTILIZATION = decoder(StorageUtilization)

_NO_EVENTS = "This API (the published dialect) has no machine events: its snapshot operations are done when answered."


class Published:
    """The published specification as a codec."""

    dialect: Dialect = "published"
    makes_safety_snapshots = False

    # --- shared drives

    def list_drives(self, query: DriveQuery, named: str | None = None) -> Operation[Page[SharedDrive]]:
        def decode(answer: Answer) -> Decoded[Page[SharedDrive]]:
            if lacks(answer, named):
                return Decoded(_nothing_of(answer, "shared drive"))
            drives = read_each(answer, _DRIVES, kind="shared drive", statuses=(200,))
            wanted = (
                drive for drive in drives if query.name in (None, drive.name) and query.region in (None, drive.region)
            )
            return Decoded(_page(wanted, query))

        return Operation(Request("GET", "/shared-drives"), decode)

    def create_drive(self, new: NewDrive) -> Operation[SharedDrive]:
        body = _json(name=new.name, size=new.size, region=new.region, privateNetworkId=new.private_network_id)
        return _new("/shared-drives", _DRIVE, "shared drive", ("private network", new.private_network_id), body)

    def get_drive(self, id: str) -> Operation[SharedDrive]:
        return _one("GET", path_of("shared-drives", id), _DRIVE, "shared drive", id)

    def check_drive(self, change: DriveChange) -> None:
        """Name and size can both be changed."""

    def update_drive(self, id: str, change: DriveChange) -> Operation[SharedDrive]:
        body = _json(name=change.name, size=change.size)
        return _one("PUT", path_of("shared-drives", id), _DRIVE, "shared drive", id, body)

    def delete_drive(self, id: str) -> Operation[None]:
        return _gone(path_of("shared-drives", id), "shared drive", id)

    # --- snapshots

    def list_snapshots(self, query: SnapshotQuery, named: str | None = None) -> Operation[Page[Snapshot]]:
        """Natively paged by `after` and `limit`; an order is applied here, which takes the whole list.

        The specification does not say what a cursor is: the last item's id is what it can be without an envelope.
        A full page may or may not be the last one, so it says that there may be more.
        """
        if query.automatic is not None:
            raise Unsupported(
                "This API (the published dialect) does not say which snapshots are automatic: leave automatic out, or "
                "filter by name."
            )
        ordered = query.order_by is not None or query.order is not None

        def cut(items: Iterable[WithIdT]) -> tuple[list[WithIdT], str | None]:
            page, last = page_locally(items, after=None, limit=query.limit or DEFAULT_LIMIT, id_of=lambda item: item.id)
            if last is None and len(page) == query.limit:
                last = page[-1].id
            stuck = last is not None and last == query.after  # an API that ignores `after` would page for ever
            return page, None if stuck else last

        def decode(answer: Answer) -> Decoded[Page[Snapshot]]:
            if not ordered and lacks(answer, named):
                _, last = cut(read_each(answer, IDS, kind="snapshot", statuses=(200,)))
                return Decoded(_page_of(list[Snapshot](), last))
            snapshots = read_each(answer, _SNAPSHOTS, kind="snapshot", statuses=(200,))
            return Decoded(_page(snapshots, query) if ordered else _page_of(*cut(snapshots)))

        native = {} if ordered else {"after": query.after, "limit": query.limit}
        return Operation(Request("GET", "/snapshots", query_of({"machineId": query.machine_id, **native})), decode)

    def create_snapshot(self, new: NewSnapshot) -> Operation[Snapshot]:
        body = _json(machineId=new.machine_id, name=new.name, note=new.note)
        return _new("/snapshots", _SNAPSHOT, "snapshot", ("machine", new.machine_id), body)

    def get_snapshot(self, id: str) -> Operation[Snapshot]:
        return _one("GET", path_of("snapshots", id), _SNAPSHOT, "snapshot", id)

    def update_snapshot(self, id: str, change: SnapshotChange) -> Operation[Snapshot]:
        body = _json(name=change.name, note=change.note)
        return _one("PUT", path_of("snapshots", id), _SNAPSHOT, "snapshot", id, body)

    def delete_snapshot(self, id: str) -> Operation[MachineEvent | None]:
        gone = _gone(path_of("snapshots", id), "snapshot", id)

        def decode(answer: Answer) -> Decoded[MachineEvent | None]:
            gone.decode(answer)
            return Decoded(None)

        return Operation(gone.request, decode)

    def restore_snapshot(self, id: str, safety_snapshot: bool) -> Operation[MachineEvent | None]:
        if safety_snapshot:
            raise Unsupported("This API (the published dialect) makes no safety snapshot by itself.")

        def decode(answer: Answer) -> Decoded[MachineEvent | None]:
            expect_done(answer, kind="snapshot", id=id, statuses=(200, 202, 204))
            return Decoded(None)

        return Operation(Request("POST", path_of("snapshots", id, "restore")), decode)

    # --- storage providers

    def list_providers(self, query: Query, named: str | None = None) -> Operation[Page[StorageProvider]]:
        def decode(answer: Answer) -> Decoded[Page[StorageProvider]]:
            if lacks(answer, named):
                return Decoded(_nothing_of(answer, "storage provider"))
            providers = read_each(answer, _PROVIDERS, kind="storage provider", statuses=(200,))
            return Decoded(_page(providers, query))

        return Operation(Request("GET", "/storage-providers"), decode)

    def create_provider(self, new: NewProvider) -> Operation[StorageProvider]:
        self.check_provider(new)
        return _one(
            "POST", "/storage-providers", _PROVIDER, "storage provider", None, _provider(new), statuses=(201, 200)
        )

    def check_provider(self, new: NewProvider) -> None:
        if new.endpoint is not None:
            raise Unsupported(
                "This API (the published dialect) takes no endpoint for a storage provider: leave it out."
            )
        if new.is_team_default is not None:
            raise Unsupported("This API (the published dialect) cannot set isTeamDefault: leave it out.")

    def get_provider(self, id: str) -> Operation[StorageProvider]:
        return _one("GET", path_of("storage-providers", id), _PROVIDER, "storage provider", id)

    def update_provider(self, id: str, new: NewProvider, present: StorageProvider) -> Operation[StorageProvider]:
        self.check_provider(new)
        return _one("PUT", path_of("storage-providers", id), _PROVIDER, "storage provider", id, _provider(new))

    def delete_provider(self, id: str) -> Operation[None]:
        return _gone(path_of("storage-providers", id), "storage provider", id)

    # --- the rest

    def utilization(self) -> Operation[StorageUtilization]:
        def decode(answer: Answer) -> Decoded[StorageUtilization]:
            usage = read(answer, _UTILIZATION, kind="utilization", statuses=(200,))
            if usage == StorageUtilization(team_id=usage.team_id):
                raise Malformed("no usage is in it")
            return Decoded(usage)

        return Operation(Request("GET", path_of("storage-providers", "utilization")), decode)

    def get_event(self, id: str) -> Operation[MachineEvent]:
        raise Unsupported(_NO_EVENTS)

    def schedule(self, machine_id: str) -> Operation[Schedule | None]:
        raise Unsupported("This API (the published dialect) does not say when a machine is snapshotted.")

    def list_machines(self, query: PlaceQuery) -> Operation[Page[Machine]]:
        raise Unsupported(
            "This API (the published dialect) lists no machines: the machineId of a machine that has snapshots stands "
            "in list_snapshots; the person knows the others."
        )

    def list_networks(self, query: PlaceQuery) -> Operation[Page[PrivateNetwork]]:
        raise Unsupported(
            "This API (the published dialect) lists no private networks: the privateNetworkId of one that has drives "
            "stands in list_shared_drives; the person knows the others."
        )

    def team_name(self) -> Operation[str]:
        raise Unsupported("This API (the published dialect) does not say whose key it is.")


def _one(
    method: Method,
    path: str,
    reader: Decoder[ResourceT],
    kind: Kind,
    id: str | None,
    body: bytes | None = None,
    statuses: tuple[int, ...] = (200,),
) -> Operation[ResourceT]:
    def decode(answer: Answer) -> Decoded[ResourceT]:
        return Decoded(of_id(id, read(answer, reader, kind=kind, id=id, statuses=statuses)))

    return Operation(Request(method, path, body=body), decode)


def _new(
    path: str, reader: Decoder[ResourceT], kind: Kind, needs: tuple[Kind, str], body: bytes
) -> Operation[ResourceT]:
    def decode(answer: Answer) -> Decoded[ResourceT]:
        about, id = of_new(answer, kind, needs)
        return Decoded(read(answer, reader, kind=about, id=id, statuses=(201, 200)))

    return Operation(Request("POST", path, body=body), decode)


def _gone(path: str, kind: Kind, id: str) -> Operation[None]:
    def decode(answer: Answer) -> Decoded[None]:
        expect_deleted(answer, kind=kind, id=id)
        return Decoded(None)

    return Operation(Request("DELETE", path), decode)


def _json(**values: object) -> bytes:
    """A body of the values that are given."""
    return to_json({name: value for name, value in values.items() if value is not None})


def _provider(new: NewProvider) -> bytes:
    keys = new.credentials
    return _json(
        name=new.name,
        type=new.type,
        bucket=new.bucket,
        region=new.region,
        accessKey=keys.access_key.get_secret_value() if keys else None,
        secretKey=keys.secret_key.get_secret_value() if keys else None,
    )


def _page(items: Iterable[ResourceT], query: Query) -> Page[ResourceT]:
    """Order and cut a whole list here. Production's defaults: by date, newest first."""
    if query.order_by is not None or query.order is not None:
        by_name = query.order_by == "name"
        items = sorted(
            items,
            key=lambda item: (item.name if by_name else item.dt_created) or "",
            reverse=query.order != "asc",
        )
    page, next_page = page_locally(
        items, after=query.after, limit=query.limit or DEFAULT_LIMIT, id_of=lambda item: item.id
    )
    return _page_of(page, next_page)


def _nothing_of(answer: Answer, kind: Kind) -> Page[ResourceT]:
    """No page of a whole list, which is one all the same."""
    for _ in read_each(answer, IDS, kind=kind, statuses=(200,)):
        pass
    return _page_of(list[ResourceT](), None)


def _page_of(items: list[ResourceT], next_page: str | None) -> Page[ResourceT]:
    return Page(items=items, has_more=next_page is not None, next_page=next_page)
