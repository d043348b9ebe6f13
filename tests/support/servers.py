"""Servers as processes of their own: hosted ones, nginx before them, the sandbox behind them."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
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

OURS = ("-m", "paperspace_storage_server")


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """`paperspace-storage-mcp` with these arguments; what it says on stderr is kept."""

    def __init__(self, arguments: Sequence[str], settings: Mapping[str, str], program: Sequence[str] = OURS) -> None:
        self._command = [sys.executable, *program, *arguments]
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
def server(
    arguments: Sequence[str], settings: Mapping[str, str], program: Sequence[str] = OURS
) -> Generator[ServerProcess]:
    one = ServerProcess(arguments, settings, program)
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


@contextmanager
def quick_sandbox() -> Generator[str]:
    """The emulated API of production as a process, whose events end at once; its base URL."""
    with server([], {}, [str(Path(__file__).with_name("quick_sandbox.py"))]) as one:
        yield f"{one.address}/v1"


_ANY = ssl._create_unverified_context()  # pyright: ignore[reportPrivateUsage]  # of a certificate that the test has made
NGINX = Path(__file__).parents[2] / "deploy" / "nginx.conf"


def _nginx_of(folder: Path, port: int, replicas: Sequence[int], tls: tuple[Path, Path] | None) -> str:
    """The file that is deployed, with the places of a test: it serves TLS where there is a certificate with its key."""
    text = (
        NGINX.read_text(encoding="utf-8").replace("/tmp/", f"{folder}/").replace("/dev/stdout", f"{folder}/access.log")
    )
    lines = "".join(f"    server 127.0.0.1:{one} \\1" for one in replicas)
    text, found = re.subn(r"    server replica-1:8000 (.*\n)    server replica-2:8000 \1", lines, text)
    assert found == 1
    if tls is None:
        text, found = re.subn(r"    ssl_.*;\n", "", text)
        assert found == 5
    else:
        text = text.replace("/run/secrets/tls.crt", str(tls[0])).replace("/run/secrets/tls.key", str(tls[1]))
    served = f"listen 127.0.0.1:{port}{' ssl' if tls else ''};"
    assert text.count("listen 8443 ssl;") == 1
    return text.replace("listen 8443 ssl;", served)


@contextmanager
def nginx(port: int, replicas: Sequence[int], tls: tuple[Path, Path] | None = None) -> Generator[Path]:
    """Debian's nginx with the file of `deploy/`, which hands each request to the next replica; its folder."""
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        file = folder / "nginx.conf"
        file.write_text(_nginx_of(folder, port, replicas, tls), encoding="utf-8")
        command = ["/usr/sbin/nginx", "-c", str(file), "-p", name, "-e", f"{name}/error.log"]
        subprocess.run([*command, "-t", "-q"], check=True, env=dict(os.environ))
        # Its workers of another user could not write into the test's folder.
        own = "user root; " if os.geteuid() == 0 else ""
        process = subprocess.Popen(
            [*command, "-g", f"{own}daemon off;"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ),
        )
        try:
            at = f"{'https' if tls else 'http'}://127.0.0.1:{port}/healthz"
            wait_for(at, (200, 404, 502))  # whatever stands behind it
            yield folder
        finally:
            process.terminate()
            process.wait(10)


def status(url: str) -> tuple[int, bytes]:
    """Status and body of a GET; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=_ANY if url.startswith("https:") else None) as answer:
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
