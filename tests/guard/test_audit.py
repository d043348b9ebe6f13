"""One line per write attempt; where the line cannot be written, neither is anything else."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import re
import resource
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from paperspace_storage_server.guard.audit import AuditFile
from paperspace_storage_tools.errors import AuditUnwritable
from support.guarded import DESTRUCTIVE, make, world

pytestmark = pytest.mark.anyio


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


async def test_each_write_attempt_is_one_line_with_arguments_confirmation_outcome_and_request(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    async with world("live", audit_file=file) as one:
        drive = one.ids["drive"]
        await one.call("get_shared_drive", {"id": drive})
        await one.call("delete_shared_drive", {"id": drive, "confirm": "wrong"})
        await one.call("delete_shared_drive", {"id": drive, "confirm": one.ids["drive name"]})
        keys = {"accessKey": "AKIA-audit-1234", "secretKey": "audit/secret/1234"}
        await one.call("create_storage_provider", {"name": "a audit", "type": "s3", "bucket": "b", **keys})
    lines = lines_of(file)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert line.pop("seconds") >= 0
        assert line.pop("requestId") is not None
    masked = {"accessKey": "**********", "secretKey": "**********"}
    assert lines == [
        {
            "tool": "delete_shared_drive",
            "arguments": {"id": drive, "confirm": "wrong"},
            "confirmed": None,
            "outcome": "failed: NotConfirmed",
        },
        {
            "tool": "delete_shared_drive",
            "arguments": {"id": drive, "confirm": "team-home"},
            "confirmed": "typed name",
            "outcome": "done",
        },
        {
            "tool": "create_storage_provider",
            "arguments": {"name": "a audit", "type": "s3", "bucket": "b", **masked},
            "confirmed": None,
            "outcome": "done",
        },
    ]
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_write_whose_answer_is_lost_is_recorded_as_unknown(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    async with world("live", audit_file=file, confirm="never") as one:
        one.api.instead = lambda request: None if request.method == "GET" else httpx.Response(500, text="")
        await one.call("restore_snapshot", {"id": one.ids["snapshot"]})
    assert [(line["confirmed"], line["outcome"]) for line in lines_of(file)] == [
        ("never asked", "unknown: OutcomeUnknown")
    ]


@pytest.mark.parametrize(("status", "outcome"), [(500, "unknown"), (409, "failed")])
async def test_a_restore_after_its_safety_snapshot_is_recorded_as_what_became_of_the_restore(
    tmp_path: Path, status: int, outcome: str
) -> None:
    file = tmp_path / "audit.jsonl"
    async with world("published", audit_file=file, confirm="never") as one:
        one.api.instead = lambda request: (
            httpx.Response(status, text="") if request.url.path.endswith("/restore") else None
        )
        await one.call("restore_snapshot", {"id": one.ids["snapshot"]})
    assert [(line["confirmed"], line["outcome"]) for line in lines_of(file)] == [
        ("never asked", f"{outcome}: SafetySnapshotKept")
    ]


def unwritable(folder: Path, how: str) -> Path:
    if how == "missing directory":
        return folder / "missing" / "audit.jsonl"
    if how == "a directory":
        return folder
    if how == "a file where a directory should be":
        (folder / "file").write_text("")
        return folder / "file" / "audit.jsonl"
    if how == "a pipe that nobody reads":
        os.mkfifo(folder / "pipe")
        return folder / "pipe"
    return Path("/dev/full")


_UNWRITABLE = (
    "missing directory",
    "a directory",
    "a file where a directory should be",
    "a pipe that nobody reads",
    "full disk",
)


@pytest.mark.parametrize("how", _UNWRITABLE)
async def test_where_the_line_cannot_be_written_the_write_is_not_made(tmp_path: Path, how: str) -> None:
    async with world("live", audit_file=unwritable(tmp_path, how), confirm="never") as one:
        for tool, (kind, _) in DESTRUCTIVE.items():
            text = await one.text(tool, {"id": one.ids[kind]})
            assert re.fullmatch(
                r"The audit file cannot be written \([^)]+\), so the write was not made\. "
                r"Ask the operator to check PAPERSPACE_MCP_AUDIT_FILE\. Nothing was changed\.",
                text,
            ), text
        assert one.api.sent == []
        assert '"items"' in await one.text("list_shared_drives")  # reading goes on


def test_a_file_that_may_not_be_written_stops_the_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anything, so the refusal is injected where the file is opened."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AuditUnwritable) as refused:
        AuditFile(tmp_path / "audit.jsonl").begin("delete_snapshot", {}, 1)
    assert refused.value.reason == "Permission denied"


def write_many(path: str, who: str, count: int) -> None:
    audit = AuditFile(Path(path))
    for number in range(count):
        attempt = audit.begin(who, {"number": number, "padding": "x" * (number * 7 % 900)}, number)
        attempt.outcome = "done"
        assert audit.end(attempt) is None


def test_lines_of_two_processes_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=write_many, args=(str(file), who, 200)) for who in ("one", "two")]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    lines = lines_of(file)
    assert {line["outcome"] for line in lines} == {"done"}
    for who in ("one", "two"):
        assert [line["requestId"] for line in lines if line["tool"] == who] == list(range(200))


def test_a_file_rotated_during_a_call_gets_the_finished_line_and_the_old_one_keeps_the_started(tmp_path: Path) -> None:
    file, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    audit = AuditFile(file)
    attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
    file.rename(old)
    other = audit.begin("delete_snapshot", {"id": "ss2"}, 8)
    attempt.outcome = other.outcome = "done"
    assert audit.end(attempt) is None
    assert audit.end(other) is None
    assert [(line["requestId"], line["outcome"]) for line in lines_of(old)] == [(7, "started")]
    assert sorted((line["requestId"], line["outcome"]) for line in lines_of(file)) == [(7, "done"), (8, "done")]


def test_a_removed_directory_is_said_after_the_write(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    audit = AuditFile(folder / "audit.jsonl")
    attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
    (folder / "audit.jsonl").unlink()
    folder.rmdir()
    said = audit.end(attempt)
    assert said is not None
    assert said.startswith("The audit line could not be completed (No such file or directory)")


def appended(path: str, limit: int) -> None:
    """In a process of its own, for its files end at `limit` bytes, as those of a full disk do."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    audit = AuditFile(Path(path))
    with suppress(AuditUnwritable):
        for number in range(100):
            audit.begin("delete_snapshot", {"id": f"ss{number}"}, number)
        raise AssertionError("it fits")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    audit.begin("delete_snapshot", {"id": "after"}, "after")


