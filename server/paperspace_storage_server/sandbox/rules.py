"""What the API does, whatever the dialect: looking up, refusing, changing, events, utilization; knows no HTTP.

One `TeamRules` lives as long as one request: it sees one team at one moment.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypedDict

from .refusals import bad_request, conflict, not_found
from .store import AnyRow, Drive, Event, Machine, Network, Provider, Snapshot, Store, Team, Window

REGIONS = ("ny2", "ca1", "ams1")
LONGEST_NAME = 255
LARGEST_DRIVE = 1_000_000  # GB
GB = 10**9
FREE_STORAGE = 5 * 10**12
"""What the plan includes, in bytes."""
FAILS = "sandbox-fail"
"""The events of a snapshot with exactly this name end in an error."""

_HOUR = 3_600_000
_PERIODS = {"hourly": _HOUR, "daily": 24 * _HOUR, "weekly": 7 * 24 * _HOUR}  # in milliseconds
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NEW_FOR = 0.2  # of an event's time

EventState = Literal["new", "in progress", "done", "error"]


@dataclass(frozen=True, slots=True)
class Utilization:
    """A team's storage by kind, in bytes."""

    team: str
    datasets: int
    models: int
    notebooks: int
    shared: int

    @property
    def total(self) -> int:
        return self.datasets + self.models + self.notebooks + self.shared

    @property
    def free(self) -> int:
        return FREE_STORAGE

    @property
    def remaining(self) -> int:
        return max(0, FREE_STORAGE - self.total)


class ProviderSettings(TypedDict, total=False):
    """What a caller decides of a provider."""

    name: str
    type: str
    bucket: str | None
    region: str | None
    endpoint: str | None
    access_key: str | None
    secret_key: str | None
    signature_version: str | None
    retain_data: bool
    is_team_default: bool


