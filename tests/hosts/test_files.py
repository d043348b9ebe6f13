"""Another program's file is replaced whole, or is as it was."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paperspace_storage_server.commands.hosts.files import Read, read, replace
from paperspace_storage_server.commands.hosts.not_done import NotDone

_TEMPORARY = tempfile.gettempdir()  # before a fixture names another, which only its owner can get to


@contextmanager
def somebody(folder: Path) -> Generator[None]:
    """As a user without rights, whoever runs the tests: to root no file is closed."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder that anyone can get to, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(dir=_TEMPORARY))
    yield made
    made.chmod(0o700)
    shutil.rmtree(made)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_the_new_text_keeps_the_mode_and_the_owner_and_the_old_one_is_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text("old")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 2345)
    owner = file.stat().st_uid, file.stat().st_gid
    backup = replace(read(file), "new\r\n")
    assert file.read_bytes() == b"new\r\n"
    assert (mode(file), file.stat().st_uid, file.stat().st_gid) == (0o640, *owner)
    assert backup is not None
    assert backup == tmp_path / "c.json.bak"
    assert (backup.read_text(), mode(backup)) == ("old", 0o600)
    assert sorted(os.listdir(tmp_path)) == ["c.json", "c.json.bak"]


def test_a_new_file_and_its_folder_are_this_users_alone_a_projects_are_not(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        assert replace(read(tmp_path / "a" / "b" / "c"), "new") is None
        assert replace(read(tmp_path / "p" / "c"), "new", private=False) is None
    finally:
        os.umask(mask)
    assert [mode(tmp_path / part) for part in ("a", "a/b/c", "p", "p/c")] == [0o755, 0o600, 0o755, 0o644]
    assert mode(tmp_path / "a" / "b") == 0o700


def link(file: Path) -> None:
    target = file.with_name("target")
    target.write_text("mine")
    file.symlink_to(target)


def twin(file: Path) -> None:
    file.write_text("mine")
    os.link(file, file.with_name("target"))


def pipe(file: Path) -> None:
    os.mkfifo(file)


def folder_instead(file: Path) -> None:
    file.mkdir()


def latin(file: Path) -> None:
    file.write_bytes(b"\xe9")


def huge(file: Path) -> None:
    with file.open("wb") as content:
        content.truncate(16 * 1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (link, "a link, which is not followed"),
        (twin, "a file with several names"),
        (pipe, "no plain file"),
        (folder_instead, "no plain file"),
        (latin, "no UTF-8 text"),
        (huge, "larger than 16 MiB"),
    ],
)
def test_what_is_no_plain_text_file_is_refused(tmp_path: Path, make: Callable[[Path], None], why: str) -> None:
    file = tmp_path / "c.json"
    make(file)
    with pytest.raises(NotDone, match=why):
        read(file)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(NotDone, match="cannot be read"):
        read(Path("a\0b"))


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".cursor").touch()
    with pytest.raises(NotDone, match=r"\.cursor: no folder, so mcp\.json cannot be in it|cannot be read"):
        read(tmp_path / ".cursor" / "mcp.json")


@pytest.mark.parametrize("make", [link, pipe, folder_instead])
def test_a_copy_that_would_go_through_a_link_or_over_something_else_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    file = tmp_path / "c.json"
    file.write_text("old")
    make(tmp_path / "c.json.bak")
    with pytest.raises(NotDone, match=r"c\.json\.bak"):
        replace(read(file), "new")
    assert file.read_text() == "old"
    assert sorted(set(os.listdir(tmp_path)) - {"target"}) == ["c.json", "c.json.bak"]


def test_a_file_that_is_not_theirs_to_read_is_refused(folder: Path) -> None:
    file = folder / "c.json"
    file.write_text("secret")
    file.chmod(0o000)
    with somebody(folder), pytest.raises(NotDone, match=r"c\.json: cannot be read \(Permission denied\)"):
        read(file)


def test_a_read_only_folder_is_refused_and_nothing_is_left_in_it(folder: Path) -> None:
    file = folder / "c.json"
    file.write_text("old")
    file.chmod(0o666)
    with somebody(folder):
        before = read(file)
        folder.chmod(0o555)
        with pytest.raises(NotDone, match=r"cannot be written \(Permission denied\)"):
            replace(before, "new")
        with pytest.raises(NotDone, match=r"cannot be written \(Permission denied\)"):
            replace(read(folder / "sub" / "d.json"), "new")
    assert (file.read_text(), os.listdir(folder)) == ("old", ["c.json"])


def test_a_file_of_another_owner_is_not_taken_over(folder: Path) -> None:
    file = folder / "c.json"
    file.write_text("old")
    file.chmod(0o666)
    with somebody(folder):
        now = os.stat(file)
        state = [*now]
        state[stat.ST_UID] = os.geteuid() + 1
        with pytest.raises(NotDone, match="Operation not permitted"):
            replace(Read(file, "old", os.stat_result(state, {"st_mtime_ns": now.st_mtime_ns})), "new")
    assert (file.read_text(), os.listdir(folder)) == ("old", ["c.json"])


def test_a_change_by_another_program_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text("old")
    before = read(file)
    file.write_text("newer than that")
    with pytest.raises(NotDone, match="another program changed it meanwhile"):
        replace(before, "new")
    assert file.read_text() == "newer than that"
    with pytest.raises(NotDone, match="another program changed it meanwhile"):
        replace(Read(file, None), "new")
    assert file.read_text() == "newer than that"
    file.unlink()
    with pytest.raises(NotDone, match="another program changed it meanwhile"):
        replace(before, "new")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_file_and_no_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.json"
    file.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotDone, match=r"No space left on device\); .*c\.json is as it was"):
        replace(read(file), "new")
    assert (file.read_text(), os.listdir(tmp_path)) == ("old", ["c.json"])
