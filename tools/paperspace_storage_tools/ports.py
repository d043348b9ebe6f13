"""What the tools need of the world: an API, one Protocol a resource group, and a call that guards them.

The tools know nothing behind these. Values that go down are the frozen classes below; what comes up are
the models; every failure is an `errors.Failure`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from pydantic import SecretStr

from paperspace_storage_tools.arguments import Order, OrderBy
from paperspace_storage_tools.errors import Kind
from paperspace_storage_tools.models import (
    Machine,
    MachineEvent,
    Page,
    PrivateNetwork,
    ProviderType,
    SharedDrive,
    Snapshot,
    StorageProvider,
    StorageUtilization,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which part of a list. `after` is the previous page's `nextPage`."""

    after: str | None = None
    limit: int | None = None
    order_by: OrderBy | None = None
    order: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceQuery(Query):
    """`name` and `region` are exact."""

    name: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveQuery(PlaceQuery):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotQuery(Query):
    """`automatic` asks the API nothing: whoever means to filter by it learns whether its answers tell at all."""

    machine_id: str | None = None
    automatic: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDrive:
    """`size` in GB."""

    name: str
    size: int
    region: str
    private_network_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveChange:
    """Only what is not None changes. `size` in GB."""

    name: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSnapshot:
    machine_id: str
    name: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotChange:
    """Only what is not None changes."""

    name: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair of an object store. Opened only where a request is encoded."""

    access_key: SecretStr
    secret_key: SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProvider:
    """A provider as create and update (a full replacement) take it."""

    name: str
    type: ProviderType
    bucket: str | None = None
    region: str | None = None
    endpoint: str | None = None
    is_team_default: bool | None = None
    credentials: Credentials | None = None


class SharedDrives(Protocol):
    async def list(self, query: DriveQuery) -> Page[SharedDrive]: ...
    async def create(self, new: NewDrive) -> SharedDrive: ...
    async def get(self, id: str) -> SharedDrive: ...
    async def update(self, id: str, change: DriveChange) -> SharedDrive: ...

    async def check_change(self, change: DriveChange) -> None:
        """Raise `Unsupported` for what the API cannot express, before anybody is asked about it."""
        ...

    async def delete(self, id: str) -> None: ...


Then: TypeAlias = Callable[[Snapshot], Awaitable[Snapshot]]


class Snapshots(Protocol):
    async def list(self, query: SnapshotQuery) -> Page[Snapshot]: ...

    async def create(self, new: NewSnapshot, *, again: bool = True, then: Then | None = None) -> Snapshot:
        """Create at most once. `again`: what an earlier request for the same has made is as good as a new one.
        `then`: what the call waits for with what was made, before it has answered."""
        ...

    async def get(self, id: str) -> Snapshot: ...
    async def update(self, id: str, change: SnapshotChange) -> Snapshot: ...
    async def delete(self, id: str) -> MachineEvent | None: ...

    async def restore(self, id: str, *, safety_snapshot: bool) -> MachineEvent | None:
        """Ask for the restore. Where `makes_safety_snapshots` is false, `safety_snapshot` must be false."""
        ...

    async def makes_safety_snapshots(self) -> bool:
        """Whether the API itself snapshots the machine before a restore when asked to."""
        ...


class StorageProviders(Protocol):
    async def list(self, query: Query) -> Page[StorageProvider]: ...
    async def create(self, new: NewProvider) -> StorageProvider: ...
    async def get(self, id: str) -> StorageProvider: ...

    async def check_new(self, new: NewProvider) -> None:
        """Raise `Unsupported` for what the API cannot express, before anybody is asked about it."""
        ...

    async def update(self, id: str, new: NewProvider, present: StorageProvider) -> StorageProvider:
        """Replace it. `present` is what is there: what the tool has no argument for is taken over from it."""
        ...

    async def delete(self, id: str) -> None: ...


class Utilization(Protocol):
    async def get(self) -> StorageUtilization: ...


class MachineEvents(Protocol):
    async def get(self, id: str) -> MachineEvent: ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a machine is snapshotted by itself, and how many of those are kept."""

    enabled: bool | None
    frequency: str | None
    kept: int | None


class Machines(Protocol):
    async def list(self, query: PlaceQuery) -> Page[Machine]: ...

    async def schedule(self, id: str) -> Schedule | None:
        """For what a question can do without; None where the API does not say it, or not at once."""
        ...


class PrivateNetworks(Protocol):
    async def list(self, query: PlaceQuery) -> Page[PrivateNetwork]: ...


class Storage(Protocol):
    """The API, within one tool call's budget."""

    @property
    def drives(self) -> SharedDrives: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def providers(self) -> StorageProviders: ...
    @property
    def utilization(self) -> Utilization: ...
    @property
    def events(self) -> MachineEvents: ...
    @property
    def machines(self) -> Machines: ...
    @property
    def networks(self) -> PrivateNetworks: ...


Act: TypeAlias = Literal["delete", "restore", "shrink", "redirect", "displace"]
"""What is confirmed: `redirect` points a provider at another place, `displace` makes another the team's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtStake:
    """What a call would destroy, redirect or shrink, in plain words for the person who is asked.

    `facts` are short phrases (size, machine, age, what is lost), names in them in quotes (`text.in_quotes`);
    `also` are other ids and names that protection covers, such as the machine a restore writes over; `unsaid` is what
    protection would have to know and the API's answer does not say.
    """

    kind: Kind
    id: str
    name: str
    facts: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    unsaid: Literal["", "the name", "the machine"] = ""


Look = Callable[[], Awaitable[AtStake]]
Remark = Callable[[], Awaitable[tuple[str, ...]]]
"""Facts for whoever decides, looked up only where somebody reads them: nothing is decided by them here."""


class Call(Protocol):
    """One tool call: the API, and what stands between the caller and harm."""

    @property
    def storage(self) -> Storage: ...

    async def allow(self, act: Act, look: Look, *, confirm: str | None, remark: Remark | None = None) -> AtStake:
        """Look, refuse what is protected, have a person or a typed name confirm; what was shown is returned.

        Raises `Protected` or `NotConfirmed`; otherwise the resource is
        still what was shown. A surface may run the tool again with the person's reply, so nothing is written before.
        """
        ...

    @property
    def protects(self) -> bool:
        """Whether the operator protects anything, so that a change has to look first."""
        ...

    def refuse_protected(self, at_stake: AtStake, act: str) -> None:
        """Raise `Protected` where the operator's globs cover it, `ProtectionUnknown` where nobody can say.

        `act` is a participle ("renamed").
        """
        ...

    def credentials(self, profile: str, *, endpoint: str | None, bucket: str | None) -> Credentials:
        """The named profile's keys, for use there. Raises `UnknownProfile` or `ProfilePinned`."""
        ...

    def left(self) -> float:
        """Seconds left of this call's budget."""
        ...

    async def pause(self, seconds: float) -> None: ...

    async def progress(self, done: float, total: float, message: str) -> None: ...

    def notice(self, sentence: str) -> None:
        """Say one more sentence beside the result."""
        ...
