"""A file that the operator edits while the server runs: read again when it changes, and never trusted for long."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from paperspace_storage_server.hosted.identity import NotReady

T = TypeVar("T")
logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks: who is removed is out within ten, on every replica that sees the file."""
GRACE = 5.0
"""Seconds for which what a file said goes on when it cannot be read: an editor may be writing it."""
LARGEST = 8 * 1024 * 1024


class Unreadable(Exception):
    """The file does not say what it should; `why` does, without a value of it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class WatchedFile(Generic[T]):
    """What a file says now. `parse` raises `Unreadable`."""

    def __init__(self, path: Path, parse: Callable[[bytes], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._parse = parse
        self._clock = clock
        self._looked = -LOOK_EVERY
        self._seen: tuple[int, ...] | None = None
        self._said: T | None = None
        self._broken: tuple[float, str] | None = None  # since when, and why
        self.version = 0
        """Counts the contents that were read."""

    @property
    def now(self) -> T:
        """What it says, at most `LOOK_EVERY` old.

        Raises:
            NotReady: it has said nothing usable for `GRACE` seconds, or never has.
        """
        now = self._clock()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._look(now)
        if self._broken is not None and (self._said is None or now - self._broken[0] > GRACE):
            raise NotReady(f"{self._path.name}: {self._broken[1]}")
        assert self._said is not None
        return self._said

    def load(self) -> T:
        """What it says at the start.

        Raises:
            Unreadable: nothing usable.
        """
        self._said, self._seen = self._read()
        self._looked = self._clock()
        self.version += 1
        return self._said

    def _look(self, now: float) -> None:
        try:
            if self._broken is None and self._seen == _mark(os.stat(self._path)):
                return
            self._said, self._seen = self._read()
        except (OSError, Unreadable) as error:
            why = error.why if isinstance(error, Unreadable) else error.strerror or "it cannot be read"
            if self._broken is None or self._broken[1] != why:
                logger.error("%s: %s; who it lets in is let in for %.0f s more", self._path, why, GRACE)
            self._broken = (self._broken[0] if self._broken else now, why)
        else:
            self._broken = None
            self.version += 1

    def _read(self) -> tuple[T, tuple[int, ...]]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise Unreadable("it is no plain file")
                if os.name != "nt" and found.st_mode & 0o022:
                    raise Unreadable("others can write it; take that right away (chmod go-w)")
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise Unreadable(error.strerror or "it cannot be read") from None
        if len(content) > LARGEST:
            raise Unreadable("it is too large")
        return self._parse(content), _mark(found)


def _mark(found: os.stat_result) -> tuple[int, ...]:
    """What changes when the content does."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
