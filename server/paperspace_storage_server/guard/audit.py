"""The audit file: one JSON line per write attempt, secrets masked.

The line is appended whole before the write, with the outcome `started`, and then completed in place, so that a
full disk or a missing folder stops the write rather than its record, and a process that dies in the middle leaves
a line that says so. Where the file cannot be completed in place (a pipe, a rotated file) the finished line is
appended instead.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import to_json

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_tools.errors import AuditUnwritable

_ROOM = 400  # bytes kept in the line for how it was confirmed and how it ended
_MODE = 0o600
# A pipe without a reader is refused at once instead of holding up every call (O_NONBLOCK; not on Windows).
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)


@dataclass(slots=True)
class Attempt:
    """One write attempt. `confirmed` and `outcome` are filled while it runs."""

    line: Json
    started: float
    width: int
    offset: int | None
    confirmed: str | None = None
    outcome: str = "failed"
    extra: Json = field(default_factory=dict[str, object])


class AuditFile:
    """Appends to one file; created with mode 0600 (owner only)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, tool: str, arguments: Json, request_id: str | int | None) -> Attempt:
        """Write the attempt's line. Raises `AuditUnwritable`: then the write must not be made."""
        line: Json = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "tool": tool,
            "arguments": arguments,
            "requestId": request_id,
        }
        text = to_json({**line, "outcome": "started"})
        width = len(text) + _ROOM
        offset: int | None = None
        try:
            file = os.open(self._path, _APPEND, _MODE)
            try:
                if _seekable(file):
                    _write(file, text.ljust(width) + b"\n")
                    offset = os.lseek(file, 0, os.SEEK_CUR) - width - 1
            finally:
                os.close(file)
        except OSError as error:
            raise AuditUnwritable(error.strerror or type(error).__name__) from None
        return Attempt(line, time.monotonic(), width, offset)

    def end(self, attempt: Attempt) -> str | None:
        """Complete the line; a sentence for the caller where that fails."""
        line: Json = {
            **attempt.line,
            "confirmed": attempt.confirmed,
            "outcome": attempt.outcome,
            "seconds": round(time.monotonic() - attempt.started, 3),
        }
        text = to_json(line)
        try:
            if attempt.offset is not None and len(text) <= attempt.width and self._complete(attempt, text):
                return None
            file = os.open(self._path, _APPEND, _MODE)
            try:
                _write(file, text + b"\n")
            finally:
                os.close(file)
        except OSError as error:
            return (
                f"The audit line could not be completed ({error.strerror or type(error).__name__}): tell the operator."
            )
        return None

    def _complete(self, attempt: Attempt, text: bytes) -> bool:
        """Write over the started line if it is still where it was; False where the file was rotated or cut."""
        assert attempt.offset is not None
        file = os.open(self._path, os.O_RDWR)
        try:
            os.lseek(file, attempt.offset, os.SEEK_SET)
            if not os.read(file, attempt.width).startswith(to_json(attempt.line)[:-1]):
                return False
            os.lseek(file, attempt.offset, os.SEEK_SET)
            _write(file, text.ljust(attempt.width))
            return True
        finally:
            os.close(file)


def _write(file: int, data: bytes) -> None:
    """One write call, so that lines of several processes do not mix; a short one is an error."""
    if os.write(file, data) != len(data):
        raise OSError("the disk is full")


def _seekable(file: int) -> bool:
    try:
        os.lseek(file, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True
