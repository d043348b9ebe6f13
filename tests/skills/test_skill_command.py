"""`skill [DIR]`: what it writes, what it leaves alone, what it refuses."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from paperspace_storage_server.__main__ import main
from paperspace_storage_tools.skills import NAMES, skills


def _skill(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["skill", *arguments])
    gc.enable()  # the command line switches it off for its imports
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def _written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EXPECTED = {f"{skill.name}/{file.path}": file.content for skill in skills() for file in skill.files}


def test_it_writes_every_file_of_every_skill_into_a_new_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "skills"
    code, out, err = _skill(str(folder), capsys=capsys)
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "before-upgrade: 2 of 2 files written"
    assert _written(folder) == EXPECTED


def test_a_second_time_nothing_changes_and_an_old_file_is_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _skill(str(tmp_path), capsys=capsys)
    (tmp_path / "storage-review" / "SKILL.md").write_text("of an older version", encoding="utf-8")
    code, out, _ = _skill(str(tmp_path), capsys=capsys)
    lines = [f"{name}: unchanged" for name in NAMES]
    lines[-1] = "storage-review: 1 of 2 files written"
    assert (code, out.splitlines()) == (0, lines)
    assert _written(tmp_path) == EXPECTED


def test_other_files_there_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = {"notes.md": b"mine", "before-upgrade/references/mine.md": b"mine too", "another/SKILL.md": b"whose?"}
    for name, content in mine.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert _skill(str(tmp_path), capsys=capsys)[0] == 0
    assert _written(tmp_path) == {**EXPECTED, **mine}


@pytest.mark.parametrize("link", ["", "before-upgrade", "before-upgrade/references", "storage-review/SKILL.md"])
def test_a_link_on_the_way_is_refused_and_nothing_is_written(
    link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("kept", encoding="utf-8")
    place = tmp_path / "skills" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere / "file" if link.endswith(".md") else elsewhere)
    code, out, err = _skill(str(tmp_path / "skills"), capsys=capsys)
    assert (code, out) == (1, "")
    assert err == f"paperspace-storage-mcp: {place}: is a link; give the place that it leads to\n"
    assert _written(elsewhere) == {"file": b"kept"}


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "paperspace-storage").write_text("a file", encoding="utf-8")
    code, _, err = _skill(str(tmp_path), capsys=capsys)
    assert code == 1
    assert err == f"paperspace-storage-mcp: {tmp_path / 'paperspace-storage'}: File exists\n"


def test_a_pipe_in_the_place_of_a_file_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "before-upgrade" / "SKILL.md"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    code, _, err = _skill(str(tmp_path), capsys=capsys)
    assert (code, err) == (1, f"paperspace-storage-mcp: {pipe}: is no plain file\n")


def test_without_a_folder_it_lists_them_with_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _skill(capsys=capsys)
    assert (code, err) == (0, "")
    heads = [line.split(" (")[0] for line in out.splitlines() if line.endswith("bytes)")]
    assert heads == list(NAMES)
    assert "    needs: delete_snapshot, list_snapshots\n" in out
    assert out.endswith("Write them as folders: paperspace-storage-mcp skill DIR\n")
