"""Many creations under random faults, and the count of what went wrong."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field

from paperspace_storage_server.wire.messages import Dialect
from support.fault_proxy import FAULTS, SLOW, Fault, Seen
from support.faulted import Bed, faulted

_FAULTS = tuple(one for one in FAULTS if one.name not in SLOW and one.name != "latency 20 ms")
_SPOILT = {"POST": 0.6, "GET": 0.15}  # share of the requests


@dataclass(slots=True)
class Tally:
    """A success is wrong where what it names is not there, is not as asked for, or was there before."""

    calls: int = 0
    successes: int = 0
    unknown: int = 0
    failures: int = 0
    duplicates: int = 0
    wrong_successes: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.calls + other.calls,
            self.successes + other.successes,
            self.unknown + other.unknown,
            self.failures + other.failures,
            self.duplicates + other.duplicates,
            self.wrong_successes + other.wrong_successes,
            self.faults + other.faults,
        )


async def faulted_creates(dialect: Dialect, calls: int, chance: random.Random) -> Tally:
    """Create snapshots, every fifth under a name that an older one has; then compare with what is there."""
    tally = Tally(calls=calls)

    def choose(seen: Seen) -> Fault | None:
        if chance.random() >= _SPOILT[seen.method]:
            return None
        fault = chance.choice(_FAULTS)
        tally.faults[fault.name] += 1
        return fault

    async with faulted(dialect) as bed:
        machines = sorted({str(one["machineId"]) for one in await bed.items("/snapshots")})
        made: Counter[tuple[str, str]] = Counter()
        claimed: set[str] = set()
        bed.proxy.choose = choose
        for number in range(calls):
            machine, name = chance.choice(machines), f"nightly {number - number % 5}"
            before = await _there(bed, machine, name)
            ok, text = await bed.call("create_snapshot", machineId=machine, name=name)
            after = await _there(bed, machine, name)
            new = after - before
            made[machine, name] += len(new)
            tally.duplicates += max(0, len(new) - 1)
            if ok:
                tally.successes += 1
                id = str(json.loads(text)["id"])
                tally.wrong_successes += id not in new or id in claimed
                claimed.add(id)
            elif "unknown" in text:
                tally.unknown += 1
            else:
                tally.failures += 1
                tally.wrong_successes += bool(new)  # "nothing was changed", and something was
    return tally


async def _there(bed: Bed, machine: str, name: str) -> set[str]:
    """The ids of that name, over all pages."""
    limit = "&limit=120" if bed.dialect == "live" else ""
    items = await bed.items(f"/snapshots?machineId={machine}{limit}")
    return {str(one["id"]) for one in items if one["name"] == name}
