"""Servers as processes of their own: hosted ones, nginx before them, the sandbox behind them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.stdio_server import environment


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """`paperspace-storage-mcp` with these arguments; what it says on stderr is kept."""

    def __init__(self, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-m", "paperspace_storage_server", *arguments]
        self._settings = settings
        self.process: subprocess.Popen[str] | None = None
        self.said: list[str] = []
        self.address = ""

    def start(self) -> None:
        environ = {**environment(), **self._settings}
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, env=environ, text=True)
        listening = threading.Event()

        def read(process: subprocess.Popen[str]) -> None:
            assert process.stderr is not None
            for line in process.stderr:
                self.said.append(line)
                if found := re.search(r"^(?:MCP|REST|Sandbox).* on (https?://127\.0\.0\.1:\d+)", line):
                    self.address = found[1]
                    listening.set()
            process.stderr.close()
            listening.set()

        threading.Thread(target=read, args=(self.process,), daemon=True).start()
        assert listening.wait(30), self.said
        assert self.address, self.said

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL, within: float = 60) -> float:
        """End it; how many seconds that took."""
        if self.process is None:
            return 0.0
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(within)
        self.process = None
        return time.monotonic() - began


@contextmanager
def server(arguments: Sequence[str], settings: Mapping[str, str]) -> Generator[ServerProcess]:
    one = ServerProcess(arguments, settings)
    one.start()
    try:
        yield one
    finally:
        one.end()


@contextmanager
def sandbox(*arguments: str) -> Generator[str]:
    """The emulated API as a process; its base URL."""
    with server(["sandbox", "--port", "0", *arguments], {}) as one:
        yield f"{one.address}/v1"


_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream replicas {{
    {replicas}
    keepalive 32;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffering off;
      proxy_read_timeout 120s;
      proxy_next_upstream error timeout http_503;
      proxy_next_upstream_tries 3;
      add_header X-Replica $upstream_addr always;
    }}
  }}
}}
"""


@contextmanager
def nginx(port: int, replicas: Sequence[int]) -> Generator[None]:
    """Debian's nginx, which hands each request to the next replica."""
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        lines = "\n    ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;" for one in replicas)
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, replicas=lines), encoding="utf-8")
        command = [
            "/usr/sbin/nginx",
            "-c",
            str(folder / "nginx.conf"),
            "-p",
            str(folder),
            "-e",
            str(folder / "error.log"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", (200, 502))
            yield
        finally:
            process.terminate()
            process.wait(10)


def status(url: str) -> tuple[int, bytes]:
    """Status and body of a GET; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def wait_for(url: str, wanted: Sequence[int] = (200,), within: float = 20) -> bytes:
    """Until this address answers so. Raises `AssertionError` where it does not in time."""
    until = time.monotonic() + within
    while True:
        found, body = status(url)
        if found in wanted:
            return body
        assert time.monotonic() < until, (url, found, body)
        time.sleep(0.05)
