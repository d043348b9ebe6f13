"""Writing to what nobody reads: it never waits, no line spoils another, and what is lost is counted."""

from __future__ import annotations

import atexit
import io
import logging
import os
import pty
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperspace_storage_server.guard.secrets import Vault
from paperspace_storage_server.guard.stream import Descriptor, Lines, Relayed, standard_error, unwaiting
from paperspace_storage_server.process.logs import log_to_stderr
from support.stdio_server import environment

LONG = "x" * 1000 + "\n"


@contextmanager
def pipe() -> Generator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            with suppress(OSError):
                os.close(end)


@contextmanager
def pair() -> Generator[tuple[int, int]]:
    one, other = socket.socketpair()
    with one, other:
        yield one.fileno(), other.fileno()


@contextmanager
def terminal() -> Generator[tuple[int, int]]:
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def read_all(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    found = b""
    with suppress(BlockingIOError):
        while piece := os.read(descriptor, 1 << 20):
            found += piece
    return found


@pytest.mark.parametrize("ends", [pipe, pair, terminal])
def test_what_nobody_reads_is_dropped_without_waiting_and_counted_once_somebody_does(
    ends: Callable[[], AbstractContextManager[tuple[int, int]]],
) -> None:
    with ends() as (reader, writer):
        lines = Lines(Descriptor(writer), writer)
        for number in range(2000):
            lines.write(f"{number} {LONG}")
        with pytest.raises(BlockingIOError):
            lines.check()
        first = read_all(reader).decode().replace("\r\n", "\n")
        lines.write("after\n")
        after = read_all(reader).decode().replace("\r\n", "\n")
        *whole, counted, last = (first + after).splitlines()
        assert last == "after"
        kept = [one for one in whole if not one.startswith("(")]  # a terminal takes some more in between
        dropped = sum(int(one[1:].split()[0]) for one in (*whole, counted) if one.startswith("("))
        assert counted.endswith(" lines before this one were dropped: nobody read them)")
        assert (len(kept) > 0, len(kept) + dropped) == (True, 2000)
        assert kept == [f"{one.split()[0]} {LONG}".rstrip() for one in kept]
        numbers = [int(one.split()[0]) for one in kept]
        assert numbers == sorted(set(numbers))
        lines.check()
        assert os.get_blocking(writer)  # others hold it, too


def test_a_pipe_that_cannot_be_opened_once_more_is_not_waited_for_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise FileNotFoundError(2, "no /proc here")

    with pipe() as (reader, writer):
        monkeypatch.setattr(os, "open", refuse)
        lines, really, sizes = Lines(Descriptor(writer), writer), os.write, set[int]()

        def noted(descriptor: int, data: bytes) -> int:
            sizes.add(len(data))
            return really(descriptor, data)

        monkeypatch.setattr(os, "write", noted)
        for _ in range(200):
            lines.write(LONG)
        assert max(sizes) == 512  # all that a pipe which can take something is sure to take without waiting
        out = read_all(reader)
        lines.write("after\n")
        *kept, dropped, after = (out + read_all(reader)).decode().splitlines()
        assert set(kept) == {LONG.rstrip()}
        assert (dropped.split()[0], after) == (f"({200 - len(kept)}", "after")


def test_a_reader_that_goes_away_ends_nothing() -> None:
    with pipe() as (reader, writer):
        lines = Lines(Descriptor(writer), writer)
        os.close(reader)
        lines.write("nobody\n")
        assert not lines.has_reader()
        with pytest.raises(BrokenPipeError):
            lines.check()
        assert lines.writable()
        with pytest.raises(BrokenPipeError):
            lines.put(b"nobody\n")


def test_a_full_device_is_known_before_anything_is_written(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(OSError, match="No space left"):
        Lines(Descriptor(full.fileno()), full.fileno()).check()
    with (tmp_path / "log").open("wb") as file:
        lines = Lines(Descriptor(file.fileno()), file.fileno())
        lines.check()
        lines.write("one\n")
        assert lines.fileno() == file.fileno()
        assert not lines.isatty()
    assert (tmp_path / "log").read_text() == "one\n"


def test_print_and_flush_put_the_pieces_of_a_line_together() -> None:
    with pipe() as (reader, writer):
        lines = Lines(Descriptor(writer), writer)
        print("a", "b", file=lines)
        print("without its end", end="", file=lines)
        assert read_all(reader) == b"a b\n"
        print(end="", file=lines, flush=True)
        assert read_all(reader) == b"without its end"
        lines.write("half a character: \ud83d\n")
        assert read_all(reader) == b"half a character: \\ud83d\n"


def test_a_full_pipe_takes_nothing_and_one_that_nobody_reads_any_more_raises() -> None:
    with pipe() as (reader, writer):
        stream = Descriptor(writer)
        assert 0 < stream.write(b"x" * (1 << 20)) < 1 << 20
        assert stream.write(b"x") == 0
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            stream.write(b"x")


class Narrow:
    """A stream that takes as many bytes at each write as it is told to."""

    def __init__(self, room: list[int]) -> None:
        self.room = room
        self.out = b""

    def write(self, data: bytes) -> int:
        count = min(self.room.pop(0) if self.room else len(data), len(data))
        self.out += data[:count]
        return count

    def check(self) -> None:
        pass


@given(st.lists(st.text("ab", max_size=6), max_size=30), st.lists(st.integers(0, 8), max_size=30))
def test_whatever_fits_at_a_time_lines_come_out_whole_in_order_and_none_spoils_another(
    said: list[str], room: list[int]
) -> None:
    narrow, stream = bool(room), Narrow(room)
    lines = Lines(stream, 2)
    for one in said:
        lines.write(one + "\n")
    stream.room.clear()
    lines.put(b"last\n")
    out = stream.out.decode().splitlines()
    assert out.pop() == "last"
    dropped = sum(int(one[1:].split()[0]) for one in out if one.startswith("("))
    kept = [one for one in out if not one.startswith("(")]
    rest = iter(said)
    assert all(one in rest for one in kept)  # a subsequence
    assert len(kept) + dropped <= len(said)
    if not narrow:
        assert (kept, dropped) == (said, 0)


def test_where_only_waiting_can_write_a_thread_waits_and_a_bounded_number_of_lines_waits_with_it() -> None:
    with pipe() as (reader, writer):
        relayed = Relayed(writer)
        lines = Lines(relayed, writer)
        lines.check()
        lines.write("first\n")
        assert relayed.settle(10)
        for _ in range(5000):
            lines.write(LONG)
        with pytest.raises(BlockingIOError):
            lines.check()
        reading = threading.Thread(target=lambda: all(iter(lambda: os.read(reader, 1 << 16), b"")), daemon=True)
        reading.start()
        assert relayed.settle(10)
        lines.check()
        os.close(writer)
        reading.join(10)


def test_a_thousand_lines_wait_for_their_turn_and_the_next_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, go_on, really = threading.Event(), threading.Event(), os.write
    at_the_end: list[tuple[object, ...]] = []
    before = set(threading.enumerate())

    def waits(descriptor: int, data: bytes) -> int:
        under_way.set()
        go_on.wait(10)
        return really(descriptor, data)

    monkeypatch.setattr(os, "write", waits)
    monkeypatch.setattr(atexit, "register", lambda *done: at_the_end.append(done))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pipe() as (reader, writer):
        relayed = Relayed(writer)
        assert relayed.write(b"first\n") == 6
        assert under_way.wait(10)
        assert [relayed.write(b"next\n") for _ in range(1001)] == [5] * 1000 + [0]
        assert [thread.daemon for thread in set(threading.enumerate()) - before] == [True]
        asked = time.monotonic()
        with pytest.raises(BlockingIOError):
            relayed.check()
        assert time.monotonic() - asked < 0.9  # whoever is about to write is not held up
        go_on.set()
        assert relayed.settle(10)
        assert read_all(reader) == b"first\n" + b"next\n" * 1000
    assert at_the_end == [(relayed.settle, 1.0)]  # a process that ends waits so long for its last lines


def test_a_line_that_is_just_on_its_way_out_is_waited_for_a_moment() -> None:
    asked: list[float] = []

    class Settles(Relayed):
        def settle(self, seconds: float) -> bool:
            asked.append(seconds)
            return True

    Settles(2).check()
    assert asked == [0.05]


def test_where_nobody_reads_any_more_lines_that_only_waiting_can_write_are_given_up() -> None:
    with pipe() as (reader, writer):
        relayed = Relayed(writer)
        os.close(reader)
        for _ in range(3):
            relayed.write(b"nobody\n")
            assert relayed.settle(10)


def test_a_stream_that_stands_in_for_stderr_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    instead = io.StringIO()
    assert unwaiting(instead) is instead
    monkeypatch.setattr(sys, "stderr", instead)
    log_to_stderr_into(instead)
    made = standard_error()
    assert (type(made), made.fileno()) == (Lines, 2)
    monkeypatch.setattr(sys, "stderr", made)
    assert standard_error() is made  # what it has not written out yet goes first


def log_to_stderr_into(stream: io.StringIO) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log_to_stderr("warning", Vault())
        logging.getLogger("x").warning("seen")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "WARNING x: seen" in stream.getvalue()


def test_a_process_whose_stderr_is_closed_says_nothing_on_stdout_and_opens_no_file_in_its_place(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from paperspace_storage_server.__main__ import main\n"
        "try: main(['serve', '--dialect', 'none'])\n"
        "except SystemExit as left: print(left.code, os.readlink('/proc/self/fd/2'))\n"
    )
    command = ["/bin/sh", "-c", f'exec "{sys.executable}" -c "$1" 2>&-', "sh", script]
    run = subprocess.run(command, env={**environment(), "HOME": str(tmp_path)}, stdout=subprocess.PIPE, check=True)
    assert run.stdout == b"2 /dev/null\n"


def test_what_is_written_to_a_file_is_all_of_it_and_a_full_disk_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=descriptor * 0)

    with (tmp_path / "log").open("wb") as file:
        stream = Descriptor(file.fileno())
        assert stream.write(LONG.encode() * 100) == len(LONG) * 100
        monkeypatch.setattr(os, "fstatvfs", full)
        with pytest.raises(OSError, match="No space left"):
            stream.check()
    assert (tmp_path / "log").read_bytes() == LONG.encode() * 100


def test_a_disk_that_fills_up_within_a_line_tells_how_much_went_out_and_one_that_is_full_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, left = os.write, [5, 3]

    def fills(descriptor: int, data: bytes) -> int:
        if not left:
            raise OSError(28, "No space left on device")
        return really(descriptor, data[: left.pop(0)])

    with (tmp_path / "log").open("wb") as file:
        monkeypatch.setattr(os, "write", fills)
        stream = Descriptor(file.fileno())
        assert stream.write(b"0123456789") == 8
        with pytest.raises(OSError, match="No space left"):
            stream.write(b"0123456789")
    assert (tmp_path / "log").read_bytes() == b"01234567"


def test_a_pipe_that_is_not_waited_for_already_is_written_as_it_is() -> None:
    with pipe() as (reader, writer):
        os.set_blocking(writer, False)
        before = set(os.listdir("/proc/self/fd"))
        lines = Lines(Descriptor(writer), writer)
        lines.write("one\n")
        assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # of the listing itself
        assert read_all(reader) == b"one\n"


def test_nothing_more_goes_out_before_the_rest_of_a_line_that_was_begun() -> None:
    stream = Narrow([2, 0, 0, 3])
    lines = Lines(stream, 2)
    lines.write("first\n")  # two of its characters
    with pytest.raises(BlockingIOError):
        lines.check()
    with pytest.raises(BlockingIOError):
        lines.put(b"second\n")
    assert stream.out == b"fi"
    with pytest.raises(BlockingIOError):
        lines.check()
    assert stream.out == b"first"
    lines.check()
    lines.write("third\nfourth\n")
    assert stream.out == b"first\nthird\nfourth\n"
    stream.room = [2, 4]
    lines.write("fifth\n")
    with pytest.raises(BlockingIOError):
        lines.put(b"sixth\n")  # the rest of the fifth is all that fits
    lines.check()
    assert stream.out == b"first\nthird\nfourth\nfifth\n"


def test_how_many_lines_were_dropped_is_said_once_before_the_next_that_goes_out() -> None:
    stream = Narrow([0, 0, 0])
    lines = Lines(stream, 2)
    lines.write("one\ntwo\n")
    lines.write("three\n")
    lines.write("four\n")
    lines.write("five\n")
    lines.write("six\n")
    assert stream.out == b"(4 lines before this one were dropped: nobody read them)\nfive\nsix\n"


def test_lines_that_could_not_be_written_at_all_are_counted_too() -> None:
    class Fails(Narrow):
        def write(self, data: bytes) -> int:
            if not self.room:
                return super().write(data)
            raise OSError(self.room.pop(), "no")

    stream = Fails([5, 5])
    lines = Lines(stream, 2)
    for text in ("one\n", "two\n", "three\n"):
        lines.write(text)
    assert stream.out == b"(2 lines before this one were dropped: nobody read them)\nthree\n"


def test_a_full_pipe_has_a_reader_and_one_that_was_left_has_none() -> None:
    with pipe() as (reader, writer):
        lines = Lines(Descriptor(writer), writer)
        assert lines.has_reader()
        for _ in range(200):
            lines.write(LONG)
        assert lines.has_reader()
        os.close(reader)
        assert not lines.has_reader()


def test_whoever_has_gone_is_known_on_a_pipe_a_socket_and_a_closed_descriptor() -> None:
    for ends in (pipe, socket.socketpair):
        if ends is pipe:
            with pipe() as (reader, writer):
                os.close(reader)
                with pytest.raises(BrokenPipeError, match="whoever read it is gone"):
                    Descriptor(writer).check()
        else:
            one, other = socket.socketpair()
            with other:
                one.close()
                with pytest.raises(BrokenPipeError, match="whoever read it is gone"):
                    Descriptor(other.fileno()).check()
    with pipe() as (_, writer):
        os.close(writer)
        with pytest.raises(BrokenPipeError, match="whoever read it is gone"):
            Descriptor(writer).check()


@pytest.mark.parametrize("null", [0, 2, 5])
def test_a_stderr_that_is_closed_becomes_one_that_takes_everything(null: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next file that is opened would be stderr to every library."""
    did: list[tuple[object, ...]] = []

    def opened(path: str, how: int) -> int:
        did.append(("open", path, how))
        return null

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "dup2", lambda one, other: did.append(("dup2", one, other)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(os, "close", lambda one: did.append(("close", one)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    made = unwaiting(None)
    monkeypatch.undo()
    assert isinstance(made, Lines)
    assert made.fileno() == 2
    assert did == [("open", "/dev/null", os.O_WRONLY), *([] if null == 2 else [("dup2", null, 2), ("close", null)])]
