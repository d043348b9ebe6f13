"""The sample team that every new API key finds; knows the store only."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from .store import Drive, Event, Machine, Network, Provider, Snapshot, Store, Team

GB = 10**9
_SECOND = 1000
HOUR = 3600 * _SECOND
DAY = 24 * HOUR
SMALL = "0123456789abcdefghijklmnopqrstuvwxyz"
MIXED = SMALL + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _Drive(NamedTuple):
    name: str
    size: int
    region: str
    host: str
    age: int


class _Machine(NamedTuple):
    name: str
    region: str
    type: str
    state: str
    used: int
    size: int
    auto_kept: int


class _Manual(NamedTuple):
    machine: str
    name: str
    note: str | None
    size: int
    age: int


ADDRESSES = {"ny2": "10.64.0.0", "ca1": "10.72.0.0", "ams1": "10.80.0.0"}
"""The private network of a region."""
_NETWORKS = {"ny2": "research-ny2", "ca1": "render-ca1", "ams1": "serving-ams1"}
_DRIVES = (
    _Drive("datasets", 2000, "ny2", "10.64.12.4", 210 * DAY),
    _Drive("eu-archive", 250, "ams1", "10.80.3.9", 150 * DAY),
    _Drive("model-checkpoints", 1000, "ny2", "10.64.12.5", 96 * DAY),
    _Drive("render-cache", 500, "ca1", "10.72.7.21", 61 * DAY),
    _Drive("team-home", 250, "ny2", "10.64.12.8", 23 * DAY),
)
# Those that keep automatic snapshots take one a week.
_MACHINES = (
    _Machine("llm-trainer", "ny2", "A100-80G", "ready", 184 * GB, 500 * GB, 2),
    _Machine("notebook-box", "ny2", "RTX5000", "ready", 46 * GB, 100 * GB, 1),
    _Machine("render-01", "ca1", "RTX4000", "off", 97 * GB, 250 * GB, 0),
    _Machine("eu-inference", "ams1", "A4000", "ready", 128 * GB, 250 * GB, 3),
)
# The machine, how many days ago it was taken (at 03:00 UTC), its size; a machine's newest last.
_AUTOMATIC = (
    ("llm-trainer", 8, 176 * GB),
    ("eu-inference", 4, 127 * GB),
    ("render-01", 3, 96 * GB),
    ("notebook-box", 2, 45 * GB),
    ("llm-trainer", 1, 183 * GB),
)
_MANUAL = (
    _Manual("llm-trainer", "Clean Ubuntu 22.04 with drivers", "The image every trainer starts from", 21 * GB, 26 * DAY),
    _Manual("render-01", "Blender 4.2 baseline", None, 88 * GB, 19 * DAY),
    _Manual("eu-inference", "vLLM serving baseline", "Serves the support model", 120 * GB, 12 * DAY + 5 * HOUR),
    _Manual("notebook-box", "Working JupyterLab setup", None, 41 * GB, 9 * DAY + 2 * HOUR),
    _Manual("llm-trainer", "Before CUDA 12.8 upgrade", "Roll back here if NCCL hangs", 180 * GB, 3 * DAY + 4 * HOUR),
    _Manual("eu-inference", "Before kernel upgrade", None, 128 * GB, 2 * DAY + 7 * HOUR),
    _Manual("notebook-box", "Before pip clean-up", None, 46 * GB, 5 * HOUR),
)
_SNAPSHOT_TAKES = 95 * _SECOND


class Maker:
    """Makes ids and secrets that follow from a key's hash and a label alone."""

    def __init__(self, key_hash: str) -> None:
        self._key_hash = key_hash

    def __call__(self, prefix: str, label: str, length: int = 9, alphabet: str = SMALL) -> str:
        return prefix + _derived(f"{self._key_hash}:{prefix}:{label}", length, alphabet)


