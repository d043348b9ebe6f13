"""An outsider against a server over real HTTP: requests within requests, floods, forged tokens by the thousand. What
each costs is bounded, and members are served meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from hosted.issuing import pair
from support.servers import ServerProcess, free_port, nginx, sandbox, wait_for
from support.small_issuer import SmallIssuer, small_issuer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TEAMS = """
[teams.research]
api-key-env = "RESEARCH_KEY"
members.subjects = ["anna"]
"""
FILES = 256
"""How many files the server may open: as many connections would be the end of one that does not count them."""


@dataclass
class Served:
    """The server, behind nginx and directly."""

    process: int
    port: int
    behind: int
    issuer: SmallIssuer
    url: str

    @property
    def host(self) -> str:
        """The name that it is asked under, past nginx as well."""
        return f"127.0.0.1:{self.behind}"

    def headers(self, token: str | None = None) -> dict[str, str]:
        return {"Host": self.host, **({} if token is None else {"Authorization": f"Bearer {token}"})}

    @property
    def token(self) -> str:
        return self.issuer.token(self.url, "anna")

    def ask(self, token: str | None = None, path: str = "/v1/shared-drives", port: int | None = None) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)) as connection:
            connection.request("GET", path, headers=self.headers(token))
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def resident(self) -> float:
        """MiB."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def spent(self) -> float:
        """Seconds of a core so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "teams.toml").write_text(TEAMS, encoding="utf-8")
    port, behind = free_port(), free_port()
    url = f"http://127.0.0.1:{behind}/mcp"
    with ExitStack() as stack:
        issuer = stack.enter_context(small_issuer())
        settings = {
            "HOME": str(folder),
            "RESEARCH_KEY": "key-of-research-0123456789",
            "PAPERSPACE_API_URL": stack.enter_context(sandbox("--dialect", "live")),
            "PAPERSPACE_MCP_DIALECT": "live",
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": issuer.url,
            "PAPERSPACE_MCP_TEAMS_FILE": str(folder / "teams.toml"),
            "PAPERSPACE_MCP_SURFACES": "mcp,rest",
            "PAPERSPACE_MCP_RATE": "unlimited",
        }
        server = ServerProcess(["serve", "--transport", "streamable-http", "--port", str(port)], settings)
        stack.callback(server.end)
        server.start()
        assert server.process is not None
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        wait_for(f"http://127.0.0.1:{port}/readyz")
        stack.enter_context(nginx(behind, [port]))
        yield Served(server.process.pid, port, behind, issuer, url)


SMUGGLED = b"DELETE /v1/shared-drives/x HTTP/1.1\r\nHost: a\r\nX: "
AMBIGUOUS = (
    b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(SMUGGLED)),
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n" % (5 + len(SMUGGLED)),
    b"Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 90\r\n\r\n",
    b"Content-Length: 0, 90\r\n\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n",
    b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n",
)


@pytest.mark.parametrize("directly", [False, True])
def test_no_request_hides_in_another_to_be_answered_in_a_members_place(served: Served, directly: bool) -> None:
    port, token = (served.port, served.token) if directly else (served.behind, served.token)
    rest = f" /v1/shared-drives HTTP/1.1\r\nHost: {served.host}\r\nAuthorization: Bearer {token}\r\n".encode()
    good, head = b"GET" + rest + b"\r\n", b"POST" + rest
    for lengths in AMBIGUOUS:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as attacker:
            attacker.sendall(head + lengths + SMUGGLED)
            for _ in range(3):  # the next on nginx's kept connection would be the victim
                with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as member:
                    member.sendall(good)
                    answered = member.recv(65_536)
                    while b"\r\n\r\n" not in answered:
                        answered += member.recv(65_536)
                assert answered.startswith(b"HTTP/1.1 200"), (lengths, answered[:300])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/v1/shared-drives", headers=served.headers(token))
        assert len(json.loads(connection.getresponse().read())) == 5


def test_three_times_as_many_silent_connections_as_files_keep_no_member_out(served: Served) -> None:
    assert served.ask(served.token) == 200
    began, before = served.spent(), served.resident()
    silent: list[socket.socket] = []
    try:
        for number in range(FILES * 3):
            one = socket.create_connection(("127.0.0.1", served.port), timeout=5)
            silent.append(one)
            if number % 2:
                one.sendall(b"POST /mcp HTTP/1.1\r\nHost: a\r\nX: ")
            if number % 50 == 49:
                at = time.monotonic()
                assert served.ask(served.token) == 200
                assert time.monotonic() - at < 5
    finally:
        for one in silent:
            one.close()
    assert served.spent() - began < 10
    assert served.resident() - before < 30


def test_forged_tokens_by_the_thousand_cost_little_and_leave_nothing(served: Served) -> None:
    forger = pair(number=1)
    claims = {"iss": served.issuer.url, "aud": served.url, "sub": "anna", "exp": int(time.time()) + 999}
    assert served.ask(served.token) == 200
    for _ in range(20):
        served.ask("x" * 30_000)
    asked, before, began = len(served.issuer.asked), served.resident(), served.spent()
    began_at = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)) as connection:
        for number in range(3000):
            token = forger.token({**claims, "n": number}, kid=("one", f"k{number}")[number % 2])
            connection.request("GET", "/v1/shared-drives", headers=served.headers(token))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401
    assert len(served.issuer.asked) - asked <= 1 + (time.monotonic() - began_at) / 10
    assert (served.spent() - began) / 3000 < 0.005
    assert served.resident() - before < 10
    assert served.ask(served.token) == 200


def test_a_connection_that_a_balancer_keeps_is_not_closed_under_it(served: Served) -> None:
    headers = served.headers(served.token)
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)) as connection:
        connection.request("GET", "/v1/shared-drives", headers=headers)
        connection.getresponse().read()
        kept = connection.sock
        time.sleep(6)  # longer than servers of this kind keep one when nobody tells them
        connection.request("GET", "/v1/shared-drives", headers=headers)
        assert connection.getresponse().status == 200
        assert connection.sock is kept


def test_websockets_and_other_upgrades_lead_nowhere(served: Served) -> None:
    for port in (served.port, served.behind):
        for upgrade in ("websocket", "h2c", "TLS/1.0"):
            request = (
                f"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: {upgrade}\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as outsider:
                outsider.sendall(request.encode())
                assert outsider.recv(4096).startswith(b"HTTP/1.1 401"), upgrade
