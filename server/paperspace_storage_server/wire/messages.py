"""What goes out and what comes in, and the protocol that both codecs follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

from pydantic import SecretStr

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

Dialect: TypeAlias = Literal["published", "live"]
DialectSetting: TypeAlias = Literal["auto", "published", "live"]
"""`auto`: found out by an answer."""
Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the API's base URL. `path` is percent-encoded; `body` may hold secrets: no repr of it."""

    method: Method
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as it came. The body may hold secrets: no repr of it.

    `tries` counts the requests it took; `doubt` says that an earlier one of them may have acted, its answer lost.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    retry_after: float | None = None
    tries: int = 1
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """What an answer says, and the secrets that came with it, so that they can be masked elsewhere."""

    value: T
    secrets: tuple[SecretStr, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """A request, and how to read its answer. `decode` raises an `errors.Failure` for what is no success."""

    request: Request
    decode: Callable[[Answer], Decoded[T]]


def path_of(*segments: str) -> str:
    """A path of which every segment is one segment, whatever is in it.

    Raises:
        ValueError: for an empty or dot segment, which no quoting can make safe (RFC 3986, 5.2.4).
    """
    path = ""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError("not a path segment")
        path += "/" + quote(segment, safe="")
    return path


def query_of(values: Mapping[str, str | int | None]) -> tuple[tuple[str, str], ...]:
    """The query's pairs, in the given order, without the absent ones."""
    return tuple((name, str(value)) for name, value in values.items() if value is not None)


class Codec(Protocol):
    """One dialect. Every method is pure and raises `Unsupported` for what the dialect cannot express."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def makes_safety_snapshots(self) -> bool:
        """Whether a restore request can ask the API for a safety snapshot."""
        ...

    # With `named`, items of another name may be left out of a list: whoever looks for one of that name need not wait
    # for all others to be read.

    def list_drives(self, query: DriveQuery, named: str | None = None) -> Operation[Page[SharedDrive]]: ...
    def create_drive(self, new: NewDrive) -> Operation[SharedDrive]: ...
    def get_drive(self, id: str) -> Operation[SharedDrive]: ...
    def check_drive(self, change: DriveChange) -> None: ...
    def update_drive(self, id: str, change: DriveChange) -> Operation[SharedDrive]: ...
    def delete_drive(self, id: str) -> Operation[None]: ...

    def list_snapshots(self, query: SnapshotQuery, named: str | None = None) -> Operation[Page[Snapshot]]: ...
    def create_snapshot(self, new: NewSnapshot) -> Operation[Snapshot]: ...
    def get_snapshot(self, id: str) -> Operation[Snapshot]: ...
    def update_snapshot(self, id: str, change: SnapshotChange) -> Operation[Snapshot]: ...
    def delete_snapshot(self, id: str) -> Operation[MachineEvent | None]: ...
    def restore_snapshot(self, id: str, safety_snapshot: bool) -> Operation[MachineEvent | None]: ...

    def list_providers(self, query: Query, named: str | None = None) -> Operation[Page[StorageProvider]]: ...
    def create_provider(self, new: NewProvider) -> Operation[StorageProvider]: ...
    def get_provider(self, id: str) -> Operation[StorageProvider]: ...
    def check_provider(self, new: NewProvider) -> None: ...
    def update_provider(self, id: str, new: NewProvider, present: StorageProvider) -> Operation[StorageProvider]: ...
    def delete_provider(self, id: str) -> Operation[None]: ...

    def utilization(self) -> Operation[StorageUtilization]: ...
    def get_event(self, id: str) -> Operation[MachineEvent]: ...
    def team_name(self) -> Operation[str]: ...

    def schedule(self, machine_id: str) -> Operation[Schedule | None]: ...
    def list_machines(self, query: PlaceQuery) -> Operation[Page[Machine]]: ...
    def list_networks(self, query: PlaceQuery) -> Operation[Page[PrivateNetwork]]: ...
