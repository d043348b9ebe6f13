"""Writing to a stream that perhaps nobody reads, without waiting for whoever should. Knows no log and no audit.

stderr belongs to the host. One that never reads it has a full pipe after 64 KiB, and who then writes waits for ever:
a server that logs at debug would stand still. So what does not fit is not written, and whoever writes is told.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import queue
import stat
import sys
import threading
from functools import cached_property
from typing import Protocol, TextIO, cast

UNREAD = "nobody reads it"
_PIECE = 512  # bytes that POSIX promises to take whole where a pipe is writable at all
_LAST_LINES = 1.0  # seconds at the end, for lines that still wait
_LINES = 1000  # that wait for their turn where writing cannot be asked not to wait


class Stream(Protocol):
    """Where whole lines go, now or not at all."""

    def write(self, data: bytes) -> int:
        """As many of the bytes as fit without waiting, which may be none. Raises OSError where none ever will."""
        ...

    def check(self) -> None:
        """Raise OSError unless a line would go out now."""
        ...


class Descriptor:
    """A file descriptor that others hold too: it keeps its mode, for making it non-blocking would change theirs."""

    def __init__(self, descriptor: int) -> None:
        self._given = descriptor

    def write(self, data: bytes) -> int:
        written = 0
        while rest := data[written:]:
            try:
                count = self._some(rest)
            except BlockingIOError:
                break
            except OSError:
                if not written:
                    raise
                break
            if not count:
                break
            written += count
        return written

    def check(self) -> None:
        if not self._writable(self._given):
            raise BlockingIOError(errno.EAGAIN, UNREAD)
        if stat.S_ISCHR(self._mode):
            os.write(self._given, b"")  # a full device says so even of nothing
        if sys.platform == "win32":
            raise NotImplementedError
        if stat.S_ISREG(self._mode) and not os.fstatvfs(self._given).f_bavail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _some(self, data: bytes) -> int:
        if stat.S_ISREG(self._mode):
            return os.write(self._given, data)
        if stat.S_ISSOCK(self._mode):
            import socket

            if sys.platform == "win32":
                raise NotImplementedError
            with socket.socket(fileno=os.dup(self._given)) as end:
                return end.send(data, socket.MSG_DONTWAIT)
        if (own := self._own) is not None:
            return os.write(own, data)
        return os.write(self._given, data[:_PIECE]) if self._writable(self._given) else 0

    @cached_property
    def _mode(self) -> int:
        return os.fstat(self._given).st_mode

    @cached_property
    def _own(self) -> int | None:
        """The same pipe or terminal once more, in a mode of its own; None where the system gives none (not Linux)."""
        if sys.platform == "win32":
            raise NotImplementedError
        if not os.get_blocking(self._given):
            return self._given
        try:
            return os.open(f"/proc/self/fd/{self._given}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return None

    @staticmethod
    def _writable(descriptor: int) -> bool:
        """Whether it takes something now. Raises OSError where whoever read it is gone."""
        import select

        if sys.platform == "win32":
            raise NotImplementedError
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        ready = poll.poll(0)
        if any(events & ~select.POLLOUT for _, events in ready):
            raise BrokenPipeError(errno.EPIPE, "whoever read it is gone")
        return bool(ready)


class Relayed:
    """A descriptor that only waiting can write (Windows): a thread waits, and what it has no room for is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(_LINES)
        self._writing = False

    def write(self, data: bytes) -> int:
        try:
            self._lines.put_nowait(data)
        except queue.Full:
            return 0
        if not self._writing:
            self._writing = True
            atexit.register(self.settle, _LAST_LINES)  # a daemon thread is not waited for otherwise
            threading.Thread(target=self._relay, name="stderr", daemon=True).start()
        return len(data)

    def check(self) -> None:
        if not self.settle(0.05):
            raise BlockingIOError(errno.EAGAIN, UNREAD)

    def settle(self, seconds: float) -> bool:
        """Wait for what is under way, that long at most; whether all of it is out."""
        with self._lines.all_tasks_done:
            return self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)

    def _relay(self) -> None:
        while True:
            line = self._lines.get()
            try:
                os.write(self._descriptor, line)
            except OSError:
                pass  # nobody can be told
            finally:
                self._lines.task_done()


class Lines(io.TextIOBase):
    """A text stream over one that does not wait: a line is written or dropped whole, and what was dropped is counted.

    One that went out in part is finished before anything else goes out, so that no line spoils the next.
    """

    def __init__(self, stream: Stream, descriptor: int) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._line = ""  # what was written without its end
        self._rest = b""  # of a line that went out in part
        self._dropped = 0
        self._turn = threading.RLock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, text: str, /) -> int:
        with self._turn:
            whole, end, self._line = (self._line + text).rpartition("\n")
            if end:
                self._write_or_drop(whole + end)
        return len(text)

    def flush(self) -> None:
        with self._turn:
            if self._line:
                whole, self._line = self._line, ""
                self._write_or_drop(whole)

    def check(self) -> None:
        """Raise OSError unless a line would go out now."""
        with self._turn:
            self._send(b"")
            if self._rest:
                raise BlockingIOError(errno.EAGAIN, UNREAD)
            self._stream.check()

    def has_reader(self) -> bool:
        """Whether anybody could still read it."""
        try:
            self._stream.check()
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def put(self, line: bytes) -> None:
        """One line, between those of others. Raises OSError where not even its beginning went out."""
        with self._turn:
            if not self._send(line):
                raise BlockingIOError(errno.EAGAIN, UNREAD)

    def _write_or_drop(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        if self._dropped:
            data = f"({self._dropped} lines before this one were dropped: nobody read them)\n".encode() + data
        try:
            out = self._send(data)
        except OSError:
            out = False
        self._dropped = 0 if out else self._dropped + text.count("\n")

    def _send(self, data: bytes) -> bool:
        """Whether it went out, or at least its beginning: then the rest follows before anything else."""
        whole = self._rest + data
        left = whole[self._stream.write(whole) :]
        begun = not data or len(left) < len(data)
        self._rest = left if begun else left.removesuffix(data)
        return begun


def standard_error() -> Lines:
    """This process's stderr, as `unwaiting` has made it or would make it."""
    return sys.stderr if isinstance(sys.stderr, Lines) else over(2)


def unwaiting(stream: TextIO | None) -> TextIO:
    """This process's stderr as one that never makes it wait; a stream that stands in for it (a test's) stays."""
    if stream is None:
        # Closed by whoever started us. Left so, `print` would write to stdout, which is the protocol's, and the next
        # file that is opened would be stderr to every library.
        null = os.open(os.devnull, os.O_WRONLY)
        if null != 2:
            os.dup2(null, 2)
            os.close(null)
    elif stream is not sys.__stderr__:
        return stream
    return cast("TextIO", over(2))


def over(descriptor: int) -> Lines:
    """Lines over a descriptor, as this system can write it without waiting."""
    return Lines(Relayed(descriptor) if sys.platform == "win32" else Descriptor(descriptor), descriptor)
