"""The dialect production answers (`live.openapi.yaml`): pages, `{data, event}`, `networkId`, `s3Config`, events."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace
from pydantic_core import to_json

from paperspace_storage_server.wire.answers import expect_deleted, lacks, of_id, of_new, read
from paperspace_storage_server.wire.live_answers import (
    DRIVE,
    DRIVES,
    EVENT,
    IDS,
    MACHINES,
    NETWORKS,
    PROVIDER,
    PROVIDERS,
    SESSION,
    SNAPSHOT,
    SNAPSHOTS,
    UTILIZATION,
    WITH_EVENT,
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
from paperspace_storage_tools.arguments import LARGEST_PAGE
from paperspace_storage_tools.errors import Kind, Unsupported
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
    Credentials,
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

ResultT = TypeVar("ResultT")


class Live:
    """Production's dialect as a codec."""

    dialect: Dialect = "live"
    makes_safety_snapshots = True

    # --- shared drives

    def list_drives(self, query: DriveQuery, named: str | None = None) -> Operation[Page[SharedDrive]]:
        def decode(answer: Answer) -> Decoded[Page[SharedDrive]]:
            if lacks(answer, named):
                return _page(list[Decoded[SharedDrive]](), *_without_items(answer, "shared drive"))
            page = read(answer, DRIVES, kind="shared drive", statuses=(200,))
            return _page([item.decoded() for item in page.items], page.has_more, page.next_page)

        return Operation(Request("GET", "/shared-drives", _places(query)), decode)

    def create_drive(self, new: NewDrive) -> Operation[SharedDrive]:
        def decode(answer: Answer) -> Decoded[SharedDrive]:
            kind, id = of_new(answer, "shared drive", ("private network", new.private_network_id))
            return read(answer, DRIVE, kind=kind, id=id, statuses=(200, 201)).decoded()

        body = to_json({"name": new.name, "networkId": new.private_network_id, "region": new.region, "size": new.size})
        return Operation(Request("POST", "/shared-drives", body=body), decode)

    def get_drive(self, id: str) -> Operation[SharedDrive]:
        return _drive("GET", path_of("shared-drives", id), id)

    def check_drive(self, change: DriveChange) -> None:
        if change.size is not None:
            raise Unsupported("This API (production) cannot change a drive's size, only its name: leave size out.")

    def update_drive(self, id: str, change: DriveChange) -> Operation[SharedDrive]:
        self.check_drive(change)
        return _drive("PUT", path_of("shared-drives", id), id, to_json({"name": change.name}))

    def delete_drive(self, id: str) -> Operation[None]:
        return _gone(path_of("shared-drives", id), "shared drive", id)

    # --- snapshots

    def list_snapshots(self, query: SnapshotQuery, named: str | None = None) -> Operation[Page[Snapshot]]:
        pairs = query_of({"machineId": query.machine_id, **_paging(query)})

        def decode(answer: Answer) -> Decoded[Page[Snapshot]]:
            if lacks(answer, named):
                return _page(list[Decoded[Snapshot]](), *_without_items(answer, "snapshot"))
            page = read(answer, SNAPSHOTS, kind="snapshot", statuses=(200,))
            return _page([Decoded(item) for item in page.items], page.has_more, page.next_page)

        return Operation(Request("GET", "/snapshots", pairs), decode)

    def create_snapshot(self, new: NewSnapshot) -> Operation[Snapshot]:
        _refuse_note(new.note)

        def decode(answer: Answer) -> Decoded[Snapshot]:
            kind, id = of_new(answer, "snapshot", ("machine", new.machine_id))
            both = read(answer, WITH_EVENT, kind=kind, id=id, statuses=(200, 201))
            return Decoded(replace(both.data, event=both.event))

        body = to_json({"machineId": new.machine_id, "name": new.name})
        return Operation(Request("POST", "/snapshots", body=body), decode)

    def get_snapshot(self, id: str) -> Operation[Snapshot]:
        return _snapshot("GET", path_of("snapshots", id), id)

    def update_snapshot(self, id: str, change: SnapshotChange) -> Operation[Snapshot]:
        _refuse_note(change.note)
        return _snapshot("PUT", path_of("snapshots", id), id, to_json({"name": change.name}))

    def delete_snapshot(self, id: str) -> Operation[MachineEvent | None]:
        return _with_event(Request("DELETE", path_of("snapshots", id)), id)

    def restore_snapshot(self, id: str, safety_snapshot: bool) -> Operation[MachineEvent | None]:
        body = to_json({"createSnapshotBeforeRestore": safety_snapshot})
        return _with_event(Request("POST", path_of("snapshots", id, "restore"), body=body), id)

    # --- storage providers

    def list_providers(self, query: Query, named: str | None = None) -> Operation[Page[StorageProvider]]:
        def decode(answer: Answer) -> Decoded[Page[StorageProvider]]:
            if lacks(answer, named):
                return _page(list[Decoded[StorageProvider]](), *_without_items(answer, "storage provider"))
            page = read(answer, PROVIDERS, kind="storage provider", statuses=(200,))
            return _page([item.decoded() for item in page.items], page.has_more, page.next_page)

        return Operation(Request("GET", "/storage-providers", query_of(_paging(query))), decode)

    def check_provider(self, new: NewProvider) -> None:
        _place_and_keys(new)

    def create_provider(self, new: NewProvider) -> Operation[StorageProvider]:
        body: dict[str, object] = {"name": new.name, "storageProviderType": "s3", "s3Config": _s3_config(new, None)}
        if new.is_team_default is not None:
            body["isTeamDefault"] = new.is_team_default
        return _provider("POST", "/storage-providers", None, to_json(body))

    def get_provider(self, id: str) -> Operation[StorageProvider]:
        return _provider("GET", path_of("storage-providers", id), id)

    def update_provider(self, id: str, new: NewProvider, present: StorageProvider) -> Operation[StorageProvider]:
        """A PUT replaces everything, so what the tool has no argument for is taken over from `present`."""
        default = new.is_team_default
        if default is None:
            default = bool(present.is_team_default)
        body = {"name": new.name, "isTeamDefault": default, "s3Config": _s3_config(new, present)}
        return _provider("PUT", path_of("storage-providers", id), id, to_json(body))

    def delete_provider(self, id: str) -> Operation[None]:
        return _gone(path_of("storage-providers", id), "storage provider", id)

    # --- the rest

    def utilization(self) -> Operation[StorageUtilization]:
        def decode(answer: Answer) -> Decoded[StorageUtilization]:
            usage = read(answer, UTILIZATION, kind="utilization", statuses=(200,))
            return Decoded(
                StorageUtilization(
                    team_id=usage.team_id,
                    datasets=int(usage.dataset_usage),
                    models=int(usage.model_usage),
                    notebooks=int(usage.notebook_workspace_usage),
                    shared_storage=int(usage.shared_storage_usage),
                    total=int(usage.total_usage),
                    free_total=int(usage.total_free_storage),
                    free_remaining=int(usage.remaining_free_storage),
                )
            )

        return Operation(Request("GET", path_of("storage-providers", "utilization")), decode)

    def get_event(self, id: str) -> Operation[MachineEvent]:
        def decode(answer: Answer) -> Decoded[MachineEvent]:
            return Decoded(of_id(id, read(answer, EVENT, kind="machine event", id=id, statuses=(200,))))

        return Operation(Request("GET", path_of("machine-events", id)), decode)

    # --- what a machineId and a privateNetworkId may be

    def list_machines(self, query: PlaceQuery) -> Operation[Page[Machine]]:
        def decode(answer: Answer) -> Decoded[Page[Machine]]:
            page = read(answer, MACHINES, kind="machine", statuses=(200,))
            return _page([Decoded(item.decoded()) for item in page.items], page.has_more, page.next_page)

        return Operation(Request("GET", "/machines", _places(query)), decode)

    def schedule(self, machine_id: str) -> Operation[Schedule | None]:
        """There is no request for one machine: it is looked for in the list's first page."""

        def decode(answer: Answer) -> Decoded[Schedule | None]:
            page = read(answer, MACHINES, kind="machine", statuses=(200,))
            return Decoded(next((item.schedule() for item in page.items if item.id == machine_id), None))

        return Operation(Request("GET", "/machines", query_of({"limit": LARGEST_PAGE})), decode)

    def list_networks(self, query: PlaceQuery) -> Operation[Page[PrivateNetwork]]:
        def decode(answer: Answer) -> Decoded[Page[PrivateNetwork]]:
            page = read(answer, NETWORKS, kind="private network", statuses=(200,))
            return _page([Decoded(item) for item in page.items], page.has_more, page.next_page)

        return Operation(Request("GET", "/private-networks", _places(query)), decode)

    def team_name(self) -> Operation[str]:
        def decode(answer: Answer) -> Decoded[str]:
            return Decoded(read(answer, SESSION, kind="team", statuses=(200,)).team.namespace)

        return Operation(Request("GET", path_of("auth", "session")), decode)


