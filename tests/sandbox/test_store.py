"""What the database file promises."""

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from paperspace_storage_server.sandbox import SandboxError, create_app, store
from paperspace_storage_server.sandbox.store import Store
from paperspace_storage_server.sandbox.team import seed

from .calls import Api, Clock
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
