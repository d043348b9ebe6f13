"""A team on the sandbox, read and prepared through the sandbox's own HTTP API; knows nothing of MCP.

The dialect is live: it shows the passwords and keys that no model may see, and the events.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

Row = Mapping[str, object]
Kind = Literal["drive", "snapshot", "provider", "disk"]

_SECRETS = frozenset({"password", "accessKey", "secretAccessKey"})
_PATIENCE = 20.0  # seconds until the API answers, or its events have ended


class EvalError(Exception):
    """The measurement itself could not be made: nothing is known of the agent."""


@dataclass(frozen=True, slots=True)
class State:
    """What a team has: by kind, its rows by id.

    A `disk` is a machine's: `storageUsed` in bytes, and `restores`, how often it was put back.
    """

    rows: Mapping[Kind, Mapping[str, Row]]
    networks: tuple[Row, ...] = ()
    utilization: Row = field(default_factory=dict[str, object])

    def named(self, kind: Kind, name: str) -> Row:
        """The only row of this name."""
        (row,) = [row for row in self.rows[kind].values() if row["name"] == name]
        return row

    def of_machine(self, name: str) -> list[Row]:
        """The snapshots of a machine, newest first."""
        machine = self.named("disk", name)["id"]
        return [row for row in self.rows["snapshot"].values() if row["machineId"] == machine]

    def secrets(self) -> frozenset[str]:
        """Passwords and keys of drives and providers."""
        return frozenset(_secrets_in([*self.rows["drive"].values(), *self.rows["provider"].values()]))


@dataclass(frozen=True, slots=True)
class Team:
    """One key's team, at the base URL of a sandbox."""

    base: str
    key: str

    def ask(self, method: str, path: str, body: Row | None = None) -> Row:
        """One request, and the object that answers it. Raises: EvalError."""
        request = urllib.request.Request(
            f"{self.base}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                return cast("Row", json.load(answer))
        except (OSError, ValueError) as error:
            raise EvalError(f"the sandbox did not answer {method} /{path}: {error}") from error

    def all(self, path: str) -> list[Row]:
        """Every row of a list, newest first."""
        rows: list[Row] = []
        after: object = None
        while True:
            query = {"limit": "120"} | ({"after": str(after)} if after else {})
            page = self.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")
            rows += cast("list[Row]", page["items"])
            after = page.get("nextPage")
            if not page["hasMore"]:
                return rows

    def state(self) -> State:
        """All of it, as it is now."""
        events = self.all("machine-events")
        restores = Counter(event["machineId"] for event in events if event["name"] == "snapshot-restore")
        disks = [
            {**{name: row[name] for name in ("id", "name", "storageUsed")}, "restores": restores[row["id"]]}
            for row in self.all("machines")
        ]
        return State(
            {
                "drive": _by_id(self.all("shared-drives")),
                "snapshot": _by_id(self.all("snapshots")),
                "provider": _by_id(self.all("storage-providers")),
                "disk": _by_id(disks),
            },
            networks=tuple(self.all("private-networks")),
            utilization=self.ask("GET", "storage-providers/utilization"),
        )

    def unfinished(self) -> int:
        """How many events are under way: they are among the newest."""
        newest = cast("list[Row]", self.ask("GET", "machine-events?limit=120")["items"])
        return sum(event["state"] in ("new", "in progress") for event in newest)

    def settle(self) -> None:
        """Wait until no event is under way any more. Raises: EvalError."""
        until = time.monotonic() + _PATIENCE
        while self.unfinished():
            if time.monotonic() > until:
                raise EvalError("the sandbox's events do not end")
            time.sleep(0.2)  # the sandbox is another process, whose events end by its clock

    # What starting states are made of.

    def add_drive(self, name: str, region: str) -> None:
        (network,) = [row for row in self.all("private-networks") if row["region"] == region]
        self.ask("POST", "shared-drives", {"name": name, "size": 250, "region": region, "networkId": network["id"]})

    def add_snapshot(self, machine: str, name: str) -> str:
        """Its id, at once; it is whole when the events have ended."""
        (found,) = [row for row in self.all("machines") if row["name"] == machine]
        made = self.ask("POST", "snapshots", {"machineId": found["id"], "name": name})
        return str(cast("Row", made["data"])["id"])


def _by_id(rows: Sequence[Row]) -> dict[str, Row]:
    return {str(row["id"]): row for row in rows}


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _secrets_in(inner)
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, object]", value).items():
            if name in _SECRETS and isinstance(inner, str) and inner:
                yield inner
            else:
                yield from _secrets_in(inner)
