"""The sandbox's rows in SQLite; knows neither the rules of the API nor how a dialect spells them.

Times are whole milliseconds since 1970. A deleted row stays, with the time from which it is gone:
a cursor that points at it keeps its place, and a deletion may lie in the future.
"""

import contextlib
import dataclasses
import os
import sqlite3
import weakref
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from .refusals import SandboxError

_APPLICATION = 0x50535342  # "PSSB": marks a file as a sandbox's
_VERSION = 2
PATIENCE = 5.0
"""How many seconds to wait for another process to let go of the file."""
_MEND = "name another file, or remove this one to start afresh"

_SCHEMA = """
CREATE TABLE teams (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, key_hash TEXT NOT NULL UNIQUE,
    datasets INTEGER NOT NULL, models INTEGER NOT NULL, notebooks INTEGER NOT NULL);
CREATE TABLE networks (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, region TEXT NOT NULL, address TEXT NOT NULL);
CREATE TABLE machines (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, region TEXT NOT NULL,
    network TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, disk_bytes INTEGER NOT NULL,
    disk_size INTEGER NOT NULL, auto_every TEXT, auto_kept INTEGER NOT NULL, auto_next INTEGER);
CREATE TABLE drives (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, size INTEGER NOT NULL,
    region TEXT NOT NULL, network TEXT NOT NULL, mount_point TEXT NOT NULL, username TEXT NOT NULL,
    password TEXT NOT NULL);
CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, machine TEXT NOT NULL, name TEXT NOT NULL, note TEXT,
    storage_bytes INTEGER NOT NULL, is_auto INTEGER NOT NULL);
CREATE TABLE providers (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, type TEXT NOT NULL, bucket TEXT,
    region TEXT, endpoint TEXT, access_key TEXT, secret_key TEXT, signature_version TEXT,
    retain_data INTEGER NOT NULL, is_team_default INTEGER NOT NULL);
CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, machine TEXT NOT NULL, name TEXT NOT NULL,
    starts INTEGER NOT NULL, finishes INTEGER NOT NULL, fails INTEGER NOT NULL);
"""
# Version 1 knew of a machine no more than its name, region and disk; what it takes from now on is up to this one.
_FROM_VERSION_1 = """
ALTER TABLE networks ADD COLUMN address TEXT NOT NULL DEFAULT '10.64.0.0';
UPDATE networks SET address = CASE region WHEN 'ca1' THEN '10.72.0.0' WHEN 'ams1' THEN '10.80.0.0' ELSE address END;
ALTER TABLE machines ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE machines ADD COLUMN type TEXT NOT NULL DEFAULT 'A4000';
ALTER TABLE machines ADD COLUMN state TEXT NOT NULL DEFAULT 'ready';
ALTER TABLE machines ADD COLUMN disk_size INTEGER NOT NULL DEFAULT 500000000000;
ALTER TABLE machines ADD COLUMN auto_every TEXT;
ALTER TABLE machines ADD COLUMN auto_kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN auto_next INTEGER;
UPDATE machines SET network = (SELECT id FROM networks
    WHERE networks.team = machines.team AND networks.region = machines.region)
"""
# SQLite has no booleans: these columns hold 0 or 1.
_FLAGS = frozenset({"is_auto", "retain_data", "is_team_default", "fails"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row has: its id, its team, when it came, when it goes, and its place in the order of coming."""

    TABLE: ClassVar[str]

    id: str
    team: str
    created: int
    deleted: int | None = None
    seq: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Team(Row):
    """One API key's world; the three sizes, in bytes, are what lies outside the shared drives."""

    TABLE: ClassVar[str] = "teams"

    key_hash: str
    datasets: int
    models: int
    notebooks: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Network(Row):
    """A private network, which shared drives and machines hang on; its mask is 255.255.0.0."""

    TABLE: ClassVar[str] = "networks"

    name: str
    region: str
    address: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Row):
    """A machine: of its disk's `disk_size` bytes, `disk_bytes` are in use.

    Where `auto_every` says how often, it takes automatic snapshots, the next at `auto_next`, and keeps `auto_kept`.
    """

    TABLE: ClassVar[str] = "machines"

    name: str
    region: str
    network: str
    type: str
    state: str
    disk_bytes: int
    disk_size: int
    auto_every: str | None = None
    auto_kept: int = 0
    auto_next: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drive(Row):
    """A shared drive; `size` is in GB."""

    TABLE: ClassVar[str] = "drives"

    name: str
    size: int
    region: str
    network: str
    mount_point: str
    username: str
    password: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Row):
    """A snapshot of a machine."""

    TABLE: ClassVar[str] = "snapshots"

    machine: str
    name: str
    note: str | None = None
    storage_bytes: int
    is_auto: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Row):
    """An external storage provider."""

    TABLE: ClassVar[str] = "providers"

    name: str
    type: str
    bucket: str | None = None
    region: str | None = None
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    signature_version: str | None = None
    retain_data: bool = False
    is_team_default: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event(Row):
    """Something that happens to a machine; its state follows from the time alone."""

    TABLE: ClassVar[str] = "events"

    machine: str
    name: str
    starts: int
    finishes: int
    fails: bool = False


