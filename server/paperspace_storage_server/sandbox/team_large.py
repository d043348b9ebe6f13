"""A large team, for questions that a sample cannot ask: 2,000 snapshots and 150 drives; knows the store only."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import NamedTuple

from .store import Drive, Machine, Network, Provider, Snapshot, Store, Team
from .team import ADDRESSES, DAY, GB, HOUR, MIXED, SMALL, Maker, add_snapshots

_PROJECTS = ("atlas", "borealis", "cobalt", "dorado", "ember", "fjord", "garnet", "helios")
_REGIONS = ("ny2", "ca1", "ams1")
_PURPOSES = ("datasets", "checkpoints", "scratch", "archive", "logs", "exports")
_YEARS = (2024, 2025, 2026)
_SHARED = ("team-home", "team-tools")
_SIZES = (250, 500, 500, 1000, 2000)  # GB
_REASONS = (
    "Before kernel upgrade",
    "Before CUDA upgrade",
    "Before pip clean-up",
    "Working environment",
    "Release candidate",
    "Clean image",
    "After data import",
)


class _Role(NamedTuple):
    """A machine of some projects: what it is, and how many snapshots of it there are."""

    name: str
    projects: tuple[str, ...]
    type: str
    size: int
    manual: int
    automatic: int
    every: str | None


_ROLES = (
    _Role("notebook", _PROJECTS[5:6], "RTX5000", 100 * GB, 0, 0, None),
    _Role("serve", _PROJECTS[:5], "A4000", 250 * GB, 142, 8, "weekly"),
    _Role("train", _PROJECTS[:5], "A100-80G", 1000 * GB, 220, 30, "daily"),
)
_OLDEST = 400  # days


def seed_large(store: Store, key_hash: str, now: int) -> Team:
    """Adds the large team of a key: eight projects with 18 drives each, six drives for all, and eleven machines.

    Ids, sizes and secrets follow from the key's hash, dates from `now`.
    """
    made = Maker(key_hash)
    team = store.add(
        Team(
            id=made("te", "team"),
            team=made("te", "team"),
            created=now - 900 * DAY,
            key_hash=key_hash,
            datasets=2_912_400_000_000,
            models=1_148_750_000_000,
            notebooks=207_310_000_000,
        )
    )
    for region in _REGIONS:
        network = Network(
            id=made("ne", region),
            team=team.id,
            created=now - 890 * DAY,
            name=f"main-{region}",
            region=region,
            address=ADDRESSES[region],
        )
        store.add(network)
    for drive in sorted(_drives(team, made, now), key=lambda row: row.created):
        store.add(drive)
    snapshots: list[Snapshot] = []
    for role in _ROLES:
        for project in role.projects:
            region = _REGIONS[_PROJECTS.index(project) % len(_REGIONS)]
            machine = _machine(team, made, project, role, region, now)
            store.add(machine)
            snapshots += _snapshots(made, machine, role, now)
    add_snapshots(store, made, snapshots)
    for number, project in enumerate(_PROJECTS):
        store.add(_provider(team, made, project, now, is_team_default=number == 0))
    return team


def _drives(team: Team, made: Maker, now: int) -> Iterator[Drive]:
    names = [
        (f"{project}-{purpose}-{year}", _REGIONS[number % len(_REGIONS)])
        for (number, project), purpose, year in product(enumerate(_PROJECTS), _PURPOSES, _YEARS)
    ]
    names += [(name, region) for name, region in product(_SHARED, _REGIONS)]
    for name, region in names:
        label = f"{name} {region}"
        drive_id = made("sd", label)
        address = ADDRESSES[region].removesuffix("0.0")
        yield Drive(
            id=drive_id,
            team=team.id,
            created=now - _some(label, 800) * DAY - _some(f"time of {label}", DAY),
            name=name,
            size=_SIZES[_some(f"size of {label}", len(_SIZES))],
            region=region,
            network=made("ne", region),
            mount_point=f"//{address}{_some(label, 250)}.{_some(drive_id, 250) + 2}/{drive_id}",
            username=made("u", label, 7),
            password=made("", f"password of {label}", 20, MIXED),
        )


def _machine(team: Team, made: Maker, project: str, role: _Role, region: str, now: int) -> Machine:
    name = f"{project}-{role.name}"
    period = 7 * DAY if role.every == "weekly" else DAY
    return Machine(
        id=made("ps", name),
        team=team.id,
        created=now - (_OLDEST + 1) * DAY,
        name=name,
        region=region,
        network=made("ne", region),
        type=role.type,
        state="ready" if role.every else "off",
        disk_bytes=role.size // 100 * (40 + _some(name, 50)),
        disk_size=role.size,
        auto_every=role.every,
        auto_kept=role.automatic,
        # The last one was half a period ago, so that for hours nothing happens by itself.
        auto_next=now + period // 2 if role.every else None,
    )


def _snapshots(made: Maker, machine: Machine, role: _Role, now: int) -> Iterator[Snapshot]:
    times = [now - HOUR - _some(f"{machine.name} {number}", _OLDEST * DAY) for number in range(role.manual)]
    for number, created in enumerate(sorted(times)):
        label = f"{machine.name} {number}"
        yield _snapshot(made, machine, label, f"{_REASONS[_some(label, len(_REASONS))]} {number + 1}", created)
    if machine.auto_next is not None:
        period = (machine.auto_next - now) * 2
        for number in range(1, role.automatic + 1):
            created = machine.auto_next - number * period
            name = f"Automatic snapshot {datetime.fromtimestamp(created // 1000, UTC):%Y-%m-%d}"
            yield _snapshot(made, machine, f"{machine.name} automatic {number}", name, created, is_auto=True)


def _snapshot(made: Maker, machine: Machine, label: str, name: str, created: int, *, is_auto: bool = False) -> Snapshot:
    return Snapshot(
        id=made("ss", label),
        team=machine.team,
        created=created,
        machine=machine.id,
        name=name,
        storage_bytes=machine.disk_bytes // 100 * (60 + _some(f"size of {label}", 40)),
        is_auto=is_auto,
    )


def _provider(team: Team, made: Maker, project: str, now: int, *, is_team_default: bool) -> Provider:
    return Provider(
        id=made("sp", project),
        team=team.id,
        created=now - 700 * DAY + _some(project, 300) * DAY,
        name=f"{project}-artifacts",
        type="s3",
        bucket=f"sandbox-{project}-artifacts",
        region="us-east-1",
        access_key=made("SANDBOXKEY", f"access {project}", 10, SMALL.upper()),
        secret_key=made("sandbox/not/real/", f"secret {project}", 23, MIXED),
        is_team_default=is_team_default,
    )


def _some(label: str, below: int) -> int:
    """A number from 0 on that follows from the label alone, the same for every key."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()) % below
