"""Handing in a key with real parts: Chromium on the page, `oidc-provider` for signing in, the official client that is
asked in both eras, two replicas over Redis. Needs npm and Debian's chromium, nginx and redis-server.

`UPDATE_SCREENSHOTS=DIR` writes what the page looks like there.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult

from support.clients import Clients, install
from support.issuer import IssuerProcess, Person, issuing
from support.processes import Era
from support.redis_server import RedisServer, redis_server
from support.servers import free_port, nginx, sandbox, server, wait_for
from support.stdio_server import ROOT

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]

KEY = "key-of-carla-0123456789"
TEAMS = '[teams.research]\napi-key-env = "RESEARCH_KEY"\nmembers.groups = ["research"]\n'
GROUNDS = {"light": "rgb(252, 252, 251)", "dark": "rgb(25, 26, 28)"}


@pytest.fixture(scope="module")
def packages() -> Generator[tuple[Clients, Clients]]:
    """The issuer, and what drives the browser."""
    with TemporaryDirectory(prefix="issuer-") as one, TemporaryDirectory(prefix="browser-") as other:
        issuer = install(Path(one), ROOT / "tests" / "hosted" / "issuer")
        browser = install(Path(other), ROOT / "tests" / "apps" / "browser")
        shutil.copy(ROOT / "tests" / "hosted" / "browser" / "connect.mjs", other)
        yield issuer, browser


@dataclass
class Served:
    """An endpoint, its issuer, and a browser."""

    url: str
    issuer: IssuerProcess
    browser: Clients
    ports: list[int]
    redis: RedisServer | None

    @property
    def page(self) -> str:
        return f"{self.url}/connect"

    async def at_the_page(self, url: str, **told: Any) -> dict[str, Any]:
        """What a person with a keyboard does there, and sees."""
        told = {"url": url, "name": "carla", "width": 1280, "theme": "light", **told}
        if shots := os.environ.get("UPDATE_SCREENSHOTS"):
            told["shot"] = f"{shots}/connect-{told['theme']}-{told['width']}"

        def run() -> subprocess.CompletedProcess[str]:
            command = ["node", "connect.mjs"]
            folder, given = self.browser.folder, json.dumps(told)
            return subprocess.run(
                command, cwd=folder, input=given, capture_output=True, text=True, timeout=120, check=False
            )

        done = await asyncio.to_thread(run)
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def served(request: pytest.FixtureRequest, packages: tuple[Clients, Clients], tmp_path: Path) -> Generator[Served]:
    """Two replicas behind nginx where the test wants `replicas`, else one process."""
    replicas = bool(getattr(request, "param", False))
    with ExitStack() as stack:
        port = free_port()
        ports = [free_port(), free_port()] if replicas else [port]
        url = f"http://127.0.0.1:{port}/mcp"
        issuer = stack.enter_context(issuing(packages[0], url, callback=f"{url}/connect/callback"))
        api = stack.enter_context(sandbox("--dialect", "live"))
        (tmp_path / "teams.toml").write_text(TEAMS, encoding="utf-8")
        settings = {
            "HOME": str(tmp_path),
            "RESEARCH_KEY": "key-of-research-0123456789",
            "PAPERSPACE_API_URL": api,
            "PAPERSPACE_MCP_DIALECT": "live",
            "PAPERSPACE_MCP_PUBLIC_URL": url,
            "PAPERSPACE_MCP_AUTH_ISSUER": issuer.url,
            "PAPERSPACE_MCP_TEAMS_FILE": str(tmp_path / "teams.toml"),
            "PAPERSPACE_MCP_CONNECT": "true",
            "PAPERSPACE_MCP_OIDC_CLIENT_ID": "paperspace-mcp",
            "PAPERSPACE_MCP_OIDC_CLIENT_SECRET": "our own secret",
        }
        redis = None
        if replicas:
            redis = stack.enter_context(redis_server())
            settings["PAPERSPACE_MCP_REDIS_URL"] = redis.url.get_secret_value()
            settings["PAPERSPACE_MCP_STATE_KEYS"] = "01" * 32
        for one in ports:
            command = ["serve", "--transport", "streamable-http", "--port", str(one)]
            stack.enter_context(server(command, settings))
            wait_for(f"http://127.0.0.1:{one}/readyz")
        if replicas:
            stack.enter_context(nginx(port, ports))
        yield Served(url, issuer, packages[1], ports, redis)


@asynccontextmanager
async def connected(url: str, person: Person, era: Era, elicit: Any) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(auth=person.signing_in(url), timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, elicitation_callback=elicit) as client,
    ):
        yield client


def check_the_page(seen: dict[str, Any], width: int, theme: str) -> None:
    """What holds for every page, at every width and in both themes."""
    assert seen["troubles"] == []
    for name, page in seen["pages"].items():
        assert page["wide"] == 0, (name, width)
        assert page["ground"] == GROUNDS[theme]
        assert page["lang"] == "en"
        assert page["scripts"] == 0
        assert page["kept"] == []
    for stop in seen["stops"]:
        assert stop["ring"] == "solid"
    for cookie in seen["cookies"]:
        assert cookie["httpOnly"] is True
        assert cookie["sameSite"] == "Lax"


@pytest.mark.parametrize("served", [True], indirect=True, ids=["two replicas"])
async def test_an_agent_of_the_2026_era_sends_its_person_to_the_page_and_its_call_goes_on(served: Served) -> None:
    seen: list[dict[str, Any]] = []
    links: list[str] = []

    async def elicit(context: object, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        links.append(params.url)
        seen.append(
            await served.at_the_page(params.url, width=320, theme="dark", wrong="Bearer of-something-else", key=KEY)
        )
        return ElicitResult(action="accept")

    async with connected(served.url, Person("carla"), "auto", elicit) as client:
        assert "list_shared_drives" in {tool.name for tool in (await client.list_tools()).tools}
        answer = await client.call_tool("list_shared_drives", {})
        assert not answer.is_error, answer
        assert len(links) == 1
        assert links[0].startswith(f"{served.page}?for=")
        for _ in range(4):  # at both replicas
            assert not (await client.call_tool("list_shared_drives", {})).is_error
        assert len(links) == 1

        check_the_page(seen[0], 320, "dark")
        pages = seen[0]["pages"]
        assert pages["first"]["address"] == served.page
        assert pages["first"]["title"] == "Connect a Paperspace team"
        assert "Signed in as carla" in pages["first"]["text"]
        assert 'textbox "API key of your team"' in seen[0]["tree"]
        assert pages["wrong"]["title"].startswith("Error: ")
        assert pages["wrong"]["focused"] == "summary"
        assert "alert" in seen[0]["wrongTree"]
        assert pages["led"]["focused"] == "key"
        assert "A key of the team sandbox-" in pages["kept"]["text"]
        assert KEY not in str(answer) + pages["kept"]["text"]

        removed = await served.at_the_page(served.page, remove=True)
        check_the_page(removed, 1280, "light")
        for _ in range(4):
            told = await client.session.call_tool("list_shared_drives", {}, allow_input_required=True)
            assert told.result_type == "input_required"
        stolen = httpx2.Cookies({one["name"]: one["value"] for one in seen[0]["cookies"]})
        for port in served.ports:
            async with httpx2.AsyncClient(cookies=stolen) as thief:
                headers = {"Host": served.url.removeprefix("http://").removesuffix("/mcp")}
                page = await thief.get(f"http://127.0.0.1:{port}/mcp/connect", headers=headers)
                assert page.status_code == 303
                assert page.headers["location"].startswith(served.issuer.url)


@pytest.mark.parametrize("served", [True], indirect=True, ids=["two replicas"])
async def test_with_redis_away_a_handed_in_key_is_used_for_nothing_and_the_operators_team_reads_on(
    served: Served,
) -> None:
    assert served.redis is not None

    async def elicit(context: object, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="cancel")

    async with (
        connected(served.url, Person("carla"), "auto", elicit) as carla,
        connected(served.url, Person("anna"), "auto", elicit) as anna,
    ):
        await served.at_the_page(served.page, key=KEY)
        assert not (await carla.call_tool("list_shared_drives", {})).is_error
        served.redis.freeze()
        try:
            began = time.monotonic()
            refused = await carla.call_tool("list_shared_drives", {})
            assert refused.is_error
            assert "so nothing was sent" in str(refused.content)
            assert time.monotonic() - began < 5
            assert not (await anna.call_tool("list_shared_drives", {})).is_error
        finally:
            served.redis.thaw()
        assert not (await carla.call_tool("list_shared_drives", {})).is_error


async def test_an_agent_of_the_older_era_is_told_with_an_error_and_calls_again(served: Served) -> None:
    async def elicit(context: object, params: ElicitRequestParams) -> ElicitResult:
        raise AssertionError("the older era asks with an error")

    async with connected(served.url, Person("carla"), "legacy", elicit) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("list_shared_drives", {})
        assert raised.value.error.code == -32042
        (asked,) = raised.value.error.data["elicitations"]
        foreign = await served.at_the_page(asked["url"], name="mallory")
        assert "This link is not yours" in foreign["pages"]["first"]["text"]
        seen = await served.at_the_page(asked["url"], key=KEY)
        check_the_page(seen, 1280, "light")
        assert not (await client.call_tool("list_shared_drives", {})).is_error
        over = await served.at_the_page(asked["url"])
        assert "This link is over" in over["pages"]["first"]["text"]