@pytest.mark.parametrize("limit", [1, 700, 1000, 1024, 1500])
def test_a_line_that_a_full_disk_tears_leaves_nothing_behind(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "audit.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=appended, args=(str(file), limit))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    *before, after = lines_of(file)
    assert [line["requestId"] for line in before] == list(range(len(before)))
    assert after["requestId"] == "after"
    assert file.stat().st_size == sum(len(line) + 1 for line in file.read_text().splitlines())


def test_a_line_that_something_else_has_torn_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text('{"time":"2026-0')
    attempt = AuditFile(file).begin("delete_snapshot", {"id": "ss1"}, 7)
    attempt.outcome = "done"
    assert AuditFile(file).end(attempt) is None
    torn, line = file.read_text().splitlines()
    assert (torn, json.loads(line)["outcome"]) == ('{"time":"2026-0', "done")


def test_a_line_that_cannot_be_completed_still_says_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
    attempt.outcome = "done"
    real, calls = os.write, iter(range(9))

    def half(descriptor: int, data: bytes) -> int:
        if (call := next(calls)) == 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data if call else data[: len(data) // 3])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        said = audit.end(attempt)
    assert said == "The audit line could not be completed (No space left on device): tell the operator."
    assert [line["outcome"] for line in lines_of(file)] == ["started"]


def test_where_another_process_holds_the_file_lines_are_written_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit = AuditFile(file)
    with file.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 7)
        attempt.outcome = "done"
        assert audit.end(attempt) is None
    assert [line["outcome"] for line in lines_of(file)] == ["done"]


# --- a pipe, and stderr


@contextmanager
def pipe(folder: Path) -> Generator[tuple[Path, int]]:
    """A pipe by its name, and the end that is read from."""
    path = folder / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield path, reader
    finally:
        os.close(reader)


def fill(path: Path) -> None:
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while os.write(writer, b"\n" * 4096):
            pass
    os.close(writer)


def read(reader: int) -> list[dict[str, Any]]:
    found = b""
    with suppress(BlockingIOError):
        while piece := os.read(reader, 1 << 20):
            found += piece
    return [json.loads(line) for line in found.splitlines() if line]


async def test_a_pipe_gets_one_line_a_write_and_a_full_one_lets_no_write_through(tmp_path: Path) -> None:
    with pipe(tmp_path) as (path, reader):
        async with world("live", audit_file=path, confirm="never") as one:
            drive, snapshot = one.ids["drive"], one.ids["snapshot"]
            assert '"deleted":true' in await one.text("delete_shared_drive", {"id": drive})
            assert [(line["arguments"], line["outcome"]) for line in read(reader)] == [({"id": drive}, "done")]
            fill(path)
            sent = len(one.api.sent)
            text = await one.text("delete_snapshot", {"id": snapshot})
            assert text.startswith("The audit file cannot be written (nobody reads it), so the write was not made.")
            assert one.api.sent[sent:] == []
            assert read(reader) == []
            assert '"deleted":true' in await one.text("delete_snapshot", {"id": snapshot})
            assert [line["outcome"] for line in read(reader)] == ["done"]


def test_a_line_that_a_pipe_does_not_take_after_the_write_goes_first_later(tmp_path: Path) -> None:
    with pipe(tmp_path) as (path, reader):
        audit = AuditFile(path)
        attempts = [audit.begin("delete_snapshot", {"id": f"ss{number}"}, number) for number in range(2)]
        fill(path)
        for attempt in attempts:
            said = audit.end(attempt)
            assert said == "The audit line could not be completed (nobody reads it): tell the operator."
        with pytest.raises(AuditUnwritable):
            audit.begin("delete_snapshot", {"id": "ss2"}, 2)
        assert read(reader) == []
        assert audit.end(audit.begin("delete_snapshot", {"id": "ss3"}, 3)) is None
        assert [line["requestId"] for line in read(reader)] == [0, 1, 3]


def test_a_pipe_whose_reader_comes_back_gets_the_lines_that_its_first_one_missed(tmp_path: Path) -> None:
    with pipe(tmp_path) as (path, reader):
        audit = AuditFile(path)
        attempt = audit.begin("delete_snapshot", {"id": "ss0"}, 0)
        assert audit.end(attempt) is None
        assert [line["requestId"] for line in read(reader)] == [0]
        attempt = audit.begin("delete_snapshot", {"id": "ss1"}, 1)
    assert audit.end(attempt) is not None
    with pytest.raises(AuditUnwritable):
        audit.begin("delete_snapshot", {"id": "ss2"}, 2)
    path.unlink()
    with pipe(tmp_path) as (path, reader):
        assert audit.end(audit.begin("delete_snapshot", {"id": "ss3"}, 3)) is None
        assert [line["requestId"] for line in read(reader)] == [1, 3]


def test_a_line_that_a_pipe_could_not_take_whole_has_its_long_arguments_cut(tmp_path: Path) -> None:
    with pipe(tmp_path) as (path, reader):
        audit = AuditFile(path)
        assert audit.end(audit.begin("update_snapshot", {"id": "ss1", "note": "\u20ac" * 2000}, 1)) is None
        (line,) = read(reader)
        assert line["arguments"] == {"id": "ss1", "note": "\u20ac" * 200 + "…"}


def test_the_service_without_an_audit_file_has_none() -> None:
    api, service = make("live")
    api.close()
    assert service.process.audit is None
