"""What the database file promises."""

import contextlib
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_server.sandbox import SandboxError, create_app, store
from paperspace_storage_server.sandbox.store import Store, Team
from paperspace_storage_server.sandbox.team import seed
from paperspace_storage_server.sandbox.team_large import seed_large

from .calls import Api, Clock, open_api
from .claims import proves


def test_state_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    first = Api(create_app("live", db=tmp_path / "db", clock=clock), "live")
    kept = first.items("/shared-drives")
    first.delete(f"/shared-drives/{kept.pop(0)['id']}")
    event = first.delete(f"/snapshots/{first.items('/snapshots')[0]['id']}").body["event"]
    first.app.state.close()
    clock.advance(3600)
    again = Api(create_app("live", db=str(tmp_path / "db"), clock=clock), "live")
    assert again.items("/shared-drives") == kept
    assert again.get(f"/machine-events/{event['id']}").body["state"] == "done"
    again.app.state.close()


@proves("P7")
def test_either_dialect_reads_the_same_file(tmp_path: Path, clock: Clock) -> None:
    published = Api(create_app("published", db=tmp_path / "db", clock=clock), "published")
    other = published.post("/storage-providers", {"name": "other", "type": "gcs"}).body
    plain = published.post("/storage-providers", {"name": "plain", "type": "s3"}).body
    drives = published.items("/shared-drives")
    published.app.state.close()
    live = Api(create_app("live", db=tmp_path / "db", clock=clock), "live")
    assert [row["id"] for row in live.items("/shared-drives")] == [row["id"] for row in drives]
    assert [row["name"] for row in live.items("/storage-providers")] == ["plain", "team-artifacts"]
    assert live.get(f"/storage-providers/{plain['id']}").body["s3Config"]["bucket"] == ""
    assert live.get(f"/storage-providers/{other['id']}").code == (404, "NOT_FOUND")
    assert live.delete(f"/storage-providers/{other['id']}").code == (404, "NOT_FOUND")
    live.app.state.close()


def test_a_file_of_the_first_version_goes_on(tmp_path: Path, clock: Clock) -> None:
    with sqlite3.connect(tmp_path / "db") as old:
        old.executescript((Path(__file__).parent.parent / "data" / "sandbox-v1.sql").read_text("utf-8"))
    old.close()
    live = Api(create_app("live", db=tmp_path / "db", clock=clock), "live")
    fresh = open_api("live", clock)
    for path in ("/shared-drives", "/snapshots", "/storage-providers", "/machine-events", "/private-networks"):
        assert live.items(path) == fresh.items(path)
    by_name = {row["name"]: row for row in fresh.items("/machines")}
    for machine in live.items("/machines"):
        same = by_name[machine["name"]]
        assert [machine[name] for name in ("id", "networkId", "storageUsed")] == [
            same[name] for name in ("id", "networkId", "storageUsed")
        ]
        assert machine["autoSnapshotEnabled"] is False
    live.app.state.close()
    create_app("live", db=tmp_path / "db").state.close()
    fresh.app.state.close()


def test_two_sandboxes_that_start_on_one_new_file_make_one_team(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (Api(create_app("live", db=tmp_path / "db", clock=clock), "live") for _ in range(2))
    look = Store.team_of
    made: list[Any] = []

    def look_and_be_overtaken(store: Store, key_hash: str) -> Team | None:
        found = look(store, key_hash)
        if not made:
            made.append(None)
            with ThreadPoolExecutor(1) as elsewhere:  # a request needs an event loop of its own
                made[0] = elsewhere.submit(one.items, "/shared-drives").result()
        return found

    monkeypatch.setattr(Store, "team_of", look_and_be_overtaken)
    assert two.items("/shared-drives") == made[0]
    one.app.state.close()
    two.app.state.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Every connection that is opened from now on."""
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remember(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", remember)
    return connections


def _seed_both(into: Store) -> None:
    with into.transaction():
        seed(into, "hash", 0)
        seed_large(into, "another", 0)


def test_a_full_disk_is_told_as_such_and_leaves_the_store_usable(
    tmp_path: Path, opened: list[sqlite3.Connection]
) -> None:
    small = Store(tmp_path / "db")
    opened[0].execute("PRAGMA max_page_count = 40")
    with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
        _seed_both(small)
    assert small.team_of("hash") is None
    opened[0].execute("PRAGMA max_page_count = 100000")
    _seed_both(small)
    assert small.team_of("hash") is not None
    small.close()


def test_a_commit_that_fails_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0)
    writer = Store(tmp_path / "db")
    reader = sqlite3.connect(tmp_path / "db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT id FROM teams").fetchall() == []  # a reader under way: nothing can be committed
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        _seed_both(writer)
    reader.execute("COMMIT")
    assert writer.team_of("hash") is None
    _seed_both(writer)
    assert writer.team_of("hash") is not None
    writer.close()
    reader.close()


def test_apps_without_a_file_share_nothing(clock: Clock) -> None:
    one, two = (Api(create_app("live", clock=clock), "live") for _ in range(2))
    one.delete(f"/shared-drives/{one.items('/shared-drives')[0]['id']}")
    assert (len(one.items("/shared-drives")), len(two.items("/shared-drives"))) == (4, 5)
    one.app.state.close()
    two.app.state.close()


def test_a_transaction_that_fails_leaves_nothing_behind() -> None:
    empty = Store(None)
    with contextlib.suppress(ZeroDivisionError), empty.transaction():
        seed(empty, "hash", 0)
        raise ZeroDivisionError
    assert empty.team_of("hash") is None
    empty.close()


def test_a_new_file_is_its_owners_only(tmp_path: Path) -> None:
    create_app("live", db=tmp_path / "db").state.close()
    assert stat.S_IMODE((tmp_path / "db").stat().st_mode) == 0o600


def test_closing_twice_is_once(live: Api) -> None:
    live.app.state.close()
    live.app.state.close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (id)")
    database.close()


def _newer(path: Path) -> None:
    create_app("live", db=path).state.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def _damaged(path: Path, clock: Clock) -> None:
    app = create_app("live", db=path, clock=clock)
    Api(app, "live").get("/shared-drives")
    app.state.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def test_a_database_in_use_is_not_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_app("live", db=tmp_path / "db").state.close()
    monkeypatch.setattr(store, "PATIENCE", 0)
    holder = sqlite3.connect(tmp_path / "db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(SandboxError, match=r"database is locked.*: stop the program that uses it"):
        create_app("live", db=tmp_path / "db")
    holder.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("damaged", "malformed"),
        ("text", "file is not a database"),
        ("foreign", "belongs to another program"),
        ("newer", "was written by another version"),
        ("folder", "Is a directory"),
        ("missing/db", "No such file or directory"),
        ("nul\0", "not a usable path"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, clock: Clock, name: str, reason: str
) -> None:
    (tmp_path / "text").write_text("this is a text, and long enough to be one" * 99)
    (tmp_path / "folder").mkdir()
    _foreign(tmp_path / "foreign")
    _newer(tmp_path / "newer")
    _damaged(tmp_path / "damaged", clock)
    with pytest.raises(SandboxError) as refused:
        create_app("live", db=f"{tmp_path}/{name}")
    assert reason in str(refused.value)
    assert "name " in str(refused.value)
    assert "\n" not in str(refused.value)
