"""The audit file: one JSON line per write attempt, without secrets.

In a file the line is appended whole before the write, with the outcome `started`, and then completed in place, so that
a full disk or a missing folder stops the write rather than its record, and a process that dies in the middle leaves a
line that says so. Where the file cannot be completed in place (a rotated one) the finished line is appended instead.

What has gone into a pipe cannot be completed, so a pipe, and stderr, get the line when the write has ended. Before the
write they must be able to take one. Where it then does not go out after all, the line is kept and goes first as soon
as it can; until then nothing else is written.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

from pydantic_core import to_json

from paperspace_storage_server.guard.hygiene import Json
from paperspace_storage_server.guard.stream import Lines, over
from paperspace_storage_tools.errors import AuditUnwritable

_ROOM = 400  # bytes kept in the line for how it was confirmed and how it ended
_MODE = 0o600
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_TRIES = 100  # to have a file alone: who has it needs it for microseconds
_PIECE = 4096  # bytes that a pipe takes whole or not at all (Linux)
_SHORTENED = 200  # characters of an argument, where the line would be longer than that


class _Place(Protocol):
    """Where one attempt's line goes when it has ended."""

    def finish(self, line: Json) -> None: ...


@dataclass(slots=True)
class Attempt:
    """One write attempt. `confirmed` and `outcome` are filled while it runs."""

    line: Json
    started: float
    place: _Place
    confirmed: str | None = None
    outcome: str = "failed"


class AuditFile:
    """One file (created with mode 0600, owner only), a pipe by its path, or a stream that is open already."""

    def __init__(self, to: Path | Lines) -> None:
        self._path = to if isinstance(to, Path) else None
        self._pipe = _Pipe(to)

    def begin(
        self,
        tool: str,
        arguments: Json,
        request_id: str | int | None,
        *,
        principal: str | None = None,
        team: str | None = None,
    ) -> Attempt:
        """Write the attempt's line. Raises `AuditUnwritable`: then the write must not be made."""
        who: Json = {name: one for name, one in (("principal", principal), ("team", team)) if one is not None}
        line: Json = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **who,
            "tool": tool,
            "arguments": arguments,
            "requestId": request_id,
        }
        try:
            if self._path is None or _is_pipe(self._path):
                self._pipe.check()
                return Attempt(line, time.monotonic(), self._pipe)
            return Attempt(line, time.monotonic(), _Started.at_the_end_of(self._path, line))
        except OSError as error:
            raise AuditUnwritable(_why(error)) from None

    def end(self, attempt: Attempt) -> str | None:
        """Complete the line; a sentence for the caller where that fails."""
        try:
            attempt.place.finish(
                {
                    **attempt.line,
                    "confirmed": attempt.confirmed,
                    "outcome": attempt.outcome,
                    "seconds": round(time.monotonic() - attempt.started, 3),
                }
            )
        except OSError as error:
            return f"The audit line could not be completed ({_why(error)}): tell the operator."
        return None


class _Pipe:
    """A pipe or stderr, and the lines that it did not take yet."""

    def __init__(self, to: Path | Lines) -> None:
        self._path = to if isinstance(to, Path) else None
        self._lines = to if isinstance(to, Lines) else None
        self._late: deque[bytes] = deque()

    def check(self) -> None:
        """Raise OSError unless it takes a line now, and has taken all before."""
        self._catch_up()
        self._open().check()

    def finish(self, line: Json) -> None:
        self._late.append(_in_one_piece(line))
        self._catch_up()

    def _catch_up(self) -> None:
        while self._late:
            self._open().put(self._late[0])
            self._late.popleft()

    def _open(self) -> Lines:
        if self._path is not None and self._lines is not None and not self._lines.has_reader():
            os.close(self._lines.fileno())
            self._lines = None
        if self._lines is None:
            assert self._path is not None
            self._lines = over(_open(self._path, _APPEND))
        return self._lines


@dataclass(frozen=True, slots=True)
class _Started:
    """A line in a file that says `started`, padded so that what is still to be said fits into it."""

    path: Path
    text: bytes
    offset: int
    width: int

    @classmethod
    def at_the_end_of(cls, path: Path, line: Json) -> _Started:
        text = to_json({**line, "outcome": "started"})
        width = len(text) + _ROOM
        return cls(path, text, _append(path, text.ljust(width)) - width - 1, width)

    def finish(self, line: Json) -> None:
        text = to_json(line)
        if len(text) > self.width or not self._complete(text):
            _append(self.path, text)

    def _complete(self, text: bytes) -> bool:
        """Write over the started line if it is still where it was; False where the file was rotated or cut."""
        with _opened(self.path, os.O_RDWR) as file, _alone(file):
            os.lseek(file, self.offset, os.SEEK_SET)
            if os.read(file, self.width) != self.text.ljust(self.width):
                return False
            try:
                _write(file, text.ljust(self.width), at=self.offset)
            except OSError:
                with suppress(OSError):  # half of each would be a line that nobody can read
                    _write(file, self.text.ljust(self.width), at=self.offset)
                raise
            return True


def _append(path: Path, text: bytes) -> int:
    """Append one line and say where the file ends then. What did not fit is taken back, and a line that something
    else has torn is ended first."""
    with _opened(path, _APPEND) as file, _alone(file) as alone:
        size = os.fstat(file).st_size
        line = text + b"\n" if _ends_a_line(path, size) else b"\n" + text + b"\n"
        try:
            _write(file, line, at=None, more=alone)
        except OSError:
            if alone:
                with suppress(OSError):
                    os.ftruncate(file, size)
            raise
        return os.lseek(file, 0, os.SEEK_CUR)


def _ends_a_line(path: Path, size: int) -> bool:
    if not size:
        return True
    try:
        with _opened(path, os.O_RDONLY) as file:
            os.lseek(file, size - 1, os.SEEK_SET)
            return os.read(file, 1) in (b"\n", b"")
    except PermissionError:
        return True  # it may be written only: then nobody can know


def _write(file: int, data: bytes, *, at: int | None, more: bool = True) -> None:
    """All of it, or OSError. In one call where others may write between (not `more`): their lines must not mix."""
    if at is not None:
        os.lseek(file, at, os.SEEK_SET)
    while data := data[os.write(file, data) :]:  # raises with the reason
        if not more:
            raise OSError("the disk is full")


def _open(path: Path, how: int) -> int:
    if sys.platform == "win32":
        how |= os.O_BINARY  # else it makes two characters of each end of a line
    else:
        how |= os.O_NONBLOCK  # a pipe without a reader is refused at once instead of holding up every call
    return os.open(path, how, _MODE)


@contextmanager
def _opened(path: Path, how: int) -> Generator[int]:
    file = _open(path, how)
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def _alone(file: int) -> Generator[bool]:
    """Whether no other process that does this writes meanwhile; for a moment that is waited for, never longer."""
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except OSError:
            break  # a file system without locks
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
        return
    yield False


def _is_pipe(path: Path) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # opening it says why
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _in_one_piece(line: Json) -> bytes:
    """The line, with its long arguments cut where a pipe could not take it in one piece: two of them could mix."""
    if len(text := to_json(line)) < _PIECE:
        return text + b"\n"
    arguments = cast("Json", line["arguments"])
    return to_json({**line, "arguments": {name: _cut(one) for name, one in arguments.items()}}) + b"\n"


def _cut(value: object) -> object:
    return value[:_SHORTENED] + "…" if isinstance(value, str) and len(value) > _SHORTENED else value


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
