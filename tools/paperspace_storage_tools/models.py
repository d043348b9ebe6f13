"""What the tools answer, the same for every API dialect. Knows no HTTP and no wire format.

A field that the API did not give is `None` here and absent in the result. Secrets (a drive's password,
a provider's keys) have no field at all, so that no code path can send one out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct, field
from msgspec.json import Encoder

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


def shorten_instant(text: str) -> str:
    """The same instant with fewer characters: zero fractions, then zero seconds, are dropped (ISO 8601).

    `2026-02-02T01:01:00.000Z` costs a model four tokens more than `2026-02-02T01:01Z` and says no more.
    Text that is no such timestamp comes back unchanged.
    """
    if text.endswith(".000Z"):  # how production writes nearly all of them
        return text[:-8] + "Z" if text.endswith(":00.000Z") else text[:-5] + "Z"
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return text
    minutes, seconds, fraction, offset = match.groups()
    if fraction is not None and fraction.strip(".0"):
        return text
    return minutes + offset if seconds == ":00" else minutes + seconds + offset


if TYPE_CHECKING:
    Instant = str
else:

    class _EveryText(type):
        # Whatever was read as an instant is one. `id` is true of everything, and asked a hundred times a list in C.
        __instancecheck__ = id

    class Instant(metaclass=_EveryText):
        """By this class whoever reads a model's JSON knows which texts are timestamps. Every text belongs to it."""


ProviderType = Literal["s3", "gcs", "azure-blob"]
EVENT_STATES = ("new", "in progress", "done", "error", "cancelled")
"""As production describes them (live.openapi.yaml, MachineEvent). Another one is no failure: the API goes on."""


class Model(Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Base of every result: camelCase outside, as the API spells it; frozen inside. What is None is not written.

    The collector need not look at them: nothing in a result can lead back to it.
    """


class SharedDrive(Model, frozen=True):
    """A network drive. `size` is in GB."""

    id: str
    name: str | None = None
    size: int | None = None
    region: str | None = None
    private_network_id: str | None = None
    mount_point: str | None = None
    username: str | None = None
    dt_created: Instant | None = None
    dt_deleted: Instant | None = None


class MachineEvent(Model, frozen=True, kw_only=True):
    """One asynchronous operation on a machine, as production reports it."""

    id: str
    name: str | None = None
    state: Annotated[str, Meta(description=f"{', '.join(EVENT_STATES[:-1])} or {EVENT_STATES[-1]}")]
    error: str | None = None
    machine_id: str | None = None
    dt_created: Instant | None = None
    dt_started: Instant | None = None
    dt_finished: Instant | None = None

    @property
    def finished(self) -> bool:
        return self.state in ("done", "error", "cancelled")


class Snapshot(Model, frozen=True):
    """A machine's disk at one moment. `storageSize` is in bytes."""

    id: str
    machine_id: str | None = None
    name: str | None = None
    note: str | None = None
    storage_size: int | None = None
    is_auto_snapshot: bool | None = None
    dt_created: Instant | None = None
    event: MachineEvent | None = None


class StorageProvider(Model, frozen=True):
    """Where datasets, models and notebooks live; never with its keys."""

    id: str
    name: str | None = None
    type: ProviderType | None = None
    bucket: str | None = None
    region: str | None = None
    endpoint: str | None = None
    is_managed: bool | None = None
    is_team_default: bool | None = None
    retain_data: bool | None = None
    signature_version: str | None = None
    dt_created: Instant | None = None


class StorageUtilization(Model, frozen=True):
    """What the team stores, by kind, in bytes."""

    team_id: str | None = None
    datasets: int | None = None
    models: int | None = None
    notebooks: int | None = None
    shared_storage: int | None = None
    total: int | None = None
    free_total: int | None = None
    free_remaining: int | None = None


class Machine(Model, frozen=True):
    """What a snapshot can be made of. `storageUsed` and `storageTotal` are in bytes."""

    id: str
    name: str | None = None
    state: str | None = None
    region: str | None = None
    private_network_id: str | None = None
    auto_snapshot_enabled: bool | None = None
    auto_snapshot_save_count: int | None = None
    storage_used: int | None = None
    storage_total: int | None = None


class PrivateNetwork(Model, frozen=True):
    """What shared drives and machines of one region hang on."""

    id: str
    name: str | None = None
    region: str | None = None


class Deleted(Model, frozen=True):
    """What was deleted; `event` where the API goes on deleting after it answered."""

    id: str
    name: str | None = None
    deleted: Literal[True] = field(default_factory=lambda: True)  # what a factory gives is written
    event: MachineEvent | None = None


class Restored(Model, frozen=True):
    """A restore that was accepted. `safetySnapshot` is what the machine was before, where the API names it."""

    id: str
    machine_id: str | None = None
    status: Literal["initiated", "done"] = field(default_factory=lambda: "initiated")
    event: MachineEvent | None = None
    safety_snapshot: Snapshot | None = None


ItemT = TypeVar("ItemT")


class Page(Model, Generic[ItemT], frozen=True):
    """One page of a list. `nextPage` goes back as `after`, and is there only where there is more.

    `total` is there where the call that made the page has seen the whole list.
    """

    items: list[ItemT]
    has_more: bool
    next_page: str | None = None
    total: int | None = None


class Named(Model, frozen=True):
    """A resource by its id and name alone."""

    id: str
    name: str | None = None


class MachineSnapshots(Model, frozen=True, kw_only=True):
    """How many snapshots of one machine there are. `automatic` of them were not asked for by anyone, where the API
    tells; `newest` and `oldest` by the list's order, for production gives no dates."""

    machine_id: str | None = None
    snapshots: int
    automatic: int | None = None
    newest: Named
    oldest: Named


class SnapshotList(Model, frozen=True):
    """A page of snapshots, or with `machines` a summary of a list; `total` and `nextPage` as in `Page`.

    One object of which nothing is required, because clients refuse results that lack what a schema requires.
    """

    items: list[Snapshot] | None = None
    has_more: bool | None = None
    next_page: str | None = None
    total: int | None = None
    machines: list[MachineSnapshots] | None = None


_ENCODER = Encoder()


def written(model: Model) -> str:
    """A result as compact JSON."""
    return _ENCODER.encode(model).decode()