def _drive(method: Method, path: str, id: str, body: bytes | None = None) -> Operation[SharedDrive]:
    def decode(answer: Answer) -> Decoded[SharedDrive]:
        return of_id(id, read(answer, DRIVE, kind="shared drive", id=id, statuses=(200, 201))).decoded()

    return Operation(Request(method, path, body=body), decode)


def _snapshot(method: Method, path: str, id: str, body: bytes | None = None) -> Operation[Snapshot]:
    def decode(answer: Answer) -> Decoded[Snapshot]:
        return Decoded(of_id(id, read(answer, SNAPSHOT, kind="snapshot", id=id, statuses=(200,))))

    return Operation(Request(method, path, body=body), decode)


def _provider(method: Method, path: str, id: str | None, body: bytes | None = None) -> Operation[StorageProvider]:
    def decode(answer: Answer) -> Decoded[StorageProvider]:
        return of_id(id, read(answer, PROVIDER, kind="storage provider", id=id, statuses=(200, 201))).decoded()

    return Operation(Request(method, path, body=body), decode)


def _with_event(request: Request, id: str) -> Operation[MachineEvent | None]:
    def decode(answer: Answer) -> Decoded[MachineEvent | None]:
        both = read(answer, WITH_EVENT, kind="snapshot", id=id, statuses=(200, 201, 202))
        of_id(id, both.data)
        return Decoded(both.event)

    return Operation(request, decode)