AnyRow = TypeVar("AnyRow", bound=Row)


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list, in which order: `after` holds the sort key and the seq of the last row seen."""

    by: Literal["created", "name", "state"] = "created"
    descending: bool = True
    after: tuple[int | str, int] | None = None
    limit: int | None = None


class Store:
    """One SQLite database, in memory or in a file, whose writes happen inside `transaction`."""

    def __init__(self, db: str | Path | None) -> None:
        """Opens or makes the database. Raises: SandboxError."""
        self._db = _open(db)
        weakref.finalize(self, self._db.close)

    def close(self) -> None:
        """Ends the connection; a second call does nothing. Who drops the store need not: it ends with it."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """All of what is written inside, or none of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite ends a transaction itself where the disk is full: another end would hide that error.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def add(self, row: AnyRow) -> AnyRow:
        """Stores a new row and answers it with its seq."""
        values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
        del values["seq"]
        columns, marks = ", ".join(values), ", ".join("?" for _ in values)
        sql = f"INSERT INTO {row.TABLE} ({columns}) VALUES ({marks})"  # noqa: S608 - the names are ours
        seq = self._db.execute(sql, tuple(values.values())).lastrowid
        return dataclasses.replace(row, seq=seq or 0)

    def change(self, row: AnyRow, changes: Mapping[str, object]) -> AnyRow:
        """Stores the changes of one row and answers the row after them."""
        if changes:
            columns = ", ".join(f"{name} = ?" for name in changes)
            sql = f"UPDATE {row.TABLE} SET {columns} WHERE seq = ?"  # noqa: S608 - the names are ours
            self._db.execute(sql, (*changes.values(), row.seq))
        return self._read(type(row), "seq = ?", (row.seq,))[0]

    def team_of(self, key_hash: str) -> Team | None:
        """The team that a key's SHA-256 stands for."""
        return next(iter(self._read(Team, "key_hash = ?", (key_hash,))), None)

    def find(self, kind: type[AnyRow], team: str, row_id: str) -> AnyRow | None:
        """One row of a team by its id, deleted or not."""
        return next(iter(self._read(kind, "team = ? AND id = ?", (team, row_id))), None)

    def select(
        self,
        kind: type[AnyRow],
        team: str,
        now: int,
        equal: Mapping[str, str | None] | None = None,
        window: Window | None = None,
    ) -> list[AnyRow]:
        """The rows of a team that are there at `now`, with the columns as in `equal` where not None."""
        window = window or Window()
        where = ["team = ?", "(deleted IS NULL OR deleted > ?)"]
        args: list[str | int] = [team, now]
        for column, value in (equal or {}).items():
            if value is not None:
                where.append(f"{column} = ?")
                args.append(value)
        direction, beyond = ("DESC", "<") if window.descending else ("ASC", ">")
        if window.after is not None:
            where.append(f"({window.by}, seq) {beyond} (?, ?)")
            args.extend(window.after)
        tail = f" ORDER BY {window.by} {direction}, seq {direction} LIMIT ?"
        return self._read(kind, " AND ".join(where), (*args, -1 if window.limit is None else window.limit), tail)

    def due(self, team: str, now: int) -> list[Machine]:
        """The machines of a team whose next automatic snapshot was to be taken by `now`."""
        return self._read(Machine, "team = ? AND deleted IS NULL AND auto_next <= ?", (team, now))

    def running(self, team: str, machine: str, now: int) -> list[Event]:
        """The events of one machine that have not ended yet."""
        return self._read(Event, "team = ? AND machine = ? AND finishes > ?", (team, machine, now))

    def _read(self, kind: type[AnyRow], where: str, args: tuple[str | int, ...], tail: str = "") -> list[AnyRow]:
        names = [field.name for field in dataclasses.fields(kind)]
        sql = f"SELECT {', '.join(names)} FROM {kind.TABLE} WHERE {where}{tail}"  # noqa: S608 - the names are ours
        return [_row(kind, names, values) for values in self._db.execute(sql, args)]


def _row(kind: type[AnyRow], names: list[str], values: tuple[str | int | None, ...]) -> AnyRow:
    # The schema, not the type checker, vouches for the columns.
    columns: dict[str, Any] = dict(zip(names, values, strict=True))
    for name in _FLAGS.intersection(columns):
        columns[name] = bool(columns[name])
    return kind(**columns)


def _open(db: str | Path | None) -> sqlite3.Connection:
    shown = f"sandbox database {str(db)!r}"
    connection: sqlite3.Connection | None = None
    try:
        if db is not None:
            # SQLite would create it readable for everyone, and drives have passwords.
            os.close(os.open(db, os.O_RDWR | os.O_CREAT, 0o600))
        # A host may create the app in one thread and serve it in another; never in two at once.
        connection = sqlite3.connect(
            ":memory:" if db is None else db, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        _prepare(connection, shown)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise SandboxError(f"{shown} cannot be opened ({reason}): name a file in a folder you can write to") from error
    except sqlite3.Error as error:
        _close(connection)
        busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
        mend = "stop the program that uses it, or name another file" if busy else _MEND
        raise SandboxError(f"{shown} cannot be used ({error}): {mend}") from error
    except SandboxError:
        _close(connection)
        raise
    return connection


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def _prepare(connection: sqlite3.Connection, shown: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and tables == 0:
        _run(connection, _SCHEMA)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    elif application != _APPLICATION:
        raise SandboxError(f"{shown} belongs to another program: name another file")
    elif version not in (1, _VERSION):
        raise SandboxError(f"{shown} was written by another version of the sandbox: {_MEND}")
    elif (damage := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise SandboxError(f"{shown} is damaged ({str(damage).splitlines()[0]}): {_MEND}")
    elif version == 1:
        _run(connection, _FROM_VERSION_1)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    # Not `executescript`: it commits what is open first, and two programs may be preparing one new file.
    for statement in statements.split(";"):
        connection.execute(statement)