def seed(store: Store, key_hash: str, now: int) -> Team:
    """Adds the sample team of a key; ids and secrets follow from the key's hash, dates from `now`."""
    made = Maker(key_hash)
    team = store.add(
        Team(
            id=made("te", "team"),
            team=made("te", "team"),
            created=now - 240 * DAY,
            key_hash=key_hash,
            datasets=312_400_000_000,
            models=148_750_000_000,
            notebooks=27_310_000_000,
        )
    )
    for region, name in _NETWORKS.items():
        store.add(
            Network(
                id=made("ne", region),
                team=team.id,
                created=now - 230 * DAY,
                name=name,
                region=region,
                address=ADDRESSES[region],
            )
        )
    for drive in _DRIVES:
        drive_id = made("sd", drive.name)
        store.add(
            Drive(
                id=drive_id,
                team=team.id,
                created=now - drive.age,
                name=drive.name,
                size=drive.size,
                region=drive.region,
                network=made("ne", drive.region),
                mount_point=f"//{drive.host}/{drive_id}",
                username=made("u", drive.name, 7),
                password=made("", f"password of {drive.name}", 20, MIXED),
            )
        )
    last = {machine: now // DAY * DAY - days * DAY + 3 * HOUR for machine, days, _ in _AUTOMATIC}
    for machine in _MACHINES:
        store.add(
            Machine(
                id=made("ps", machine.name),
                team=team.id,
                created=now - 200 * DAY,
                name=machine.name,
                region=machine.region,
                network=made("ne", machine.region),
                type=machine.type,
                state=machine.state,
                disk_bytes=machine.used,
                disk_size=machine.size,
                auto_every="weekly" if machine.auto_kept else None,
                auto_kept=machine.auto_kept,
                auto_next=last[machine.name] + 7 * DAY if machine.auto_kept else None,
            )
        )
    _seed_snapshots(store, team, now, made)
    store.add(
        Provider(
            id=made("sp", "team-artifacts"),
            team=team.id,
            created=now - 190 * DAY,
            name="team-artifacts",
            type="s3",
            bucket="sandbox-team-artifacts",
            region="us-east-1",
            access_key=made("SANDBOXKEY", "access", 10, SMALL.upper()),
            secret_key=made("sandbox/not/real/", "secret", 23, MIXED),
            is_team_default=True,
        )
    )
    return team


def _seed_snapshots(store: Store, team: Team, now: int, made: Maker) -> None:
    snapshots: list[Snapshot] = []
    for machine, days, size in _AUTOMATIC:
        created = now // DAY * DAY - days * DAY + 3 * HOUR
        snapshots.append(
            Snapshot(
                id=made("ss", f"{machine} {days} days ago"),
                team=team.id,
                created=created,
                machine=made("ps", machine),
                name=f"Automatic snapshot {datetime.fromtimestamp(created // 1000, UTC):%Y-%m-%d}",
                storage_bytes=size,
                is_auto=True,
            )
        )
    for manual in _MANUAL:
        snapshots.append(  # noqa: PERF401 - side by side with the loop above
            Snapshot(
                id=made("ss", manual.name),
                team=team.id,
                created=now - manual.age,
                machine=made("ps", manual.machine),
                name=manual.name,
                note=manual.note,
                storage_bytes=manual.size,
            )
        )
    add_snapshots(store, made, snapshots)


def add_snapshots(store: Store, made: Maker, snapshots: Iterable[Snapshot]) -> None:
    """Stores snapshots in the order of their dates, each with the event that made it."""
    for snapshot in sorted(snapshots, key=lambda row: row.created):
        store.add(snapshot)
        store.add(
            Event(
                id=made("me", snapshot.id),
                team=snapshot.team,
                created=snapshot.created,
                machine=snapshot.machine,
                name="snapshot-create",
                starts=snapshot.created + 4 * _SECOND,
                finishes=snapshot.created + _SNAPSHOT_TAKES,
            )
        )


def _derived(label: str, length: int, alphabet: str) -> str:
    number = int.from_bytes(hashlib.sha256(label.encode()).digest())
    letters: list[str] = []
    for _ in range(length):
        number, place = divmod(number, len(alphabet))
        letters.append(alphabet[place])
    return "".join(letters)