def _gone(path: str, kind: Kind, id: str) -> Operation[None]:
    def decode(answer: Answer) -> Decoded[None]:
        expect_deleted(answer, kind=kind, id=id)
        return Decoded(None)

    return Operation(Request("DELETE", path), decode)


def _page(items: list[Decoded[ResultT]], has_more: bool, next_page: str | None) -> Decoded[Page[ResultT]]:
    page = Page(
        items=[item.value for item in items], has_more=has_more, next_page=(next_page or None) if has_more else None
    )
    return Decoded(page, tuple(secret for item in items for secret in item.secrets))


def _without_items(answer: Answer, kind: Kind) -> tuple[bool, str | None]:
    """How a page goes on of which nothing else is wanted."""
    page = read(answer, IDS, kind=kind, statuses=(200,))
    return page.has_more, page.next_page


def _paging(query: Query) -> dict[str, str | int | None]:
    return {"after": query.after, "limit": query.limit, "orderBy": query.order_by, "order": query.order}


def _places(query: PlaceQuery) -> tuple[tuple[str, str], ...]:
    return query_of({**_paging(query), "name": query.name, "region": query.region})


def _refuse_note(note: str | None) -> None:
    if note is not None:
        raise Unsupported("This API (production) keeps no notes on snapshots: leave note out, or say it in the name.")


def _place_and_keys(new: NewProvider) -> tuple[str, Credentials]:
    """What production cannot do without. Raises `Unsupported`."""
    if new.type != "s3":
        raise Unsupported(f"This API (production) takes S3 and S3-compatible providers only, not {new.type}.")
    if new.bucket is None:
        raise Unsupported("This API (production) needs the bucket of a storage provider: give bucket.")
    if new.credentials is None:
        raise Unsupported(
            "This API (production) takes a storage provider only whole, keys included: give credentialProfile, "
            "a profile the operator has configured (a wrong name is answered with those that exist)."
        )
    return new.bucket, new.credentials


def _s3_config(new: NewProvider, present: StorageProvider | None) -> dict[str, object]:
    bucket, credentials = _place_and_keys(new)
    config: dict[str, object] = {
        "accessKey": credentials.access_key.get_secret_value(),
        "bucket": bucket,
        "secretAccessKey": credentials.secret_key.get_secret_value(),
    }
    optional = {
        "endpoint": new.endpoint,
        "region": new.region,
        "retainData": present.retain_data if present else None,
        "signatureVersion": present.signature_version if present else None,
    }
    return {**config, **{name: value for name, value in optional.items() if value is not None}}
