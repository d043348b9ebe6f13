"""What a line of the audit file says, byte by byte where programs read it: times, lengths, what stands around."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_server.guard.stream import over
from paperspace_storage_tools.errors import AuditUnwritable


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_line_says_when_who_what_and_how_long_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, moments = tmp_path / "audit.jsonl", iter([0.5, 2.84567])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    audit = AuditFile(file)
    before = datetime.now(UTC)
    attempt = audit.begin("delete_snapshot", {"id": "ss1"}, "r-7", principal="me", team="ours")
    attempt.confirmed, attempt.outcome = "person", "done"
    assert audit.end(attempt) is None
    (line,) = lines_of(file)
    assert abs((datetime.fromisoformat(line.pop("time")) - before).total_seconds()) < 60
    assert list(line.items()) == [
        ("principal", "me"),
        ("team", "ours"),
        ("tool", "delete_snapshot"),
        ("arguments", {"id": "ss1"}),
        ("requestId", "r-7"),
        ("confirmed", "person"),
        ("outcome", "done"),
        ("seconds", 2.346),
    ]


def test_a_line_is_there_before_the_write_and_says_that_it_has_begun(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    AuditFile(file).begin("delete_snapshot", {"id": "ss1"}, 7)
    (line,) = lines_of(file)
    assert (line["outcome"], "seconds" in line, "confirmed" in line) == ("started", False, False)
    assert file.read_bytes().endswith(b" \n")


def test_a_call_of_which_nothing_is_said_has_failed(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    assert audit.end(audit.begin("delete_snapshot", {"id": "ss1"}, 7)) is None
    assert [(line["confirmed"], line["outcome"]) for line in lines_of(file)] == [(None, "failed")]


def test_the_longest_outcome_still_completes_its_line_in_place(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    for outcome, expected in (("x" * 300, 1), ("x" * 500, 3)):  # one that does not fit is appended, and none is lost
        attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
        attempt.outcome = outcome
        assert audit.end(attempt) is None
        assert len(lines_of(file)) == expected
    assert [line["outcome"] for line in lines_of(file)] == ["x" * 300, "started", "x" * 500]


def test_a_line_that_has_begun_has_400_bytes_of_room_and_is_completed_in_place_up_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    audit.begin("delete_snapshot", {"id": "ss1"}, 7)
    begun = file.read_text()
    room = len(begun) - 1 - len(begun.rstrip())
    assert room == 400
    said = len(',"confirmed":null,"seconds":0.0') - len("started")
    for more, expected in ((0, 1), (1, 2)):
        file.unlink()
        attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
        attempt.outcome = "x" * (room - said + more)
        assert audit.end(attempt) is None
        assert [line["outcome"] for line in lines_of(file)] == ["started"] * (expected - 1) + [attempt.outcome]
        assert file.read_text().splitlines()[-1].endswith("}")


@pytest.mark.parametrize("instead", ["", " ", "0", "~", '{"time":"9'])
@pytest.mark.parametrize("long", [True, False])
def test_a_line_is_written_over_nothing_but_itself(instead: str, long: bool, tmp_path: Path) -> None:
    """The file may have been rotated, and another stand in its place."""
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
    other = (instead * 1000)[: file.stat().st_size - 1 if long else 9] + "\n"
    file.write_text(other)
    assert audit.end(attempt) is None
    was, line = file.read_text()[: len(other)], file.read_text()[len(other) :]
    assert (was, json.loads(line)["outcome"]) == (other, "failed")


@pytest.mark.parametrize("torn", ['{"time":"2', '{"time":"20'])
def test_whether_the_last_line_has_ended_is_seen_at_the_very_last_byte(torn: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    for before in (torn, torn + "\n", "\n" + torn, "\n" + torn + "\n"):
        file.write_text(before)
        audit.begin("delete_snapshot", {"id": "ss1"}, 7)
        *kept, line = file.read_text().splitlines()
        assert (kept, json.loads(line)["outcome"]) == (before.splitlines(), "started")


def test_a_line_that_goes_out_in_pieces_is_completed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: really(descriptor, data[:100]))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    audit = AuditFile(tmp_path / "audit.jsonl")
    assert audit.end(audit.begin("delete_snapshot", {"id": "ss1"}, 7)) is None
    assert [line["outcome"] for line in lines_of(tmp_path / "audit.jsonl")] == ["failed"]


def test_lines_of_calls_that_overlap_are_each_completed_where_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    attempts = [audit.begin("delete_snapshot", {"id": f"ss{number}"}, number) for number in range(3)]
    for attempt, outcome in zip(reversed(attempts), ("third", "second", "first"), strict=True):
        attempt.outcome = outcome
        assert audit.end(attempt) is None
    assert [(line["requestId"], line["outcome"]) for line in lines_of(file)] == [
        (0, "first"),
        (1, "second"),
        (2, "third"),
    ]


def test_a_file_that_is_there_keeps_its_lines_and_one_cut_during_a_call_gets_the_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text('{"before":1}\n')
    audit = AuditFile(file)
    attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
    assert file.read_text().startswith('{"before":1}\n{"time"')
    file.write_text("")
    assert audit.end(attempt) is None
    assert [line["outcome"] for line in lines_of(file)] == ["failed"]


def test_a_file_that_may_be_written_and_not_read_gets_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can see whether its last line has ended, so nothing is added before the next."""
    file, really = tmp_path / "audit.jsonl", os.open
    file.write_text('{"torn')

    def write_only(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE == os.O_RDONLY:
            raise PermissionError(13, "Permission denied")
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", write_only)
    AuditFile(file).begin("delete_snapshot", {"id": "ss1"}, 7)
    monkeypatch.undo()
    assert file.read_text().startswith('{"torn{"time"')


def test_the_file_belongs_to_its_owner_alone_whatever_is_usual(tmp_path: Path) -> None:
    usual = os.umask(0)
    try:
        AuditFile(tmp_path / "audit.jsonl").begin("delete_snapshot", {}, 7)
    finally:
        os.umask(usual)
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600


# --- what a pipe can take in one piece


def through_a_pipe(**arguments: object) -> bytes:
    reader, writer = os.pipe()
    try:
        audit = AuditFile(over(writer))
        attempt = audit.begin("update_snapshot", arguments, 1)
        attempt.started = time.monotonic()
        assert audit.end(attempt) is None
        return os.read(reader, 1 << 16)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_line_that_a_pipe_takes_in_one_piece_goes_whole_and_a_longer_one_is_cut() -> None:
    around = len(through_a_pipe(note="", size=5))
    whole = through_a_pipe(note="n" * (4096 - around), size=5)
    assert (len(whole), json.loads(whole)["arguments"]["note"]) == (4096, "n" * (4096 - around))
    cut = through_a_pipe(note="n" * (4097 - around), size=5)
    assert json.loads(cut)["arguments"] == {"note": "n" * 200 + "…", "size": 5}
    assert cut.endswith(b"}\n")


def test_arguments_of_200_characters_stay_whole_in_a_line_that_is_cut() -> None:
    line = json.loads(through_a_pipe(id="ss1", name="n" * 200, bucket="b" * 201, note="x" * 4000))
    assert line["arguments"] == {"id": "ss1", "name": "n" * 200, "bucket": "b" * 200 + "…", "note": "x" * 200 + "…"}


def test_stderr_may_be_the_audit_file_and_a_closed_one_lets_no_write_through() -> None:
    reader, writer = os.pipe()
    audit = AuditFile(over(writer))
    os.close(reader)
    with pytest.raises(AuditUnwritable) as refused:
        audit.begin("delete_snapshot", {"id": "ss1"}, 1)
    assert refused.value.reason == "whoever read it is gone"
    os.close(writer)


# --- who writes at the same time


@pytest.mark.parametrize(("alone", "left"), [(True, ""), (False, '{"time":"2')])
def test_a_torn_line_is_taken_back_unless_another_process_may_have_written_behind_it(
    alone: bool, left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, really, writes = tmp_path / "audit.jsonl", os.write, iter(range(9))
    file.write_text('{"before":1}\n')

    def torn(descriptor: int, data: bytes) -> int:
        if next(writes):
            raise OSError(28, "No space left on device")
        return really(descriptor, data[:10])

    with file.open("ab") as other, monkeypatch.context() as patch:
        if not alone:
            fcntl.flock(other, fcntl.LOCK_EX)
        patch.setattr(os, "write", torn)
        with pytest.raises(AuditUnwritable):
            AuditFile(file).begin("delete_snapshot", {"id": "ss1"}, 1)
    assert file.read_text() == '{"before":1}\n' + left


def test_a_line_goes_out_in_one_call_where_others_may_write_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, really = tmp_path / "audit.jsonl", os.write

    def slowly(descriptor: int, data: bytes) -> int:
        return really(descriptor, data[:100])

    with file.open("ab") as other, monkeypatch.context() as patch:
        patch.setattr(os, "write", slowly)
        AuditFile(file).begin("delete_snapshot", {"id": "ss1"}, 1)  # alone: piece after piece
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AuditUnwritable) as refused:
            AuditFile(file).begin("delete_snapshot", {"id": "ss2"}, 2)
    assert refused.value.reason == "the disk is full"
    assert [line["requestId"] for line in map(json.loads, file.read_text().splitlines()[:1])] == [1]


def test_the_file_is_held_alone_while_a_line_is_written_and_let_go_after_it(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    held: list[bool] = []
    really = os.write

    def watched(descriptor: int, data: bytes) -> int:
        with file.open("ab") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
            else:
                held.append(False)
        return really(descriptor, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", watched)
        assert audit.end(audit.begin("delete_snapshot", {"id": "ss1"}, 1)) is None
    assert held == [True, True]
    with file.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_file_system_without_locks_gets_its_lines_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def none(descriptor: int, how: int) -> None:
        tries.append(how)
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    audit = AuditFile(tmp_path / "audit.jsonl")
    assert audit.end(audit.begin("delete_snapshot", {"id": "ss1"}, 1)) is None
    assert [line["outcome"] for line in lines_of(tmp_path / "audit.jsonl")] == ["failed"]
    assert tries == [fcntl.LOCK_EX | fcntl.LOCK_NB] * 2  # not again and again


def test_a_file_that_another_holds_is_tried_for_a_hundred_times_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def held(descriptor: int, how: int) -> None:
        tries.append(how)
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", held)
    AuditFile(tmp_path / "audit.jsonl").begin("delete_snapshot", {"id": "ss1"}, 1)
    assert len(tries) == 100
    assert [line["outcome"] for line in lines_of(tmp_path / "audit.jsonl")] == ["started"]
