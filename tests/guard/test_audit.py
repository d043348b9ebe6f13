"""One line per write attempt; where the line cannot be written, neither is anything else."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
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
        await one.call("create_storage_provider", {"name": "a audit/secret/1234", "type": "s3", "bucket": "b", **keys})
    lines = lines_of(file)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert line.pop("seconds") >= 0
        assert line.pop("requestId") is not None
    masked = {"accessKey": "**********", "secretKey": "**********", "notice": "A secret was masked."}
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
            "arguments": {"name": "a [secret]", "type": "s3", "bucket": "b", **masked},
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


def test_the_service_without_an_audit_file_has_none() -> None:
    api, service = make("live")
    api.close()
    assert service.process.audit is None
