"""A redis-server of its own, from Debian's package; on a Unix socket, so that no port is taken."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr


class RedisServer:
    """One that can be ended, stopped in its tracks, and started again with what it has kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.url = SecretStr(f"unix://{folder}/s")

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "yes", "--dir", str(self._folder)]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said: list[str] = []
        for line in self._process.stdout:
            said.append(line)
            if "ready to accept connections" in line.lower():
                return
        raise AssertionError("".join(said))

    def end(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def redis_server() -> Generator[RedisServer]:
    """Running; a socket's path may have 108 bytes at most, which pytest's own folders exceed."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.end()
