"""The REST surface as the command serves it: beside MCP or alone, behind a token that stands in a file."""

from __future__ import annotations

import re
import stat
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from paperspace_storage_server.rest.hosts import of_public
from paperspace_storage_server.rest.token import make_token
from support.hosted_server import hosted_world
from support.stdio_server import COMMAND, environment

from . import over_http
from .surface import problem

SERVE = [*COMMAND, "--transport", "streamable-http", "--port", "0", "--surfaces"]


@contextmanager
def served(folder: Path, surfaces: str, **more: str) -> Generator[tuple[str, str]]:
    """The address, and the token."""
    file = folder / "token"
    mine = {"PAPERSPACE_MCP_REST_TOKEN_FILE": str(file), **more}
    with subprocess.Popen([*SERVE, surfaces], stderr=subprocess.PIPE, env={**environment(), **mine}, text=True) as one:
        try:
            assert one.stderr is not None
            assert one.stderr.readline() == f"The bearer token of /v1 is in {file}\n"
            line = one.stderr.readline()
            found = re.search(r"http://\S+", line)
            assert found is not None, line
            yield found[0], file.read_text().strip()
        finally:
            one.terminate()
            one.wait(10)


def test_rest_is_served_beside_mcp_and_only_to_who_shows_the_token(tmp_path: Path) -> None:
    with served(tmp_path, "mcp,rest") as (url, token), httpx.Client(base_url=url, trust_env=False) as client:
        assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": token}, {"Authorization": "Basic x"}):
            answer = client.get("/v1/shared-drives", headers=headers)
            assert problem(answer)["status"] == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert problem(client.get("/v1/openapi.json", headers=headers))["status"] == 401
        answer = client.get("/v1/shared-drives", headers={"Authorization": f"bearer {token}"})
        assert (answer.status_code, isinstance(answer.json(), list)) == (200, True)
        assert "access-control-allow-origin" not in answer.headers
        assert client.post("/mcp", json={}).status_code in (400, 406)
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost:1:2", "127.0.0.1:x", ""):
            answer = client.get("/v1/shared-drives", headers={"Authorization": f"Bearer {token}", "Host": host})
            assert (problem(answer)["status"], problem(answer)["title"]) == (421, "Misdirected Request")
        for host in ("localhost", "LOCALHOST:1", "[::1]:8000"):
            answer = client.get("/v1/shared-drives", headers={"Authorization": f"Bearer {token}", "Host": host})
            assert answer.status_code == 200


def test_rest_alone_serves_no_mcp_and_the_origins_that_are_listed(tmp_path: Path) -> None:
    origin = "https://console.example.com"
    with (
        served(tmp_path, "rest", PAPERSPACE_MCP_CORS_ORIGINS=origin) as (url, token),
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        assert client.post("/mcp", json={}).status_code == 404
        bearer = {"Authorization": f"Bearer {token}"}
        answer = client.get("/v1/shared-drives", headers={**bearer, "Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        other = client.get("/v1/shared-drives", headers={**bearer, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("url", "known", "unknown"),
    [
        ("https://mcp.example.com/mcp", ("mcp.example.com", "mcp.example.com:443"), ("mcp.example.com:80", "x", "")),
        ("https://mcp.example.com:8443/mcp", ("mcp.example.com:8443",), ("mcp.example.com", "mcp.example.com:443")),
        ("http://127.0.0.1:8000/mcp", ("127.0.0.1:8000",), ("127.0.0.1", "localhost:8000")),
    ],
)
def test_a_hosted_surface_is_called_as_its_public_url_says(
    url: str, known: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    assert [host for host in (*known, *unknown) if of_public(url)(host)] == list(known)


@pytest.mark.anyio
async def test_a_hosted_surface_turns_away_who_asks_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted_world(tmp_path, monkeypatch) as one:
        bearer = {"Authorization": f"Bearer {one.token()}"}
        assert (await one.client.get("/v1/shared-drives", headers=bearer)).status_code == 200
        answer = await one.client.get("/v1/shared-drives", headers={**bearer, "Host": "evil.example"})
        assert (problem(answer)["status"], "evil" in answer.text) == (421, False)


@pytest.mark.slow
def test_a_restore_over_production_is_followed_by_its_monitor_link_until_it_is_done(tmp_path: Path) -> None:
    """Over HTTP, the API behind a process of its own, whose events take two seconds."""
    with over_http.served(tmp_path, "live") as one, one.client() as client, one.behind() as behind:
        snapshot = next(each for each in client.get("/snapshots").json() if "Automatic" not in each["name"])
        machine = {"machineId": snapshot["machineId"]}
        there = {each["id"] for each in behind.get("/snapshots", params=machine).json()["items"]}
        path = f"/snapshots/{snapshot['id']}/restore"
        asked = problem(client.post(path))
        assert (asked["status"], asked["changed"], snapshot["name"] in asked["detail"]) == (428, "nothing", True)
        restored = client.post(path, headers={"Confirm-Name": quote(snapshot["name"], safe="")})
        assert (restored.status_code, restored.content) == (200, b"")
        found = re.fullmatch(r'</v1(/machine-events/[^>]+)>; rel="monitor"', restored.headers["link"])
        assert found is not None
        event, until = client.get(found[1]).json(), time.monotonic() + 60
        assert event["state"] in ("new", "in progress")
        while event["state"] in ("new", "in progress"):
            assert time.monotonic() < until
            event = client.get(found[1]).json()
        assert event["state"] == "done"
        assert event["machineId"] == snapshot["machineId"]
        assert event["dtCreated"] <= event["dtFinished"]
        now = [each["id"] for each in behind.get("/snapshots", params=machine).json()["items"]]
        assert (len(set(now) - there), now[0] in there) == (1, False)  # the safety snapshot, the newest


@pytest.mark.parametrize("transport", ["stdio", "sse"])
def test_rest_needs_streamable_http(transport: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--transport", transport, "--surfaces", "mcp,rest"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_a_token_is_not_written_through_a_link_nor_left_for_all_to_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    file.chmod(0o644)
    first = make_token(file).get_secret_value()
    assert (file.read_text().strip(), stat.S_IMODE(file.stat().st_mode)) == (first, 0o600)
    assert make_token(file).get_secret_value() != first
    link = tmp_path / "link"
    link.symlink_to(file)
    with pytest.raises(OSError, match="Too many levels"):
        make_token(link)
