"""The store that the processes of one user share: one small SQLite file, readable by its owner only.

What has to wait, for the disk or for another process, is done in a thread, one after the other, so that it holds up no
call but those that need it. The rest, nearly all, is done at once. See docs/decisions/sqlite-in-a-thread.md.
"""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from paperspace_storage_server.state.store import Add, Drop, Get, Put, Step, Swap, ended
from paperspace_storage_tools.errors import StoreUnavailable

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds for which the lock of another process is waited for."""
_APPLICATION = 0x70734D53  # in the file's header, so that no other program's file is written into
_VERSION = 1
_SCHEMA = (
    "CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, at REAL NOT NULL, until REAL) WITHOUT ROWID",
    "CREATE TABLE draws (key TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL)",
    "CREATE INDEX draws_of ON draws (key, at)",
)
_UNTIDY = (
    "SELECT EXISTS(SELECT 1 FROM entries WHERE at > :now OR until <= :now)"
    " OR EXISTS(SELECT 1 FROM draws WHERE at > :now OR until <= :now)"
)
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "tmpfs", "overlay"})
_AT_ONCE = 120  # transactions before what is written ahead, some pages each, is moved into the file: 2 MiB at most
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class CannotUse(Exception):
    """The file cannot be opened or written, or is another program's; `reason` says which, without its path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SqliteStore:
    """`Store` in a file. Nothing is opened before it is first used.

    Raises, beside what the port says: `CannotUse`.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock  # wall-clock time: the one clock that processes share, and that outlives a restart
        self._db: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[Any] | None = None  # what was given to the thread last: once it is done, so is the rest
        self._at_once = 0  # how many more need not go to the thread

    async def get(self, key: str) -> str | None:
        return await self._transact(lambda db, now: _get(db, key))

    async def add(self, key: str, value: str, seconds: float) -> bool:
        return await self._transact(lambda db, now: _add(db, Add(key, value, seconds), now))

    async def put(self, key: str, value: str, seconds: float | None) -> None:
        await self._transact(lambda db, now: _set(db, key, value, now, seconds))

    async def swap(self, key: str, old: str, new: str, seconds: float) -> bool:
        return await self._transact(lambda db, now: _swap(db, Swap(key, old, new, seconds), now))

    async def drop(self, key: str, old: str | None = None) -> bool:
        return await self._transact(lambda db, now: _drop(db, Drop(key, old)))

    async def together(self, *steps: Step) -> list[str | bool | None]:
        def work(db: sqlite3.Connection, now: float) -> list[str | bool | None]:
            said: list[str | bool | None] = []
            for step in steps:
                said.append(_step(db, step, now))
                if ended(step, said[-1]):
                    break
            return said

        return await self._transact(work)

    async def draw(self, key: str, limit: int, seconds: float, *, take: bool = True) -> float:
        def work(db: sqlite3.Connection, now: float) -> float:
            since = now - seconds
            draws = db.execute("SELECT count(*) FROM draws WHERE key = ? AND at > ?", (key, since)).fetchone()[0]
            if draws >= limit:
                opens = "SELECT at FROM draws WHERE key = ? AND at > ? ORDER BY at LIMIT 1 OFFSET ?"
                at: float = db.execute(opens, (key, since, draws - limit)).fetchone()[0]
                return at + seconds - now
            if take:
                db.execute("INSERT INTO draws VALUES (?, ?, ?)", (key, now, now + seconds))
            return 0.0

        return math.inf if limit <= 0 else await self._transact(work)

    async def ping(self) -> None:
        await self._transact(lambda db, now: None)

    async def aclose(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._last = thread.submit(self._close)
            thread.shutdown(wait=False)  # at most PATIENCE later, and nothing is lost by not waiting

    async def _transact(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        if self._at_once and (self._last is None or self._last.done()):
            self._at_once -= 1
            with suppress(StoreUnavailable):  # another process is in the file: that is waited for
                return self._run(work)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._last = future = self._thread.submit(self._wait_and_run, work)
        # A cancelled caller leaves a transaction that is whole, and that is done before the next one.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _wait_and_run(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        """In the thread: wait for other processes, and for the disk so that the next transactions need not."""
        try:
            db = self._db = self._db or _open(self._file)
            db.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")
            try:
                moves = not self._at_once and db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
                if moves:
                    db.execute("PRAGMA wal_checkpoint").fetchone()  # the first write after it waits for the disk, too
                result = self._run(work)
                self._at_once = _AT_ONCE if moves else self._at_once
            finally:
                with suppress(sqlite3.ProgrammingError):  # it was closed: the file is of no use
                    db.execute("PRAGMA busy_timeout = 0")
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        return result

    def _run(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        db = self._db
        assert db is not None
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                now = self._clock()
                _tidy(db, now)
                result = work(db, now)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        return result

    def _trouble(self, error: sqlite3.Error) -> StoreUnavailable | CannotUse:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
            return StoreUnavailable(f"another process has held it for {PATIENCE:.0f} s")
        self._close()
        return CannotUse(str(error))

    def _close(self) -> None:
        self._at_once = 0
        if self._db is not None:
            self._db.close()
            self._db = None


def _get(db: sqlite3.Connection, key: str) -> str | None:
    row: tuple[str] | None = db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def _set(db: sqlite3.Connection, key: str, value: str, now: float, seconds: float | None) -> None:
    until = None if seconds is None else now + seconds
    db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", (key, value, now, until))


def _add(db: sqlite3.Connection, step: Add, now: float) -> bool:
    if _get(db, step.key) is not None:
        return False
    _set(db, step.key, step.value, now, step.seconds)
    return True


def _swap(db: sqlite3.Connection, step: Swap, now: float) -> bool:
    if _get(db, step.key) != step.old:
        return False
    _set(db, step.key, step.new, now, step.seconds)
    return True


def _drop(db: sqlite3.Connection, step: Drop) -> bool:
    dropped = db.execute("DELETE FROM entries WHERE key = ? AND value = ifnull(?, value)", (step.key, step.old))
    return dropped.rowcount > 0


def _step(db: sqlite3.Connection, step: Step, now: float) -> str | bool | None:
    match step:
        case Get(key):
            return _get(db, key)
        case Add():
            return _add(db, step, now)
        case Put(key, value, seconds):
            _set(db, key, value, now, seconds)
            return None
        case Swap():
            return _swap(db, step, now)
        case Drop():
            return _drop(db, step)


def _tidy(db: sqlite3.Connection, now: float) -> None:
    """Remove what has expired. Where the clock was set back, what was written counts as written now: else a lock
    or a full budget of a clock that ran years ahead would stay for years. Mostly there is nothing of either kind."""
    if not db.execute(_UNTIDY, {"now": now}).fetchone()[0]:
        return
    db.execute("UPDATE entries SET until = until - at + :now, at = :now WHERE at > :now", {"now": now})
    db.execute("UPDATE draws SET until = until - at + :now, at = :now WHERE at > :now", {"now": now})
    db.execute("DELETE FROM entries WHERE until <= ?", (now,))
    db.execute("DELETE FROM draws WHERE until <= ?", (now,))


def _open(file: Path) -> sqlite3.Connection:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite would follow a link, and would make the file readable for everyone.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CannotUse("it is no plain file")
            if sys.platform != "win32":
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise CannotUse(getattr(error, "strerror", None) or "not a usable path") from None
    db = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(db, file)
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _write_ahead(db: sqlite3.Connection, file: Path) -> None:
    """No transaction waits for the disk, where processes of other machines cannot be in the file."""
    if _is_local(file.parent):
        with suppress(sqlite3.OperationalError):  # another process is in the file at this moment: as it is, for once
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")  # the thread does it, see `_AT_ONCE`


def _is_local(folder: Path, mounted: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether the folder is certainly on a disk of this machine: Linux says what is `mounted` (proc(5))."""
    if sys.platform == "win32":  # where there is no such number
        return False
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = mounted.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = [line.partition(" - ") for line in mounts.splitlines()]
    kinds = {after.split(" ", 1)[0] for before, _, after in fields if before.split(" ")[2:3] == [wanted]}
    return bool(kinds) and kinds <= _LOCAL


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("BEGIN IMMEDIATE")
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and tables == 0:
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
    elif application != _APPLICATION:
        raise CannotUse("it belongs to another program")
    elif db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        raise CannotUse("it was written by another version of this server")
    db.execute("COMMIT")
