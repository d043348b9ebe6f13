"""When the process must go: the host closed stdin, or died. A thread watches, so that a busy event loop cannot
keep the process alive. Orphaned servers are among the most frequent complaints about MCP servers."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from paperspace_storage_server import BORN

LOOK_EVERY = 0.1  # seconds
GRACE = 1.2  # seconds between the host's end and ours, for answers that are nearly done; 2 s is promised
# Hang-ups and errors are always reported; that the other end of a socket will send no more, only when asked for.
_GONE: int = getattr(select, "POLLRDHUP", 0)

_serving = threading.Event()


def die_by_signal(last: Callable[[], None] | None = None) -> None:
    """SIGTERM and SIGINT end a stdio server at once, whatever it is doing: nothing in it needs unwinding.

    `last` is done before, which must take a moment only; from a thread, for the others may be busy for ever. The
    threads that are begun after this leave the signals to it.
    """
    numbers = [found for name in ("SIGTERM", "SIGINT", "SIGHUP") if (found := getattr(signal, name, None))]
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    if last is not None and sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        threading.Thread(target=_die_after, args=(last, numbers), name="end-by-signal", daemon=True).start()


def _die_after(last: Callable[[], None], numbers: list[signal.Signals]) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    number = signal.sigwait(numbers)
    try:
        last()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        signal.raise_signal(number)


def die_with_host() -> None:
    """Until `watch_host` takes over: exit at once when the parent has died, or closed stdin without having asked
    anything. A start can take seconds on a busy machine."""
    if sys.platform != "win32":
        threading.Thread(target=_watch_start, args=(_parent(),), name="start-watch", daemon=True).start()


def end_within(seconds: float) -> None:
    """The process is gone by then, whatever its event loop does."""

    def end() -> None:
        time.sleep(seconds)
        os._exit(0)

    threading.Thread(target=end, name="last-resort", daemon=True).start()


def watch_host(stdin: int | None, told: Callable[[], None]) -> None:
    """From a thread: exit `GRACE` after stdin's other end is gone or the parent has died; the latter is `told`."""
    if sys.platform == "win32":
        target, arguments = _watch_windows, (told,)
    else:
        target, arguments = _watch_posix, (stdin, _parent(), told)
    threading.Thread(target=target, args=arguments, name="host-watch", daemon=True).start()
    _serving.set()


def _parent() -> int:
    born, parent = BORN
    return parent if born == os.getpid() else os.getppid()  # else: forked since


def _end(told: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the event loop may be closed by now
        told()
    time.sleep(GRACE)
    os._exit(0)


def _watch_start(parent: int) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    poll = select.poll()
    poll.register(0, _GONE)
    gone = select.POLLHUP | _GONE
    while os.getppid() == parent and not (any(told & gone for _, told in poll.poll(0)) and _nothing_to_read()):
        if _serving.wait(LOOK_EVERY):
            return
    os._exit(0)


def _nothing_to_read() -> bool:
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl
    import termios

    try:
        return not any(fcntl.ioctl(0, termios.FIONREAD, bytes(4)))
    except OSError:
        return False


def _watch_posix(stdin: int | None, parent: int, told: Callable[[], None]) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    poll = select.poll()
    if stdin is not None:
        poll.register(stdin, _GONE)
    while os.getppid() == parent:
        if poll.poll(LOOK_EVERY * 1000):
            # Not told: the event loop sees the end of stdin by itself, after what is still to be read before it.
            _end(lambda: None)
    _end(told)


def _watch_windows(told: Callable[[], None]) -> None:  # pragma: no cover - Windows only
    import ctypes

    synchronize, infinite = 0x00100000, 0xFFFFFFFF
    if sys.platform != "win32":
        raise NotImplementedError
    kernel = ctypes.windll.kernel32
    handle = kernel.OpenProcess(synchronize, False, os.getppid())
    if handle and kernel.WaitForSingleObject(handle, infinite) == 0:
        _end(told)
