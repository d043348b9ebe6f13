"""What production answers with (`live.openapi.yaml`), as models; `live.py` says which belongs to which request."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct
from pydantic import SecretStr

from paperspace_storage_server.wire.answers import Identified
from paperspace_storage_server.wire.messages import Decoded
from paperspace_storage_server.wire.parsing import decoder
from paperspace_storage_server.wire.parts import MOST_OF_PAGE
from paperspace_storage_tools.models import (
    Instant,
    Machine,
    MachineEvent,
    PrivateNetwork,
    SharedDrive,
    Snapshot,
    StorageProvider,
)
from paperspace_storage_tools.ports import Schedule

WireT = TypeVar("WireT")


class _Wire(Struct, frozen=True, rename="camel", gc=False):
    """Base of what is read, in production's camelCase."""


class _Page(_Wire, Generic[WireT], frozen=True):
    has_more: bool
    items: Annotated[list[WireT], Meta(max_length=MOST_OF_PAGE)]
    next_page: str | None = None


class _Drive(_Wire, frozen=True):
    id: str
    name: str | None = None
    size: int | None = None
    region: str | None = None
    network_id: str | None = None
    mount_point: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    dt_created: Instant | None = None
    dt_deleted: Instant | None = None

    def decoded(self) -> Decoded[SharedDrive]:
        drive = SharedDrive(
            id=self.id,
            name=self.name,
            size=self.size,
            region=self.region,
            private_network_id=self.network_id,
            mount_point=self.mount_point,
            username=self.username,
            dt_created=self.dt_created,
            dt_deleted=self.dt_deleted,
        )
        return Decoded(drive, _given(self.password))


class _S3Config(_Wire, frozen=True):
    access_key: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    bucket: str | None = None
    endpoint: str | None = None
    region: str | None = None
    retain_data: bool | None = None
    signature_version: str | None = None


class _Provider(_Wire, frozen=True):
    id: str
    name: str | None = None
    is_managed: bool | None = None
    is_team_default: bool | None = None
    s3_config: _S3Config | None = None

    def decoded(self) -> Decoded[StorageProvider]:
        s3 = self.s3_config or _S3Config()
        provider = StorageProvider(
            id=self.id,
            name=self.name,
            type="s3" if self.s3_config is not None else None,
            bucket=s3.bucket,
            region=s3.region,
            endpoint=s3.endpoint,
            is_managed=self.is_managed,
            is_team_default=self.is_team_default,
            retain_data=s3.retain_data,
            signature_version=s3.signature_version,
        )
        return Decoded(provider, _given(s3.access_key, s3.secret_access_key))


class _SnapshotWithEvent(_Wire, frozen=True):
    data: Snapshot
    event: MachineEvent | None = None


_Bytes = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"^[0-9]{1,40}\Z")]
"""Production writes them as decimal texts, and nobody knows for how long: an integer is one, too."""


class _Machine(_Wire, frozen=True):
    id: str
    name: str | None = None
    state: str | None = None
    region: str | None = None
    network_id: str | None = None
    auto_snapshot_enabled: bool | None = None
    auto_snapshot_save_count: int | None = None
    auto_snapshot_frequency: str | None = None
    storage_used: _Bytes | None = None
    storage_total: _Bytes | None = None

    def decoded(self) -> Machine:
        return Machine(
            id=self.id,
            name=self.name,
            state=self.state,
            region=self.region,
            private_network_id=self.network_id,
            auto_snapshot_enabled=self.auto_snapshot_enabled,
            auto_snapshot_save_count=self.auto_snapshot_save_count,
            storage_used=None if self.storage_used is None else int(self.storage_used),
            storage_total=None if self.storage_total is None else int(self.storage_total),
        )

    def schedule(self) -> Schedule:
        return Schedule(self.auto_snapshot_enabled, self.auto_snapshot_frequency, self.auto_snapshot_save_count)


class _Utilization(_Wire, frozen=True):
    dataset_usage: _Bytes
    model_usage: _Bytes
    notebook_workspace_usage: _Bytes
    shared_storage_usage: _Bytes
    total_usage: _Bytes
    total_free_storage: _Bytes
    remaining_free_storage: _Bytes
    team_id: str | None = None


class _Team(_Wire, frozen=True):
    namespace: str


class _Session(_Wire, frozen=True):
    """Whose key it is. The user in it is nobody's business here, and is not read."""

    team: _Team


def _given(*secrets: SecretStr | None) -> tuple[SecretStr, ...]:
    return tuple(secret for secret in secrets if secret is not None)


DRIVE = decoder(_Drive)
DRIVES = decoder(_Page[_Drive])
SNAPSHOT = decoder(Snapshot)
IDS = decoder(_Page[Identified])
SNAPSHOTS = decoder(_Page[Snapshot])
WITH_EVENT = decoder(_SnapshotWithEvent)
EVENT = decoder(MachineEvent)
PROVIDER = decoder(_Provider)
PROVIDERS = decoder(_Page[_Provider])
UTILIZATION = decoder(_Utilization)
SESSION = decoder(_Session)
MACHINES = decoder(_Page[_Machine])
NETWORKS = decoder(_Page[PrivateNetwork])
