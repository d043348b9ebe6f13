"""What production answers with (`live.openapi.yaml`), as models; `live.py` says which belongs to which request."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, SecretStr, TypeAdapter
from pydantic.alias_generators import to_camel

from paperspace_storage_server.wire.answers import Identified
from paperspace_storage_server.wire.messages import Decoded
from paperspace_storage_server.wire.parts import MOST_OF_PAGE
from paperspace_storage_tools.models import (
    Instant,
    Machine,
    MachineEvent,
    PrivateNetwork,
    SharedDrive,
    Snapshot,
    StorageProvider,
    Whole,
)

WireT = TypeVar("WireT")


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", hide_input_in_errors=True, defer_build=True)


class _Page(_Wire, Generic[WireT]):
    has_more: bool
    next_page: str | None = None
    items: Annotated[list[WireT], Field(max_length=MOST_OF_PAGE), FailFast()]


class _Drive(_Wire):
    id: str
    name: str | None = None
    size: Whole | None = None
    region: str | None = None
    network_id: str | None = None
    mount_point: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    dt_created: Instant | None = None
    dt_deleted: Instant | None = None

    def decoded(self) -> Decoded[SharedDrive]:
        drive = SharedDrive.model_construct(
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


class _S3Config(_Wire):
    access_key: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    bucket: str | None = None
    endpoint: str | None = None
    region: str | None = None
    retain_data: bool | None = None
    signature_version: str | None = None


class _Provider(_Wire):
    id: str
    name: str | None = None
    is_managed: bool | None = None
    is_team_default: bool | None = None
    s3_config: _S3Config | None = None

    def decoded(self) -> Decoded[StorageProvider]:
        s3 = self.s3_config or _S3Config()
        provider = StorageProvider.model_construct(
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


class _SnapshotWithEvent(_Wire):
    data: Snapshot
    event: MachineEvent | None = None


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number of bytes, not a boolean")
    return value


_Bytes = Annotated[int, BeforeValidator(_no_bool), Field(ge=0)]


class _Machine(_Wire):
    id: str
    name: str | None = None
    state: str | None = None
    region: str | None = None
    network_id: str | None = None
    auto_snapshot_enabled: bool | None = None
    auto_snapshot_save_count: Whole | None = None
    auto_snapshot_frequency: str | None = None
    storage_used: _Bytes | None = None
    storage_total: _Bytes | None = None

    def decoded(self) -> Machine:
        return Machine.model_construct(
            id=self.id,
            name=self.name,
            state=self.state,
            region=self.region,
            private_network_id=self.network_id,
            auto_snapshot_enabled=self.auto_snapshot_enabled,
            auto_snapshot_save_count=self.auto_snapshot_save_count,
            auto_snapshot_frequency=self.auto_snapshot_frequency,
            storage_used=self.storage_used,
            storage_total=self.storage_total,
        )


class _Utilization(_Wire):
    """Bytes as decimal strings: pydantic turns a decimal string into the integer, and nothing else into one."""

    dataset_usage: _Bytes
    model_usage: _Bytes
    notebook_workspace_usage: _Bytes
    shared_storage_usage: _Bytes
    total_usage: _Bytes
    total_free_storage: _Bytes
    remaining_free_storage: _Bytes
    team_id: str | None = Field(default=None, validation_alias=AliasChoices("teamId"))


class _Team(_Wire):
    namespace: str


class _Session(_Wire):
    """Whose key it is. The user in it is nobody's business here, and is not read."""

    team: _Team


def _given(*secrets: SecretStr | None) -> tuple[SecretStr, ...]:
    return tuple(secret for secret in secrets if secret is not None)


DRIVE = TypeAdapter(_Drive)
DRIVES = TypeAdapter(_Page[_Drive])
SNAPSHOT = TypeAdapter(Snapshot)
IDS = TypeAdapter(_Page[Identified])
SNAPSHOTS = TypeAdapter(_Page[Snapshot])
WITH_EVENT = TypeAdapter(_SnapshotWithEvent)
EVENT = TypeAdapter(MachineEvent)
PROVIDER = TypeAdapter(_Provider)
PROVIDERS = TypeAdapter(_Page[_Provider])
UTILIZATION = TypeAdapter(_Utilization)
SESSION = TypeAdapter(_Session)
MACHINES = TypeAdapter(_Page[_Machine])
NETWORKS = TypeAdapter(_Page[PrivateNetwork])
