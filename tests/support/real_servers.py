"""Real HTTP servers on 127.0.0.1 with short limits for idle connections: nginx, uvicorn, gunicorn, Node.

nginx is Debian's `nginx-light` (.ci/packages), Node comes with npm; the others are packages of this project's tests.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.loopback_tls import closed_port, self_signed

HERE = Path(__file__).parent
STARTS_WITHIN = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Real:
    """A server that runs. `certificate` is for `SSL_CERT_FILE` where it speaks TLS."""

    url: str
    log: Path
    certificate: Path | None = None

    def counts(self) -> Counter[str]:
        """How often each request was taken, as `METHOD /path`."""
        return Counter(self.log.read_text().splitlines())


def _nginx(folder: Path, port: int, *, tls: bool = False) -> tuple[list[str], dict[str, str], Path | None]:
    certificate = self_signed(folder)[1] if tls else None
    over_tls = f"ssl_certificate {certificate}; ssl_certificate_key {folder}/key.pem;" if tls else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""
        daemon off;
        master_process off;
        pid {folder}/pid;
        error_log {folder}/error;
        events {{ worker_connections 256; }}
        http {{
            log_format plain "$request_method $request_uri";
            access_log {folder}/log plain;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            keepalive_timeout 1s;
            keepalive_requests 7;
            server {{
                listen 127.0.0.1:{port}{" ssl" if tls else ""};
                {over_tls}
                default_type application/json;
                location / {{ return 200 '{{"id":"x"}}'; }}
            }}
        }}""")
    return ["nginx", "-p", str(folder), "-c", str(configuration), "-e", f"{folder}/error"], {}, certificate


def _nginx_tls(folder: Path, port: int) -> tuple[list[str], dict[str, str], Path | None]:
    return _nginx(folder, port, tls=True)


def _uvicorn(folder: Path, port: int) -> tuple[list[str], dict[str, str], Path | None]:
    options = ["--port", str(port), "--timeout-keep-alive", "1", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "counting_app:asgi", *options], {"PYTHONPATH": str(HERE)}, None


def _gunicorn(folder: Path, port: int, *, worker: str = "gthread") -> tuple[list[str], dict[str, str], Path | None]:
    options = ["--bind", f"127.0.0.1:{port}", "--worker-class", worker, "--threads", "8", "--keep-alive", "1"]
    options += ["--worker-tmp-dir", str(folder), "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", *options, "counting_app:wsgi"], {"PYTHONPATH": str(HERE)}, None


def _gunicorn_sync(folder: Path, port: int) -> tuple[list[str], dict[str, str], Path | None]:
    return _gunicorn(folder, port, worker="sync")


def _node(folder: Path, port: int) -> tuple[list[str], dict[str, str], Path | None]:
    return ["node", str(HERE / "counting.mjs"), str(port), f"{folder}/log"], {}, None


SERVERS: dict[str, Callable[[Path, int], tuple[list[str], dict[str, str], Path | None]]] = {
    "nginx": _nginx,
    "nginx over TLS": _nginx_tls,
    "uvicorn": _uvicorn,
    "gunicorn, threads": _gunicorn,
    "gunicorn, one at a time": _gunicorn_sync,
    "Node": _node,
}


@contextmanager
def running(name: str, folder: Path) -> Generator[Real]:
    """The server, once it takes connections; ended by its own process at the end."""
    port, log = closed_port(), folder / "log"
    command, more, certificate = SERVERS[name](folder, port)
    log.touch()
    environment = {**os.environ, **more, "COUNTING_LOG": str(log)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _wait_for(process, port)
            yield Real(f"{'https' if certificate else 'http'}://127.0.0.1:{port}", log, certificate)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"not there within {STARTS_WITHIN} s")