class TeamRules:
    """The API's operations for one team at one moment. Each may raise a Refusal."""

    def __init__(self, store: Store, team: Team, now: int, event_ms: int | None) -> None:
        """`now` in milliseconds, as is `event_ms`, an event's length.

        Where that is None, nothing is asynchronous: an operation is done when answered, neither waits
        for another nor fails later.
        """
        self._store = store
        self._team = team
        self._now = now
        self._event_ms = event_ms

    @property
    def team(self) -> Team:
        """Whose key it is."""
        return self._team

    # Shared drives

    def drives(self, window: Window, name: str | None = None, region: str | None = None) -> list[Drive]:
        return self._list(Drive, window, {"name": name, "region": region})

    def drive(self, drive_id: str) -> Drive:
        return self._get(Drive, drive_id, "Shared drive")

    def create_drive(self, *, name: str, size: int, region: str, network: str) -> Drive:
        """A network that is not the team's is not found; one in another region cannot hold the drive."""
        if self._get(Network, network, "Private network").region != region:
            raise bad_request("The private network is in another region.")
        self._free_drive_name(name, region)
        drive_id = _new_id("sd")
        return self._store.add(
            Drive(
                id=drive_id,
                team=self._team.id,
                created=self._now,
                name=name,
                size=size,
                region=region,
                network=network,
                mount_point=f"//10.64.{secrets.randbelow(256)}.{2 + secrets.randbelow(250)}/{drive_id}",
                username=_new_id("u")[:8],
                password=secrets.token_urlsafe(15),
            )
        )

    def update_drive(self, drive_id: str, *, name: str | None = None, size: int | None = None) -> Drive:
        """A drive grows, never shrinks."""
        drive = self.drive(drive_id)
        if size is not None and size < drive.size:
            raise bad_request("A shared drive cannot shrink.")
        if name is not None and name != drive.name:
            self._free_drive_name(name, drive.region)
        return self._change(drive, {"name": name, "size": size})

    def delete_drive(self, drive_id: str) -> Drive:
        return self._store.change(self.drive(drive_id), {"deleted": self._now})

    def _free_drive_name(self, name: str, region: str) -> None:
        if self.drives(Window(limit=1), name, region):
            raise conflict("A shared drive with this name exists in this region.")

    # Snapshots

    def snapshots(self, window: Window, machine: str | None = None) -> list[Snapshot]:
        return self._list(Snapshot, window, {"machine": machine})

    def snapshots_after(self, last_id: str | None, limit: int | None, machine: str | None) -> list[Snapshot]:
        """The snapshots, newest first, that follow the one with the id; that one may be deleted by now."""
        after = None
        if last_id is not None:
            last = self._store.find(Snapshot, self._team.id, last_id)
            if last is None:
                raise bad_request("'after' is not the id of a snapshot.")
            after = (last.created, last.seq)
        return self.snapshots(Window(after=after, limit=limit), machine)

    def snapshot(self, snapshot_id: str) -> Snapshot:
        return self._get(Snapshot, snapshot_id, "Snapshot")

    def create_snapshot(self, *, machine: str, name: str, note: str | None = None) -> tuple[Snapshot, Event]:
        """The snapshot is listed at once, while its event still runs; its name need not be new."""
        snapshot = self._take_snapshot(machine, name, note)
        return snapshot, self._happen("snapshot-create", snapshot)

    def update_snapshot(self, snapshot_id: str, *, name: str | None = None, note: str | None = None) -> Snapshot:
        return self._change(self.snapshot(snapshot_id), {"name": name, "note": note})

    def delete_snapshot(self, snapshot_id: str) -> tuple[Snapshot, Event]:
        """The snapshot is there until its event is done, and stays where the event fails."""
        snapshot = self.snapshot(snapshot_id)
        self._idle(snapshot.machine)
        event = self._happen("snapshot-delete", snapshot)
        if not event.fails:
            snapshot = self._store.change(snapshot, {"deleted": event.finishes})
        return snapshot, event

    def restore_snapshot(self, snapshot_id: str, *, save_first: bool = False) -> tuple[Snapshot, Event]:
        """With `save_first` the machine's present state becomes a snapshot before the restore begins."""
        snapshot = self.snapshot(snapshot_id)
        self._idle(snapshot.machine)
        if save_first:
            name = f"Before restore of {snapshot.name}"[:LONGEST_NAME]
            safety = self._take_snapshot(snapshot.machine, name, is_auto=True)
            self._happen("snapshot-create", safety, share=_NEW_FOR)
        event = self._happen("snapshot-restore", snapshot)
        if not event.fails:
            machine = self._get(Machine, snapshot.machine, "Machine")
            self._store.change(machine, {"disk_bytes": snapshot.storage_bytes})
        return snapshot, event

    def take_automatic_snapshots(self) -> None:
        """What the machines took by themselves since anyone last asked; a sandbox has no clockwork of its own.

        Of a long time only what would still be kept is taken.
        """
        for machine in self._store.due(self._team.id, self._now):
            period = _PERIODS[machine.auto_every or "daily"]
            first = machine.auto_next or self._now
            following = first + ((self._now - first) // period + 1) * period
            for at in range(max(first, following - machine.auto_kept * period), following, period):
                day = datetime.fromtimestamp(at // 1000, UTC)
                taken = self._take_snapshot(machine.id, f"Automatic snapshot {day:%Y-%m-%d}", is_auto=True, at=at)
                self._happen("snapshot-create", taken, at=at)
            mine = self.snapshots(Window(), machine.id)
            for surplus in [snapshot for snapshot in mine if snapshot.is_auto][machine.auto_kept :]:
                self._store.change(surplus, {"deleted": self._now})
            self._store.change(machine, {"auto_next": following})

    # Machines and private networks

    def machines(self, window: Window, name: str | None = None, region: str | None = None) -> list[Machine]:
        return self._list(Machine, window, {"name": name, "region": region})

    def networks(self, window: Window, name: str | None = None, region: str | None = None) -> list[Network]:
        return self._list(Network, window, {"name": name, "region": region})

    # Machine events

    def events(self, window: Window, machine: str | None = None) -> list[Event]:
        return self._list(Event, window, {"machine": machine})

    def event(self, event_id: str) -> Event:
        return self._get(Event, event_id, "Machine event")

    def state(self, event: Event) -> EventState:
        """Follows from the time alone."""
        if self._now < event.starts:
            return "new"
        if self._now < event.finishes:
            return "in progress"
        return "error" if event.fails else "done"

    def _take_snapshot(
        self, machine: str, name: str, note: str | None = None, *, is_auto: bool = False, at: int | None = None
    ) -> Snapshot:
        disk = self._get(Machine, machine, "Machine").disk_bytes
        return self._store.add(
            Snapshot(
                id=_new_id("ss"),
                team=self._team.id,
                created=self._now if at is None else at,
                machine=machine,
                name=name,
                note=note,
                storage_bytes=disk,
                is_auto=is_auto,
            )
        )

    def _happen(self, name: str, snapshot: Snapshot, share: float = 1, at: int | None = None) -> Event:
        created = self._now if at is None else at
        lasts = (self._event_ms or 0) * share
        event = Event(
            id=_new_id("me"),
            team=self._team.id,
            created=created,
            machine=snapshot.machine,
            name=name,
            starts=created + int(lasts * _NEW_FOR),
            finishes=created + int(lasts),
            fails=snapshot.name == FAILS and self._event_ms is not None,
        )
        return self._store.add(event)

    def _idle(self, machine: str) -> None:
        if self._event_ms is None:
            return
        running = self._store.running(self._team.id, machine, self._now)
        if any(event.name in ("snapshot-delete", "snapshot-restore") for event in running):
            raise conflict("A snapshot of this machine is being deleted or restored: wait for that event to end.")

    # Storage providers

    def providers(self, window: Window, kind: str | None = None) -> list[Provider]:
        return self._list(Provider, window, {"type": kind})

    def provider(self, provider_id: str) -> Provider:
        return self._get(Provider, provider_id, "Storage provider")

    def create_provider(self, settings: ProviderSettings) -> Provider:
        self._settle(settings)
        fresh = Provider(id=_new_id("sp"), team=self._team.id, created=self._now, name="", type="s3")
        return self._store.change(self._store.add(fresh), settings)

    def replace_provider(self, provider_id: str, settings: ProviderSettings) -> Provider:
        """Every setting that is named changes, to nothing where it is None."""
        provider = self.provider(provider_id)
        self._settle(settings, provider)
        return self._store.change(provider, settings)

    def delete_provider(self, provider_id: str) -> Provider:
        return self._store.change(self.provider(provider_id), {"deleted": self._now})

    def _settle(self, settings: ProviderSettings, of: Provider | None = None) -> None:
        others = [other for other in self.providers(Window()) if of is None or other.id != of.id]
        if any(other.name == settings.get("name") for other in others):
            raise conflict("A storage provider with this name exists.")
        if settings.get("is_team_default"):
            for other in others:
                self._store.change(other, {"is_team_default": False})

    # Utilization

    def utilization(self) -> Utilization:
        """Computed from what is stored."""
        sizes = [drive.size for drive in self.drives(Window())]
        team = self._team
        return Utilization(team.id, team.datasets, team.models, team.notebooks, sum(sizes) * GB)

    # Rows

    def _get(self, kind: type[AnyRow], row_id: str, what: str) -> AnyRow:
        row = self._store.find(kind, self._team.id, row_id)
        if row is None or (row.deleted is not None and row.deleted <= self._now):
            raise not_found(what)
        return row

    def _list(self, kind: type[AnyRow], window: Window, equal: Mapping[str, str | None]) -> list[AnyRow]:
        return self._store.select(kind, self._team.id, self._now, equal, window)

    def _change(self, row: AnyRow, changes: Mapping[str, object]) -> AnyRow:
        return self._store.change(row, {name: value for name, value in changes.items() if value is not None})


def _new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(9))
