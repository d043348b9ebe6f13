"""The file that the processes of one user share."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from paperspace_storage_server.state import sqlite
from paperspace_storage_server.state.local import LocalStore
from paperspace_storage_server.state.memory import MOST, MemoryStore
from paperspace_storage_server.state.sqlite import CannotUse, SqliteStore
from paperspace_storage_tools.errors import StoreUnavailable
from state.conftest import Time
from support.stdio_server import environment

pytestmark = pytest.mark.anyio

_DRAW = """
import asyncio, json, sys
from pathlib import Path
from paperspace_storage_server.state.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    waits = [await store.draw("budget", 50, 3600) for _ in range(30)]
    print(json.dumps([sum(wait == 0 for wait in waits), await store.add("token", "used", 60)]), flush=True)

asyncio.run(main())
"""
_DIE = """
import asyncio, sys
from pathlib import Path
from paperspace_storage_server.state.creations import Creations
from paperspace_storage_server.state.sqlite import SqliteStore

async def main():
    async with Creations(SqliteStore(Path(sys.argv[1])), "team").one_at_a_time("shared drive", "data", 0) as creation:
        await creation.opens("sent")
        print("sent", flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


def started(program: str, file: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=pipe, stdout=pipe, text=True, env=environment()
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_that_draw_at_once_get_no_more_than_there_is(tmp_path: Path) -> None:
    processes = [started(_DRAW, tmp_path / "state.db") for _ in range(4)]
    assert [line(process) for process in processes] == ["ready"] * 4
    answers = [json.loads(process.communicate("go\n", timeout=60)[0]) for process in processes]
    assert sum(drawn for drawn, _ in answers) == 50
    assert [first for _, first in answers].count(True) == 1


async def test_a_killed_process_leaves_its_creation_open_and_its_turn_for_the_lease_only(tmp_path: Path) -> None:
    from paperspace_storage_server.state.creations import Creations
    from paperspace_storage_server.state.turns import LEASE, TurnNotHad

    file = tmp_path / "state.db"
    with started(_DIE, file) as process:
        assert line(process) == "sent"
        process.send_signal(signal.SIGKILL)
    now = Time(os.stat(file).st_mtime)
    store = SqliteStore(file, now)
    with pytest.raises(TurnNotHad):
        async with Creations(store, "team").one_at_a_time("shared drive", "data", 0):
            raise AssertionError
    await now.move(LEASE + 1)
    async with Creations(store, "team").one_at_a_time("shared drive", "data", 0) as creation:
        assert creation.earlier == "sent"
    await store.aclose()


async def test_the_file_is_the_owners_alone_also_where_it_was_not(tmp_path: Path) -> None:
    file = tmp_path / "new" / "state.db"
    store = SqliteStore(file)
    await store.put("a", "1", 60)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    await store.aclose()
    file.chmod(0o644)
    again = SqliteStore(file)
    assert await again.get("a") == "1"
    assert file.stat().st_mode & 0o777 == 0o600
    await again.aclose()


def _mode(file: Path) -> str:
    with closing(sqlite3.connect(file)) as db:
        mode: str = db.execute("PRAGMA journal_mode").fetchone()[0]
    return mode


@pytest.mark.parametrize("local", [True, False])
async def test_the_journal_is_written_ahead_only_where_no_other_machine_can_be_in_the_file(
    local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_local(folder: Path) -> bool:
        return local

    monkeypatch.setattr(sqlite, "_is_local", is_local)
    file = tmp_path / "state.db"
    store, twin = SqliteStore(file), SqliteStore(file)
    await store.put("a", "1", 60)
    assert await twin.get("a") == "1"
    files = ["state.db", "state.db-shm", "state.db-wal"] if local else ["state.db"]
    assert sorted(os.listdir(tmp_path)) == files
    assert {os.stat(tmp_path / name).st_mode & 0o777 for name in files} == {0o600}
    assert _mode(file) == ("wal" if local else "delete")
    await store.aclose()
    await twin.aclose()


@pytest.mark.parametrize(
    ("mounts", "local"),
    [
        ("22 1 {here} / / rw shared:1 - ext4 /dev/sda1 rw\n", True),
        ("22 1 {here} / / rw - overlay overlay rw,lowerdir=/a - nfs\n23 1 0:99 / /x rw - nfs4 host:/ rw\n", True),
        ("22 1 {here} / / rw shared:1 master:2 - nfs4 host:/home rw\n", False),
        ("22 1 {here} / / rw - fuse.sshfs host: rw\n", False),
        ("22 1 {here} / / rw - ext4 /dev/sda1 rw\n24 1 {here} / /y rw - nfs host:/ rw\n", False),
        ("22 1 0:99 / / rw - ext4 /dev/sda1 rw\n", False),
        ("", False),
        (None, False),
    ],
)
def test_a_folder_is_local_only_where_linux_says_so(mounts: str | None, local: bool, tmp_path: Path) -> None:
    said = tmp_path / "mountinfo"
    if mounts is not None:
        device = tmp_path.stat().st_dev
        said.write_text(mounts.format(here=f"{os.major(device)}:{os.minor(device)}"), encoding="utf-8")
    assert sqlite._is_local(tmp_path, said) is local  # pyright: ignore[reportPrivateUsage]  # a network's disk cannot be had here


async def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    assert os.listdir(tmp_path) == []
    await store.aclose()


async def test_the_file_stays_small(tmp_path: Path) -> None:
    time = Time()
    file = tmp_path / "state.db"
    store = SqliteStore(file, time)
    for number in range(300):
        await store.add(f"token:{number}", "x" * 200, 5)
        await store.draw("b", 10**6, 5)
        await time.move(1)
    assert file.stat().st_size <= 32 * 1024
    assert file.with_name("state.db-wal").stat().st_size <= 2 * 1024 * 1024
    await store.aclose()


async def test_what_was_written_by_a_clock_that_ran_ahead_does_not_stay_for_years(tmp_path: Path) -> None:
    time = Time()
    store = SqliteStore(tmp_path / "state.db", time)
    await time.move(10**9)
    assert await store.draw("b", 1, 3600) == 0
    assert await store.add("t", "1", 60)
    await time.move(-(10**9))
    assert await store.draw("b", 1, 3600) == 3600  # counted still, as drawn now
    assert not await store.add("t", "2", 60)
    await time.move(60)
    assert await store.add("t", "2", 60)
    assert await store.draw("b", 1, 3600) == 3540
    await store.aclose()


async def test_a_file_that_another_process_keeps_locked_makes_the_store_unavailable_and_no_memory_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 0.02)
    file = tmp_path / "state.db"
    said: list[str] = []
    store = LocalStore(file, said.append)
    await store.put("a", "1", 60)
    await store.aclose()
    holder = sqlite3.connect(file, isolation_level=None)
    store = LocalStore(file, said.append)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        await store.draw("b", 1, 60)
    holder.execute("COMMIT")
    assert await store.get("a") == "1"
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        await store.draw("b", 1, 60)
    holder.close()
    assert await store.draw("b", 1, 60) == 0
    assert said == []
    await store.aclose()


def _no_folder(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("a file where a folder should be", encoding="utf-8")


def _a_folder(file: Path) -> None:
    file.mkdir()


def _a_link(file: Path) -> None:
    file.symlink_to(file.parent.parent / "elsewhere")


def _a_pipe(file: Path) -> None:
    os.mkfifo(file)


def _garbage(file: Path) -> None:
    file.write_bytes(b"garbage " * 1000)


def _of_another(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE entries (key TEXT)")
    db.close()


def _of_another_version(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE entries (key TEXT)")
        db.execute("PRAGMA application_id = 0x70734D53")
        db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize("make", [_no_folder, _a_folder, _a_link, _a_pipe, _garbage, _of_another, _of_another_version])
async def test_where_the_file_cannot_be_used_each_process_counts_alone_and_says_so_once(
    make: object, tmp_path: Path
) -> None:
    assert callable(make)
    file = tmp_path / "folder" / "state.db"
    file.parent.mkdir()
    make(file)
    said: list[str] = []
    store = LocalStore(file, said.append)
    assert [await store.draw("b", 2, 60) for _ in range(2)] == [0, 0]
    assert await store.draw("b", 2, 60) == pytest.approx(60, abs=1)
    assert len(said) == 1
    assert str(file) in said[0]
    assert "counted by this process alone" in said[0]
    assert not (tmp_path / "elsewhere").exists()
    await store.aclose()


async def test_a_file_that_becomes_unusable_is_left_for_memory(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    said: list[str] = []
    store = LocalStore(file, said.append)
    assert await store.add("t", "1", 60)
    with sqlite3.connect(file) as db:
        db.execute("DROP TABLE entries")
    db.close()
    assert await store.add("t", "1", 60)
    assert not await store.add("t", "1", 60)
    assert len(said) == 1
    await store.aclose()


async def test_the_reason_why_a_file_cannot_be_used_is_told_by_the_form_itself(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(CannotUse, match="directory"):
        await store.ping()
    await store.aclose()


async def test_memory_forgets_what_has_expired_and_refuses_more_than_it_may_hold() -> None:
    time = Time()
    store = MemoryStore(time)
    for number in range(MOST):
        assert await store.add(str(number), "", 60)
    with pytest.raises(StoreUnavailable, match="it is full"):
        await store.add("one more", "", 60)
    assert not await store.add("0", "", 60)  # nothing was forgotten to make room
    await time.move(60)
    assert await store.add("one more", "", 60)


async def test_what_waits_for_nobody_is_done_at_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    await store.put("a", "1", 60)
    for number in range(50):
        work = asyncio.create_task(store.add(f"token:{number}", "used", 60))
        await asyncio.sleep(0)
        assert work.done()
        assert await work
    await store.aclose()


async def test_while_another_process_is_in_the_file_the_loop_goes_on_and_nothing_overtakes(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    store = SqliteStore(file)
    await store.put("a", "0", 60)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    works = [asyncio.create_task(store.put("a", str(number), 60)) for number in (1, 2)]
    taken = asyncio.create_task(store.add("turn", "mine", 60))
    await asyncio.sleep(0)
    assert not any(work.done() for work in (*works, taken))
    taken.cancel()
    given_back = asyncio.create_task(store.drop("turn", "mine"))
    await asyncio.sleep(0)
    holder.execute("COMMIT")
    holder.close()
    await asyncio.gather(*works)
    assert await given_back  # what a cancelled caller had begun was done before
    assert await store.get("a") == "2"
    await store.aclose()


async def test_who_had_to_wait_in_vain_keeps_nobody_waiting_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state.db"
    store = SqliteStore(file)
    await store.put("a", "1", 60)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite, "PATIENCE", 0.02)
    with pytest.raises(StoreUnavailable):
        await store.put("a", "2", 60)
    holder.close()
    db = store._db  # pyright: ignore[reportPrivateUsage]  # how long the event loop would stand still
    assert db is not None
    assert db.execute("PRAGMA busy_timeout").fetchone() == (0,)
    assert await store.get("a") == "1"
    await store.aclose()


async def test_what_is_written_ahead_stays_small_however_often_others_are_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    store = SqliteStore(file)
    holder = sqlite3.connect(file, isolation_level=None)
    for number in range(600):
        if number % 10 == 9:
            holder.execute("BEGIN IMMEDIATE")
        work = asyncio.create_task(store.put(f"token:{number % 50}", "x" * 4000, 60))
        await asyncio.sleep(0)
        if holder.in_transaction:
            holder.execute("COMMIT")
        await work
    assert file.with_name("state.db-wal").stat().st_size <= 4 * 1024 * 1024
    holder.close()
    await store.aclose()
